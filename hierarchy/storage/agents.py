"""Trained agents in a folder, each with the specification of the world that it was trained in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import envs
from envs.core.batch import layout_of
from envs.core.spec import LOWER_FIELDS, PART_FIELDS, UPPER_FIELDS, WorldSpec
from envs.core.validation import SettingError
from envs.core.world import World
from hierarchy.config import ExperimentConfig
from hierarchy.protocols import Actor, Learner, TrainedActor
from hierarchy.storage.files import read_json
from hierarchy.storage.folder import NotTrainedError, OutputFolder

MADE_BY = {"lower": "train-lower", "upper": "train-upper", "flat": "ablate"}
"""Commands that make each agent; others are made by studies."""


def save(learner: Learner, path: Path, config: ExperimentConfig) -> None:
    """Write an agent, and beside it what it is and which world it was trained in."""
    learner.save(path, {"spec": envs.describe(config.env).to_json()})


def copy(source: Path, target: Path) -> None:
    """Put a saved agent, and what it is, in another place as well; there is nothing or all of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}")
    for suffix in (".json", target.suffix):  # what others look for comes last
        shutil.copyfile(source.with_suffix(suffix), draft)
        os.replace(draft, target.with_suffix(suffix))


def load_lower(folder: OutputFolder, config: ExperimentConfig, name: str = "lower") -> TrainedActor:
    """The lower agent of a folder, or another one that acts on the same observations, in the world of ``config``.

    Raises
    ------
    NotTrainedError
        It is missing, can't be read, or was trained for another world.
    """
    path = folder.agent(name)
    actor = _read(config.lower.load, path, name)
    return fitted(actor, path.name, spec_of(path), envs.describe(config.env), lambda: envs.simulate(config.env, 1).world)


def fitted(actor: TrainedActor, name: str, trained: WorldSpec, spec: WorldSpec, world: Callable[[], World]) -> TrainedActor:
    """A lower agent that was trained in one world, in another one: itself, or one for as many parts as there are.

    Raises
    ------
    NotTrainedError
        It can't act there; ``name`` is what it is called.
    """
    check_fits(name, spec, trained, PART_FIELDS)
    if spec.misfit(trained, LOWER_FIELDS) is None:
        return actor
    there = world()
    try:
        return actor.fitted(layout_of(there).space(there.observation_function.space), there.dynamics.action_space)
    except ValueError:
        check_fits(name, spec, trained, LOWER_FIELDS)
        raise


def load_upper(folder: OutputFolder, config: ExperimentConfig) -> Actor:
    """The upper agent of a folder, for the world of ``config``.

    Raises
    ------
    NotTrainedError
        It is missing, can't be read, or was trained for another world.
    """
    path = folder.agent("upper")
    actor = _read(config.upper.load, path, "upper")
    check_fits(path.name, envs.describe(config.env), spec_of(path), UPPER_FIELDS)
    return actor


def spec_of(path: Path) -> WorldSpec:
    """The specification of the world that a saved agent was trained in.

    Raises
    ------
    SettingError
        There is none beside it.
    """
    description = path.with_suffix(".json")
    try:
        return WorldSpec.from_json(read_json(description)["spec"])
    except (KeyError, TypeError) as error:
        raise SettingError(description.name, "a description of a trained agent", f"{description} ({error})") from None


def check_fits(name: str, spec: WorldSpec, trained: WorldSpec, fields: Sequence[str]) -> None:
    """An agent was trained in a world like that one.

    Raises
    ------
    NotTrainedError
        In one that differs in one of ``fields``.
    """
    misfit = spec.misfit(trained, fields)
    if misfit is not None:
        allowed, _, value = misfit.rpartition(", got ")
        raise NotTrainedError(name, f"trained for {allowed}", value)


def _read(load: Callable[[Path], Learner], path: Path, name: str) -> TrainedActor:
    made_by = MADE_BY.get(name, "a study")
    if not path.is_file():
        raise NotTrainedError("out", f"a folder that holds {path.name} (made by {made_by})", path.parent)
    try:
        return load(path).actor
    except SettingError as error:
        raise NotTrainedError(error.path, error.allowed, error.value) from None
    except Exception as error:  # whatever a damaged file may raise
        raise NotTrainedError(path.name, f"an agent saved by {made_by}", f"{path} ({error})") from error
