"""One page of an output folder that needs no network: `page` writes it, `section` is what studies add to it."""
