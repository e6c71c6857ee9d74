"""`metabalance evaluate`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from envs.core.validation import SettingError
from hierarchy.config import ExperimentConfig
from hierarchy.off_policy.settings import OffPolicy
from runs.commands.experiments import add_layers, check_fits, of_folder, print_notes, show
from runs.settings.checks import check_json
from runs.settings.experiment import Layered, experiment_of, from_files
from runs.settings.files import DEFAULT_PRESET, preset_file, preset_names
from runs.settings.options import add_options, offered, options_of, positional, repeated
from runs.settings.trust import TrustOptions
from runs.settings.usage import UsageError

HELP = (["-h"], ["--help"])


@dataclass(frozen=True)
class Options(TrustOptions, OffPolicy):
    """Whose agents, and in which world or on which dataset."""

    folder: Path = positional()
    """output folder of an experiment or of several training seeds, a bundle, or models:/NAME@ALIAS; comes first"""
    preset: str | None = offered(preset_names)
    """settings to start from; those of the folder without one"""
    config: list[Path] = repeated()
    """YAML or JSON file of settings, over those"""
    json: Path | None = None
    """write the results here; nothing else is written"""
    data: Path | None = None
    """folder of a dataset (made by metabalance dataset): what the lower agent would be worth is told from what is on record
    there, and nothing is simulated; horizon, discount, draws and random_share say how"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data is not None:
            return
        for field in fields(OffPolicy):
            if getattr(self, field.name) != field.default:
                raise SettingError(field.name, "left out without data", getattr(self, field.name))


@dataclass(frozen=True)
class Evaluate:
    """The arms of trained agents in another world, or their value told from a dataset; the folder's own results stay."""

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
        check_json(options.json)
        if options.data is not None:
            return _on_data(options, options.data, config)
        print_notes(config)
        from hierarchy.evaluation import evaluate_folder

        show(evaluate_folder(config, options.folder, parsed.preset), config, options.json)
        return 0


def _on_data(options: Options, data: Path, config: ExperimentConfig) -> int:
    """Off-policy evaluation in place of the arms."""
    from hierarchy.off_policy.folder import evaluate_on
    from hierarchy.storage.files import write_json
    from runs.terminal.tables import wide_console
    from runs.terminal.values import print_values

    settings = OffPolicy(**{field.name: getattr(options, field.name) for field in fields(OffPolicy)})
    found = evaluate_on(config, options.folder, data, settings)
    for line in found["notes"]:
        print(f"note: {line}", file=sys.stderr)
    print_values(found, wide_console())
    if options.json is not None:
        write_json(found, options.json)
    return 0


def _base(arguments: Sequence[str]) -> Layered:
    """What the settings start from: the preset, or those of the folder, which comes first."""
    if list(arguments[:1]) in HELP:
        return from_files([preset_file(DEFAULT_PRESET)])
    if not arguments or arguments[0].startswith("-"):
        raise UsageError("evaluate must be given the folder of an experiment or a study first, as in: evaluate DIR")
    return of_folder(arguments)


EVALUATE = Evaluate()
