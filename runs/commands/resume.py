"""`metabalance resume`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from hierarchy.storage.folder import RESULTS_NAME
from hierarchy.sweeping.sweep import SWEEP_NAME
from runs import STARTED_S
from runs.settings.checks import check_json, check_writable
from runs.settings.options import add_options, options_of, positional
from runs.settings.trust import TrustOptions


@dataclass(frozen=True)
class Options(TrustOptions):
    """What to go on with."""

    folder: Path = positional()
    """output folder of an experiment, of several training seeds, or of a sweep, that was cut short"""
    json: Path | None = None
    """also write the results here"""


@dataclass(frozen=True)
class Resume:
    """The rest of what was cut short."""

    name: str = "resume"
    help: str = "go on with an experiment or a sweep that was cut short: it ends as it would have ended"

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        add_options(parser, Options, arguments)
        return arguments

    def run(self, parsed: Namespace) -> int:
        from rich.console import Console

        from hierarchy.resuming import resume
        from hierarchy.storage.trained import config_of
        from runs.commands.experiments import show
        from runs.terminal.progress import progress

        options = options_of(Options, parsed)
        check_writable(options.folder, "folder")
        check_json(options.json)
        if (options.folder / SWEEP_NAME).is_file():
            return self._resume_sweep(options)
        results = resume(options.folder, progress(Console(stderr=True)), STARTED_S, trusts_factory=options.trust_factory)
        if results is not None:
            show(results, config_of(options.folder, trusts_factory=options.trust_factory), options.json)
            print(f"results in {options.folder / RESULTS_NAME}")
        return 0

    @staticmethod
    def _resume_sweep(options: Options) -> int:
        from hierarchy.storage.files import write_json
        from runs.commands.sweep import run, show
        from runs.settings.space import saved_sweep

        results = run(saved_sweep(options.folder, trusts_factory=options.trust_factory), options.folder)
        show(results, options.folder)
        if options.json is not None:
            write_json(results, options.json)
        return 0


RESUME = Resume()
