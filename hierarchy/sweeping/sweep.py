"""A sweep in its folder: what is searched, from which settings, and whether a folder holds it already."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envs.core.validation import SettingError
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.config import ExperimentConfig
from hierarchy.storage.files import plain_settings, read_mapping
from hierarchy.storage.folder import CONFIG_NAME
from hierarchy.sweeping.space import Space, Values, dimension_of

SWEEP_NAME, BEST_NAME = "sweep.json", "best.yaml"
SEARCHED = ("env", "lower", "meta", "upper")
"""Settings that may be searched: those that agents are trained by."""
KEPT = ("env.family", "env.objective", "upper.candidate_seeds")
"""Of them those that must be the same in all trials: they say what is maximised, and on which seeds."""
OF_TRIALS = (*SEARCHED, "ablation", "seed")
"""Settings that trials depend on; the others may change where a sweep goes on."""

Configure = Callable[[Values], ExperimentConfig]
"""The settings of a sweep with some of them changed, by dotted name."""


@dataclass(frozen=True)
class Sweep:
    """What is to be done.

    Attributes
    ----------
    preset
        Name of the preset that settings started from.
    base
        The settings that trials have but for those that are searched.
    n_trials
        Wanted, those that were run before included.
    configure
        Makes the settings of a trial.
    """

    preset: str
    base: ExperimentConfig
    space: Space
    n_trials: int
    configure: Configure

    def config_of(self, values: Values) -> ExperimentConfig:
        """The settings of a trial. Its episodes on selection seeds last as long as in all others, whatever a window is.

        Raises
        ------
        SettingError
            Settings refuse the values.
        """
        config = self.configure(values)
        n_windows = self.base.ablation.select_windows * _window_s(self.base) / _window_s(config)
        ablation = dataclasses.replace(config.ablation, select_windows=max(1, round(n_windows)))
        return dataclasses.replace(config, ablation=ablation)

    def plain(self) -> dict[str, Any]:
        """As it is kept."""
        space = {name: one.plain() for name, one in self.space.items()}
        return {"preset": self.preset, "n_trials": self.n_trials, "space": space, "config": plain_settings(self.base)}


def _window_s(config: ExperimentConfig) -> float:
    return lower_steps_per_window(config) * config.env.dt_s


def check_folder(sweep: Sweep, out: Path) -> None:
    """A folder must be empty, or hold this sweep.

    Raises
    ------
    SettingError
        It holds something else.
    """
    if not (out / SWEEP_NAME).is_file():
        if (out / CONFIG_NAME).is_file():
            raise SettingError("out", "a folder that holds no experiment", out)
        return
    before, now = read_sweep(out), sweep.plain()
    for name in ("preset", "space"):
        if before[name] != now[name]:
            raise SettingError("out", f"empty or a sweep of {name} {now[name]}", f"{out} with {before[name]}")
    for part in OF_TRIALS:
        old, new = before["config"][part], now["config"][part]
        if old != new:
            name = next((one for one in new if new[one] != old.get(one)), "") if isinstance(new, Mapping) else ""
            path, was = (f"{part}.{name}", old.get(name)) if name else (part, old)
            raise SettingError("out", f"empty or a sweep with {path} {new[name] if name else new}", f"{out} with {was}")


def read_sweep(out: Path) -> dict[str, Any]:
    """What a folder says that its sweep is: see `Sweep.plain`.

    Raises
    ------
    SettingError
        It can't be read.
    """
    plain = read_mapping(out / SWEEP_NAME)
    if {"preset", "n_trials", "space", "config"} - plain.keys():
        raise SettingError(SWEEP_NAME, "as a sweep of this version writes it", out / SWEEP_NAME)
    return plain


def space_of(plain: Mapping[str, Mapping[str, Any]]) -> Space:
    """The space that a folder holds."""
    return {name: dimension_of(one) for name, one in plain.items()}


def flat(plain: Mapping[str, Any], prefix: str = "") -> Values:
    """Nested settings by dotted name."""
    out: Values = {}
    for name, value in plain.items():
        out[f"{prefix}{name}"] = value
        if isinstance(value, Mapping):
            out |= flat(value, f"{prefix}{name}.")
    return out
