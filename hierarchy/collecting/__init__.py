"""Datasets made in the simulator: who acts, under which contexts, and what is written of it."""
