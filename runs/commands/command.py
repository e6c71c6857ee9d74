"""What a command of the command line is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from jsonargparse import ArgumentParser, Namespace


class Command(Protocol):
    """A command: one module, one entry in :data:`runs.commands.COMMANDS`. Its module imports torch only when it runs."""

    @property
    def name(self) -> str:
        """The word that follows `metabalance`."""

    @property
    def help(self) -> str:
        """What it does, in a line."""

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        """Add its options to its parser, those of types that ``arguments`` choose included.

        Returns the arguments that are left for the parser to read.

        Raises
        ------
        UsageError, SettingError
            What is given is not allowed.
        """

    def run(self, parsed: Namespace) -> int:
        """Do it; returns the exit status.

        Raises
        ------
        UsageError, SettingError
            What is given is not allowed.
        """
