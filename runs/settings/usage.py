"""What is wrong with a command line, in one line."""

from __future__ import annotations


class UsageError(Exception):
    """Bad usage or configuration; the message is one line."""
