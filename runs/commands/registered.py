"""Pairs that MLflow has registered, where a command line names one in place of a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from runs.commands.experiments import OUT_ROOT

SCHEME = "models:/"
"""What the address of one begins with."""


@contextmanager
def fetching(arguments: Sequence[str]) -> Iterator[list[str]]:
    """The arguments with a folder in the place of such an address, which comes first after the command.

    Raises
    ------
    SettingError
        There is no such pair.
    """
    command, address = arguments[:1], "".join(arguments[1:2])
    if not address.startswith(SCHEME):
        yield list(arguments)
        return
    from hierarchy.tracking.registry import fetched

    with fetched(address, OUT_ROOT) as folder:
        yield [*command, str(folder), *arguments[2:]]
