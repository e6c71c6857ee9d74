"""A file that says what a sweep searches: settings by their dotted names, each with a range or with choices.

.. code-block:: yaml

    lower.learning_rate: {low: 1e-4, high: 3e-3, log: true}
    lower.n_epochs: {low: 4, high: 12, step: 2}
    upper.algorithm: {choices: [td3, sac]}
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from envs.core.validation import SettingError, build, field_type
from envs.core.value_types import words
from hierarchy.config import ExperimentConfig
from hierarchy.storage.files import plain_settings
from hierarchy.storage.settings import config_from
from hierarchy.sweeping.space import Choices, Dimension, Range, Space, Values
from hierarchy.sweeping.sweep import KEPT, SEARCHED, Sweep, read_sweep, space_of
from runs.settings import files
from runs.settings.layers import join, lay_over, parts
from runs.settings.types import typed
from runs.settings.usage import UsageError

SPACES = Path(__file__).parents[1] / "spaces"
RANGE, OPTIONAL, CHOICES = ("low", "high"), ("log", "step"), "choices"
"""What is said of a setting."""


def space_names() -> list[str]:
    """The spaces there are."""
    return sorted(path.stem for path in SPACES.glob("*.yaml"))


def space_file(word: str) -> Path:
    """The file of a space: of one of ours by its name, or the one that is named.

    Raises
    ------
    UsageError
        It is neither.
    """
    if Path(word).suffix in files.SUFFIXES:
        return Path(word)
    if word not in space_names():
        raise UsageError(f"space must be a YAML or JSON file or one of {', '.join(space_names())}, got {word}")
    return SPACES / f"{word}.yaml"


def read_space(path: Path, config: ExperimentConfig) -> Space:
    """What a file says, held against the settings that it is to change.

    Raises
    ------
    UsageError, SettingError
        The file can't be read, names something that is no setting, or says of one what its type does not allow.
    """
    given = files.read(path, "space")
    if not given:
        raise UsageError(f"space must be a mapping of settings to what they may be, got {path} with nothing")
    known = dict(_settings(config))
    return {str(name): _dimension(str(name), _annotation(str(name), known, one), one) for name, one in given.items()}


def _settings(config: ExperimentConfig) -> Iterator[tuple[str, Any]]:
    """Every setting by dotted name, with its type."""
    values = plain_settings(config)
    for part in parts(ExperimentConfig, values):
        hints = typing.get_type_hints(part.config)
        inside: Any = values
        for name in part.path.split(".") if part.path else ():
            inside = inside[name]
        for name in part.defaults:
            if part.choice is not None and name == part.choice.by:
                yield join(part.path, name), Literal[tuple(part.choice.types())]
            elif field_type(part.config, name, inside[name]) is None:
                yield join(part.path, name), hints[name]


def _annotation(name: str, known: Mapping[str, Any], given: object) -> Any:
    """The type of a setting that may be searched."""
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=3)
        raise SettingError(name, f"a setting (nearest: {', '.join(nearest)})" if nearest else "a setting", given)
    if name.split(".")[0] not in SEARCHED:
        raise SettingError(name, f"a setting of {', '.join(SEARCHED)} to be searched", given)
    if any(name == kept or name.startswith(f"{kept}.") for kept in KEPT):
        raise SettingError(name, "the same in all trials, which are held against each other by it", given)
    return known[name]


def _dimension(name: str, annotation: Any, given: object) -> Dimension:
    keys = set(given) if isinstance(given, Mapping) else set()
    is_range = set(RANGE) <= keys <= {*RANGE, *OPTIONAL}
    if not isinstance(given, Mapping) or not (is_range or keys == {CHOICES}):
        raise SettingError(name, "low and high (with log or step), or choices", given)
    try:
        return _range(name, annotation, given) if is_range else _choices(name, annotation, given[CHOICES])
    except SettingError as error:
        raise error if error.path.startswith(name) else error.under(name) from None


def _choices(name: str, annotation: Any, given: object) -> Choices:
    if not isinstance(given, list):
        raise SettingError(CHOICES, "a list", given)
    return Choices([typed(annotation, one, f"{name}.{CHOICES}") for one in given])


def _range(name: str, annotation: Any, given: Mapping[str, Any]) -> Range:
    number = next((kind for kind in (float, int) if kind in (annotation, *typing.get_args(annotation))), None)
    if number is None:
        raise SettingError(name, f"given by choices, for it is {words(annotation)}", dict(given))
    low, high = (number(typed(number, given[key], f"{name}.{key}")) for key in RANGE)
    step = None if given.get("step") is None else number(typed(number, given["step"], f"{name}.step"))
    return Range(low, high, typed(bool, given.get("log", False), f"{name}.log"), step)


def changed(base: Mapping[str, Any], values: Values) -> ExperimentConfig:
    """Plain settings as a config, with some of them changed.

    Raises
    ------
    SettingError
        They are refused.
    """
    layer: dict[str, Any] = {}
    for name, value in values.items():
        *path, last = name.split(".")
        inside = layer
        for key in path:
            inside = inside.setdefault(key, {})
        inside[last] = value
    return build(ExperimentConfig, lay_over(ExperimentConfig, base, layer))


def sweep_of(space: Space, config: ExperimentConfig, preset: str, n_trials: int) -> Sweep:
    """A sweep from settings."""
    return Sweep(preset, config, space, n_trials, partial(changed, plain_settings(config)))


def saved_sweep(folder: Path, *, trusts_factory: bool = False) -> Sweep:
    """The sweep that a folder holds.

    Raises
    ------
    SettingError
        It holds none, or a damaged one, or its world has a factory that is not trusted.
    """
    plain = read_sweep(folder)
    config = config_from(plain["config"], trusts_factory)
    return sweep_of(space_of(plain["space"]), config, plain["preset"], plain["n_trials"])
