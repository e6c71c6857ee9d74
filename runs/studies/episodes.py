"""Episodes that studies look at, run by the loop of the arms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

import envs
from envs.core.arrays import FloatArray
from envs.core.rules import Controller, Numbers
from envs.core.simulation import Simulation
from hierarchy.arms.running import Batch, Recorder, run_episodes
from hierarchy.arms.start import Agents, Start
from hierarchy.building.upper import simulation
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.episodes import Episodes
from hierarchy.pair import Held, Pair
from hierarchy.protocols import Actor


def controlled(
    config: ExperimentConfig, batch: Batch, start: Callable[[Simulation], Controller], recorder: type[Recorder] = Recorder
) -> Episodes:
    """The controller that ``start`` makes of a simulation of a batch; contexts are recorded where it is a pair."""
    below = simulation(config, batch.role, batch.env_ids, batch.n_windows, batch.env)
    below.reset()
    controller = start(below)
    pair = controller if isinstance(controller, Pair) else None
    return run_episodes(below, controller, lower_steps_per_window(config), recorder(below, pair))


def under(
    config: ExperimentConfig, lower: Actor, context: FloatArray, batch: Batch, recorder: type[Recorder] = Recorder
) -> Episodes:
    """A lower agent under a context ``(n_terms,)``, or under one per env ``(n_envs, n_terms)``."""
    held, agents = Held(context), Agents(lower)
    return controlled(config, batch, lambda below: Start(config, agents, {}, below).pair(held), recorder)


def latency_first(config: ExperimentConfig, lower: Actor, batch: Batch, recorder: type[Recorder] = Recorder) -> Episodes:
    """A lower agent with all weight on latency."""
    terms = envs.describe(batch.env).terms
    return under(config, lower, np.eye(len(terms))[terms.index("latency")], batch, recorder)


def of_rule(
    config: ExperimentConfig,
    name: str,
    batch: Batch,
    values: Sequence[Numbers] = (),
    recorder: type[Recorder] = Recorder,
) -> Episodes:
    """A rule of the batch's world, with numbers for all envs or for each if it has any."""
    rule = envs.rules(batch.env)[name]
    world = rule.configured(batch.env)
    return controlled(config, batch._replace(env=world), lambda below: rule.start(world, below.n_envs, values), recorder)


def of_rules(config: ExperimentConfig, batch: Batch, recorder: type[Recorder] = Recorder) -> Mapping[str, Episodes]:
    """Every rule of the batch's world that has no numbers to be found and could be run there, on the same seeds."""
    names = [name for name, rule in envs.rules(batch.env).items() if not (rule.has_numbers or rule.is_oracle)]
    return {name: of_rule(config, name, batch, recorder=recorder) for name in names}
