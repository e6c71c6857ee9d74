"""`metabalance sweep`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from envs.core.validation import SettingError, check, setting
from hierarchy.config import ExperimentConfig
from runs.commands.experiments import OUT_ROOT, add_settings_of_preset, check_fits, print_notes
from runs.settings.checks import check_tracking, check_writable
from runs.settings.experiment import experiment_of
from runs.settings.files import preset_names
from runs.settings.options import add_options, offered, options_of, repeated
from runs.settings.space import read_space, space_file, space_names, sweep_of
from runs.settings.usage import UsageError

if TYPE_CHECKING:
    from hierarchy.sweeping.summary import SweepResults
    from hierarchy.sweeping.sweep import Sweep


@dataclass(frozen=True)
class Options:
    """What is searched, and where from."""

    preset: str | None = offered(preset_names)
    """settings to start from"""
    config: list[Path] = repeated()
    """YAML or JSON file of settings, over the preset"""
    space: str | None = offered(space_names)
    """YAML or JSON file of what is searched, settings by their dotted names; or a space that is there already"""
    trials: int = setting(20, ge=1)
    """trials wanted, those that the output folder holds included"""
    out: Path | None = None
    """output folder (default: runs/out/PRESET-sweep)"""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class SweepCommand:
    """A search for settings of both levels."""

    name: str = "sweep"
    help: str = "search for settings of both levels, whole experiments as trials on selection seeds"

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        add_options(parser, Options, arguments)
        return add_settings_of_preset(parser, arguments)

    def run(self, parsed: Namespace) -> int:
        from hierarchy.sweeping.sweep import check_folder

        options, config = options_of(Options, parsed), experiment_of(parsed)
        if options.space is None:
            raise UsageError(f"space must be a YAML or JSON file or one of {', '.join(space_names())}, got nothing")
        sweep = checked(space_file(options.space), config, parsed.preset, options.trials)
        out = options.out or OUT_ROOT / f"{parsed.preset}-sweep"
        check_folder(sweep, out)
        check_writable(out, "out")
        if config.tracking.enabled:
            check_tracking(out.parent)
        print_notes(config)
        show(run(sweep, out), out)
        return 0


def checked(space: Path, config: ExperimentConfig, preset: str, n_trials: int) -> Sweep:
    """A sweep that settings allow at all its corners.

    Raises
    ------
    UsageError, SettingError
        The space is none, or settings refuse one of its corners.
    """
    from hierarchy.sweeping.space import corners

    check_fits(config)
    sweep = sweep_of(read_space(space, config), config, preset, n_trials)
    n_points = math.prod(one.n_values for one in sweep.space.values())
    if n_trials > n_points:
        raise SettingError("trials", f"<= {n_points:.0f}, which is all that the space has", n_trials)
    for values in corners(sweep.space):
        check_fits(sweep.config_of(values))
    return sweep


def run(sweep: Sweep, out: Path) -> SweepResults:
    """Run a sweep, or the rest of it; what has come of it."""
    from rich.console import Console

    from hierarchy.sweeping.running import run_sweep
    from runs.terminal.progress import progress

    return run_sweep(sweep, out, progress(Console(stderr=True)))


def show(results: SweepResults, out: Path) -> None:
    """All trials as a table, and where the best one is."""
    from hierarchy.sweeping.sweep import BEST_NAME
    from hierarchy.sweeping.tables import table
    from runs.terminal.tables import print_rows, wide_console

    print_rows("trials, best first", table(results), wide_console())
    for name, share in results["importances"].items():
        print(f"importance of {name}: {share:.2f}")
    if results["best"] is not None:
        print(f"best: trial {results['best']}; train and compare it with: metabalance train --config {out / BEST_NAME}")


SWEEP = SweepCommand()
