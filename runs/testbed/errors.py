"""What goes wrong with the processes of a test bed."""

from __future__ import annotations


class BedError(Exception):
    """A process of the test bed does not start, does not answer, or has ended."""
