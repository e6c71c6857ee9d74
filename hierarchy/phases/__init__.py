"""Stretches of work that an experiment is made of."""
