"""A real HAProxy as a world: what it measures, in the simulator's arrays, and weights that it is given."""
