"""`metabalance evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from runs.commands.experiments import add_layers, check_fits, of_folder, print_notes, show
from runs.settings.checks import check_json
from runs.settings.experiment import Layered, experiment_of, from_files
from runs.settings.files import DEFAULT_PRESET, preset_file, preset_names
from runs.settings.options import add_options, offered, options_of, positional, repeated
from runs.settings.trust import TrustOptions
from runs.settings.usage import UsageError

HELP = (["-h"], ["--help"])


@dataclass(frozen=True)
class Options(TrustOptions):
    """Whose agents, and in which world."""

    folder: Path = positional()
    """output folder of an experiment or of several training seeds, a bundle, or models:/NAME@ALIAS; comes first"""
    preset: str | None = offered(preset_names)
    """settings to start from; those of the folder without one"""
    config: list[Path] = repeated()
    """YAML or JSON file of settings, over those"""
    json: Path | None = None
    """write the results here; nothing else is written"""


@dataclass(frozen=True)
class Evaluate:
    """The arms of trained agents in another world; the folder's own results are of its own world and stay."""

    name: str = "evaluate"
    help: str = "compare the arms of the agents in a folder in another world, as in: evaluate DIR --env.dt_s 0.5"

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        add_options(parser, Options, arguments)
        asked = add_layers(parser, _base(arguments), arguments)
        parser.set_defaults(preset=asked.preset)
        return asked.arguments

    def run(self, parsed: Namespace) -> int:
        options, config = options_of(Options, parsed), experiment_of(parsed)
        check_fits(config)
        print_notes(config)
        check_json(options.json)
        from hierarchy.evaluation import evaluate_folder

        show(evaluate_folder(config, options.folder, parsed.preset), config, options.json)
        return 0


def _base(arguments: Sequence[str]) -> Layered:
    """What the settings start from: the preset, or those of the folder, which comes first."""
    if list(arguments[:1]) in HELP:
        return from_files([preset_file(DEFAULT_PRESET)])
    if not arguments or arguments[0].startswith("-"):
        raise UsageError("evaluate must be given the folder of an experiment or a study first, as in: evaluate DIR")
    return of_folder(arguments)


EVALUATE = Evaluate()
