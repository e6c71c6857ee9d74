"""`metabalance sync`: deliver what waits for MLflow."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from runs.settings.checks import check_json
from runs.settings.options import add_options, options_of, positional


@dataclass(frozen=True)
class Options:
    """Whose figures."""

    folder: Path = positional()
    """output folder of an experiment, of several training seeds, or of a benchmark"""
    json: Path | None = None
    """also write here how many records were delivered, wait, and were refused"""


@dataclass(frozen=True)
class Sync:
    """Figures that MLflow did not take while they were made."""

    name: str = "sync"
    help: str = "deliver the figures in a folder that wait for MLflow"

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        add_options(parser, Options, arguments)
        return arguments

    def run(self, parsed: Namespace) -> int:
        options = options_of(Options, parsed)
        check_json(options.json)
        from hierarchy.storage.files import write_json
        from hierarchy.tracking.syncing import sync

        synced = sync(options.folder)
        if options.json is not None:
            counts = {"delivered": synced.n_delivered, "waiting": synced.n_waiting, "refused": synced.n_refused}
            write_json(counts, options.json)
        for line in synced.lines(options.folder):
            print(f"metabalance: {line}", file=sys.stderr)
        print(f"{synced.n_delivered:,} records delivered")
        return 1 if synced.n_waiting else 0


SYNC = Sync()
