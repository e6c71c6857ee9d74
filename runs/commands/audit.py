"""`metabalance audit`: whether the audit file of a controller is as it was written."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from envs.core.validation import SettingError
from runs.settings.options import add_options, options_of, positional


@dataclass(frozen=True)
class Options:
    """Which file."""

    file: Path = positional()
    """what `serve --audit` has written"""


@dataclass(frozen=True)
class Audit:
    """Follows the chain; exit status 1 with the first line that was changed, put in or taken out."""

    name: str = "audit"
    help: str = "follow the chain of an audit file, and name the first line that does not fit"

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        add_options(parser, Options, arguments)
        return arguments

    def run(self, parsed: Namespace) -> int:
        from hierarchy.live.audit import BrokenChainError, verify

        path = options_of(Options, parsed).file
        try:
            found = verify(path)
        except OSError as error:
            raise SettingError("file", f"an audit file that can be read ({error.strerror})", path) from None
        except BrokenChainError as error:
            print(f"metabalance: {path}: {error}", file=sys.stderr)
            return 1
        if not found.head.number:
            print(f"metabalance: {path}: no whole line", file=sys.stderr)
            return 1
        print(f"{path}: {found.head.number} lines, each after the one before; {found.n_cut} that were cut")
        print(f"the last has sha256 {found.head.digest}")
        return 0


AUDIT = Audit()
