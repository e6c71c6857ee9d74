"""Pairs that MLflow has registered, where a command line names one in place of a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from envs.core.validation import SettingError
from runs.commands.evaluate import EVALUATE
from runs.commands.experiments import OUT_ROOT
from runs.commands.export import EXPORT
from runs.commands.serve import SERVE
from runs.commands.train_lower import TRAIN_LOWER
from runs.commands.train_upper import TRAIN_UPPER

SCHEME = "models:/"
"""What the address of one begins with."""
TAKING = (EVALUATE.name, EXPORT.name, SERVE.name, TRAIN_LOWER.name, TRAIN_UPPER.name)
"""Commands that a bundle is enough for, or for what they begin from."""


@contextmanager
def fetching(arguments: Sequence[str]) -> Iterator[list[str]]:
    """The arguments with a folder in the place of such an address.

    Raises
    ------
    SettingError
        There is no such pair, or the command takes none.
    """
    address = next((argument for argument in arguments[1:] if argument.startswith(SCHEME)), None)
    if address is None:
        yield list(arguments)
        return
    if arguments[0] not in TAKING:
        raise SettingError("folder", f"a folder (a registered pair is for {', '.join(TAKING)})", address)
    from hierarchy.tracking.registry import fetched

    with fetched(address, OUT_ROOT) as folder:
        yield [str(folder) if argument == address else argument for argument in arguments]
