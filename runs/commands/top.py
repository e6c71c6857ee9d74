"""`metabalance top`: a controller as it steers, in a terminal."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from jsonargparse import ArgumentParser, Namespace

from envs.core.validation import SettingError, check, setting
from runs.settings.options import add_options, options_of, positional
from runs.settings.usage import UsageError
from runs.terminal.asking import PORT, address_of


@dataclass(frozen=True)
class Options:
    """Which controller."""

    address: str = positional(default=f"127.0.0.1:{PORT}")
    """HOST:PORT of its `--http`"""
    every_s: float = setting(1.0, ge=0.1, le=3_600)
    """seconds between two looks"""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Top:
    """Shows what `/state` says, until q or Ctrl-C."""

    name: str = "top"
    help: str = "watch a controller in the terminal: servers, weights, mix, decisions"

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        add_options(parser, Options, arguments)
        return arguments

    def run(self, parsed: Namespace) -> int:
        options = options_of(Options, parsed)
        address = address_of(options.address)
        if importlib.util.find_spec("textual") is None:
            raise SettingError("top", "run where textual is installed (pip install 'metabalance[live]')", "none")
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise UsageError("standard input and output must be a terminal")
        from runs.terminal import top

        app = top.Top(address, options.every_s)
        app.run()
        return app.return_code or 0


TOP = Top()
