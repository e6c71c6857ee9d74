"""What the upper agent does, in terms that can be read: a small tree, and what moved the mix."""
