"""What the commands share that run an experiment in its output folder."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from jsonargparse import ArgumentParser, Namespace

from envs.core.validation import check, one_line, setting
from hierarchy.config import ExperimentConfig
from hierarchy.storage.folder import CONFIG_NAME, RESULTS_NAME
from runs import STARTED_S
from runs.settings.checks import check_json, check_tracking, check_writable
from runs.settings.experiment import Layered, Request, add_experiment, experiment_of, from_files, from_folder, request
from runs.settings.files import DEFAULT_PRESET, PRESET_KEY, preset_file, preset_names
from runs.settings.options import add_options, called, offered, options_of, repeated
from runs.settings.trust import TrustOptions, trusts_factory
from runs.settings.usage import UsageError
from runs.settings.words import given

if TYPE_CHECKING:
    from hierarchy.evidence.results import Results
    from hierarchy.experiment import Experiment

OUT_ROOT = Path("runs") / "out"


@dataclass(frozen=True)
class Options:
    """Where settings come from and results go."""

    preset: str | None = offered(preset_names)
    """settings to start from; without one, those in the output folder, where a command goes on from what it holds"""
    config: list[Path] = repeated()
    """YAML or JSON file of settings, over the preset"""
    out: Path | None = None
    """output folder (default: runs/out/PRESET, or PRESET-N-seeds)"""
    json: Path | None = None
    """also write the results here"""


@dataclass(frozen=True)
class OverSavedOptions(TrustOptions, Options):
    """The same, of a command that goes on from what its output folder holds."""


@dataclass(frozen=True, kw_only=True)
class BeginningOptions(TrustOptions):
    """What the agent that is trained begins as."""

    begins_from: Path | None = called("from")
    """output folder of an experiment, a bundle, or models:/NAME@ALIAS, whose agent of this level training begins with"""


@dataclass(frozen=True)
class SeedsOptions(OverSavedOptions):
    """The same, over several training seeds."""

    seeds: int | None = setting(None, ge=1)
    """training seeds from --seed on, trained where missing; then one table"""

    def __post_init__(self) -> None:
        check(self)


Run = Callable[["Experiment", Any], "Results | None"]
"""From an experiment and the options of its command, if it is one over a single seed."""


@dataclass(frozen=True)
class ExperimentCommand:
    """A command that runs an experiment, or parts of one, in an output folder.

    Parameters
    ----------
    name, help
        As in :class:`runs.commands.Command`.
    run_experiment
        What it runs.
    options
        The options beside the settings.
    """

    name: str
    help: str
    run_experiment: Run
    options: type[Options] = Options

    @property
    def over_saved(self) -> bool:
        """Whether it goes on from the settings that the output folder holds."""
        return issubclass(self.options, OverSavedOptions)

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        add_options(parser, self.options, arguments)
        parser.add_argument("--print_config", nargs="?", metavar="", help="print all settings as YAML, and do nothing else")
        asked = add_layers(parser, self._base(arguments), arguments)
        parser.set_defaults(preset=asked.preset)
        return asked.arguments

    def _base(self, arguments: Sequence[str]) -> Layered:
        """What the settings start from: the preset, or what the output folder was made with, or what is begun from."""
        words = dict(given(arguments))
        preset = preset_file(words.get("preset", DEFAULT_PRESET))
        out = Path(words["out"]) if "out" in words else out_folder(preset.stem, words.get("seeds"))
        if "preset" in words:
            return from_files([preset])
        if self.over_saved and (out / CONFIG_NAME).is_file():
            return from_folder(out, trusts_factory(arguments))
        if "from" in words and not self.over_saved:
            return from_folder(Path(words["from"]), trusts_factory(arguments), takes_bundle=True, field="from")
        return from_files([preset])

    def run(self, parsed: Namespace) -> int:
        options, config = options_of(self.options, parsed), experiment_of(parsed)
        if parsed.print_config is not None:  # the parser hands an empty word on
            print(yaml.safe_dump({PRESET_KEY: parsed.preset, **dataclasses.asdict(config)}, sort_keys=False), end="")
            return 0
        check_fits(config)
        print_notes(config)
        n_seeds = options.seeds if isinstance(options, SeedsOptions) else None
        out = options.out or out_folder(parsed.preset, n_seeds)
        check_writable(out, "out")
        check_json(options.json)
        if config.tracking.enabled:
            check_tracking(out.parent)
        results = _run(self.run_experiment, options, config, out, parsed.preset, n_seeds)
        if results is not None:
            show(results, config, options.json)
            print(f"results in {out / RESULTS_NAME}, compare runs with: metabalance ui --out {out.parent}")
        return 0


def _run(
    run: Run, options: Options, config: ExperimentConfig, out: Path, preset: str, n_seeds: int | None
) -> Results | None:
    """One experiment, or one a training seed and a table of all."""
    from rich.console import Console

    from hierarchy.experiment import Experiment
    from runs.terminal.progress import progress

    shown = progress(Console(stderr=True))
    if n_seeds is None:
        return run(Experiment(config, out, preset, shown, STARTED_S), options)
    from hierarchy.study import run_study

    return run_study(config, out, preset, n_seeds, shown, STARTED_S)


def out_folder(preset: str, n_seeds: int | str | None) -> Path:
    """Where results go when nothing is said; those of several training seeds are kept apart from single experiments."""
    return OUT_ROOT / (preset if n_seeds is None else f"{preset}-{n_seeds}-seeds")


def add_layers(parser: ArgumentParser, base: Layered, arguments: Sequence[str]) -> Request:
    """Add the settings that start from a base and go on with those of ``--config`` and the command line; returns them."""
    words = given(arguments)
    files = [Path(text) for name, text in words if name == "config"]
    asked = request(base, files, arguments, dict(words).get("preset"))
    add_experiment(parser, asked)
    return asked


def add_settings_of_preset(parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
    """Add the settings that start from the preset that is given, or from the default's; the arguments to be read."""
    preset = preset_file(dict(given(arguments)).get("preset", DEFAULT_PRESET))
    asked = add_layers(parser, from_files([preset]), arguments)
    parser.set_defaults(preset=asked.preset)
    return asked.arguments


def of_folder(arguments: Sequence[str]) -> Layered:
    """What settings start from where a folder comes first: what is in it, or the preset that is given all the same."""
    saved, words = from_folder(Path(arguments[0]), trusts_factory(arguments), takes_bundle=True), dict(given(arguments))
    return from_files([preset_file(words["preset"])]) if "preset" in words else saved


def check_fits(config: ExperimentConfig) -> None:
    """The world can be made, and agents and arms fit it.

    Raises
    ------
    UsageError
        They don't.
    """
    from hierarchy.phases.checks import check_experiment

    try:
        check_experiment(config)
    except ValueError as error:
        raise UsageError(one_line(error)) from None


def print_notes(config: ExperimentConfig) -> None:
    """What one should know before the figures are read, on standard error."""
    from hierarchy.phases.checks import notes

    for line in notes(config):
        print(f"note: {line}", file=sys.stderr)


def show(results: Results, config: ExperimentConfig, json: Path | None) -> None:
    """Results as tables, and in a file if one is asked for."""
    from hierarchy.storage.files import write_json
    from runs.report import published
    from runs.terminal.tables import print_results, print_rows, wide_console

    print_results(results, wide_console())
    if published.is_published(config):
        print_rows(published.TITLE, published.table(results), wide_console())
    if json is not None:
        write_json(results, json)
