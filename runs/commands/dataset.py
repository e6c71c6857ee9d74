"""`metabalance dataset`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from envs.core.validation import SettingError
from hierarchy.collecting.conduct import Conduct
from runs.commands.experiments import add_layers, check_fits, of_folder
from runs.settings.checks import check_writable
from runs.settings.experiment import Layered, experiment_of, from_files
from runs.settings.files import DEFAULT_PRESET, preset_file, preset_names
from runs.settings.options import add_options, offered, options_of, positional, repeated
from runs.settings.trust import TrustOptions
from runs.settings.words import given


@dataclass(frozen=True)
class Options(TrustOptions, Conduct):
    """Who acts, and where to."""

    folder: Path | None = positional(default=None)
    """output folder of an experiment or a bundle, whose pair acts; comes first"""
    to: Path | None = None
    """folder to write, which is empty or not there yet"""
    preset: str | None = offered(preset_names)
    """settings to start from; without one those of the folder, if there is one"""
    config: list[Path] = repeated()
    """YAML or JSON file of settings, over those"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.to is None:
            raise SettingError("to", "given, as in: dataset DIR --to PATH", "nothing")


@dataclass(frozen=True)
class DatasetCommand:
    """Episodes of a pair or of a rule in the simulator, as a dataset of Minari."""

    name: str = "dataset"
    help: str = "record what a pair or a rule does in the simulator to learn from, as in: dataset DIR --to PATH"

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        add_options(parser, Options, arguments)
        asked = add_layers(parser, _base(arguments), arguments)
        parser.set_defaults(preset=asked.preset)
        return asked.arguments

    def run(self, parsed: Namespace) -> int:
        options, config = options_of(Options, parsed), experiment_of(parsed)
        assert options.to is not None
        check_fits(config)
        check_writable(options.to.parent, "to")
        from hierarchy.collecting.collection import make_dataset
        from hierarchy.collecting.sources import source_in

        made = source_in(config, options, options.folder)
        n = make_dataset(made, options.to)
        print(f"{n} actions of {made.name} in {options.to}")
        return 0


def _base(arguments: Sequence[str]) -> Layered:
    """What settings start from: the folder, which comes first, or the preset."""
    if arguments and not arguments[0].startswith("-"):
        from hierarchy.collecting.recordings import check_no_recording

        check_no_recording(Path(arguments[0]))
        return of_folder(arguments)
    return from_files([preset_file(dict(given(arguments)).get("preset", DEFAULT_PRESET))])


DATASET = DatasetCommand()
