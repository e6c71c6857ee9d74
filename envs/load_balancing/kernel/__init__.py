"""The event loop and its state: arrays, numbers and numba, nothing else."""
