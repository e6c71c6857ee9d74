"""Faces of a batch for other libraries."""
