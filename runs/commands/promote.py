"""`metabalance promote`: the pair in a folder becomes the champion among those that MLflow has registered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from runs.settings.options import add_options, options_of, positional


@dataclass(frozen=True)
class Options:
    """Whose pair."""

    folder: Path = positional()
    """output folder of an experiment, or of one training seed of several"""


@dataclass(frozen=True)
class Promote:
    """The alias by which a pair is asked for, wherever it was trained."""

    name: str = "promote"
    help: str = "make the pair in a folder the one that models:/metabalance@champion is"

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        add_options(parser, Options, arguments)
        return arguments

    def run(self, parsed: Namespace) -> int:
        options = options_of(Options, parsed)
        from hierarchy.tracking.mlflow_models import CHAMPION, NAME
        from hierarchy.tracking.registry import promote

        print(f"models:/{NAME}@{CHAMPION} is version {promote(options.folder)}")
        return 0


PROMOTE = Promote()
