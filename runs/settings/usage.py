"""What is wrong with a command line, in one line."""

from __future__ import annotations


class UsageError(Exception):
    """Bad usage or configuration; the message is one line."""


def one_line(error: BaseException) -> str:
    """The text of an error without its line breaks."""
    return " ".join(str(error).split())
