"""Trained agents in a folder, each with the specification of the world that it was trained in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

import envs
from envs.core.batch import layout_of
from envs.core.spec import LOWER_FIELDS, PART_FIELDS, UPPER_FIELDS, WorldSpec
from envs.core.validation import SettingError, one_line
from envs.core.world import World
from hierarchy.building.windows import n_contexts_of
from hierarchy.config import ExperimentConfig
from hierarchy.protocols import Learner, SavedAgent, Source, TrainedActor
from hierarchy.storage.files import write
from hierarchy.storage.folder import NotTrainedError, OutputFolder
from hierarchy.storage.saved import read_saved, write_saved

MADE_BY = {"lower": "train-lower", "upper": "train-upper", "flat": "ablate"}
"""Commands that make each agent; others are made by studies."""


BEGUN_FROM = "begun_from"
"""Says in the description of an agent where the one is from that it began as."""


def save(learner: Learner, path: Path, config: ExperimentConfig, source: Source | None = None) -> None:
    """Write an agent, with the specification of the world that it was trained in and where that one is from that it began
    as, if it did; whole or not at all.
    """
    saved = learner.saved(path.name)
    said: dict[str, Any] = {"spec": envs.describe(config.env).to_json()}
    if source is not None:
        said[BEGUN_FROM] = source.origin
    write_saved(saved._replace(description={**saved.description, **said}), path)


def origins(folder: OutputFolder) -> dict[str, Any]:
    """Where those are from that the agents of a folder began as, by the name of the agent; see :attr:`Source.origin`.

    Raises
    ------
    NotTrainedError
        One is missing or can't be read.
    """
    found = {name: read_agent(folder, name).description.get(BEGUN_FROM) for name in ("lower", "upper")}
    return {name: origin for name, origin in found.items() if origin is not None}


def copy(source: Path, target: Path) -> None:
    """Put a saved agent in another place as well; it is there whole or not at all."""
    data = source.read_bytes()
    write(target, lambda file: file.write(data))


def load_lower(folder: OutputFolder, config: ExperimentConfig, name: str = "lower") -> TrainedActor:
    """The lower agent of a folder, or another one that acts on the same observations, in the world of ``config``.

    Raises
    ------
    NotTrainedError
        It is missing, can't be read, or was trained for another world.
    """
    return lower_of(read_agent(folder, name), config)


def lower_of(saved: SavedAgent, config: ExperimentConfig) -> TrainedActor:
    """A saved lower agent in the world of ``config``.

    Raises
    ------
    NotTrainedError
        It was trained for another world or by another algorithm, or does not hold what it says.
    """
    with _naming():
        actor, spec = config.lower.actor(saved), spec_of(saved)
    return fitted(actor, saved.name, spec, envs.describe(config.env), lambda: envs.simulate(config.env, 1).world)


def fitted(actor: TrainedActor, name: str, trained: WorldSpec, spec: WorldSpec, world: Callable[[], World]) -> TrainedActor:
    """A lower agent that was trained in one world, in another one: itself, or one for as many parts as there are.

    Raises
    ------
    NotTrainedError
        It can't act there; ``name`` is what it is called.
    """
    check_fits(name, spec, trained, PART_FIELDS)
    there = world()
    observed = layout_of(there).space(there.observation_function.space)
    try:
        return actor.fitted(observed, there.dynamics.action_space, there.dynamics.n_agents)
    except ValueError as error:
        check_fits(name, spec, trained, LOWER_FIELDS)
        raise NotTrainedError(name, "an agent whose networks fit its world", one_line(error)) from None


def load_upper(folder: OutputFolder, config: ExperimentConfig) -> TrainedActor:
    """The upper agent of a folder, for the world of ``config``.

    Raises
    ------
    NotTrainedError
        It is missing, can't be read, or was trained for another world.
    """
    return upper_of(read_agent(folder, "upper"), config)


def upper_of(saved: SavedAgent, config: ExperimentConfig) -> TrainedActor:
    """A saved upper agent for the world of ``config``.

    Raises
    ------
    NotTrainedError
        It was trained for another world or by another algorithm, or does not hold what it says.
    """
    with _naming():
        actor, spec = config.upper.actor(saved), spec_of(saved)
    there = envs.describe(config.env)
    check_fits(saved.name, there, spec, UPPER_FIELDS)
    sizes = len(there.observed) + there.n_terms, n_contexts_of(config, there.n_agents) * there.n_terms
    observed, set_by_it = (spaces.Box(-np.inf, np.inf, (n,), np.float32) for n in sizes)
    try:
        return actor.fitted(observed, set_by_it)
    except ValueError as error:
        raise NotTrainedError(saved.name, "an agent whose network fits its world", one_line(error)) from None


def spec_of(saved: SavedAgent) -> WorldSpec:
    """The specification of the world that an agent was trained in.

    Raises
    ------
    SettingError
        It doesn't say.
    """
    try:
        return WorldSpec.from_json(saved.description["spec"])
    except (AttributeError, KeyError, TypeError) as error:
        raise SettingError(saved.name, "an agent with the specification of its world", one_line(error)) from None


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


def read_agent(folder: OutputFolder, name: str, field: str = "out") -> SavedAgent:
    """The agent of that name in the folder of an experiment, which a ``field`` names.

    Raises
    ------
    NotTrainedError
        It is missing or can't be read.
    """
    path, made_by = folder.agent(name), MADE_BY.get(name, "a study")
    if not path.is_file():
        raise NotTrainedError(field, f"a folder that holds {path.name} (made by {made_by})", folder)
    with _naming():
        return read_saved(path)


@contextmanager
def _naming() -> Iterator[None]:
    """What is refused of an agent is refused as an agent."""
    try:
        yield
    except NotTrainedError:
        raise
    except SettingError as error:
        raise NotTrainedError(error.path, error.allowed, error.value) from None
