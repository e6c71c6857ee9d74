"""An upper agent over windows of the running simulation under a frozen lower one."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import envs
from envs import EnvConfig
from envs.core.arrays import FloatArray, FloatArray32
from envs.core.rng import Role
from envs.core.simulation import Simulation
from hierarchy.building.windows import episode_steps, lower_steps_per_window, n_contexts_of
from hierarchy.config import ExperimentConfig
from hierarchy.nets.window_memory import WindowMemory
from hierarchy.pair import Held, Pair, equal_mix
from hierarchy.protocols import Actor, Source, UpperLearner
from hierarchy.upper.memory.of_world import unfitted
from hierarchy.upper.meta_env import Below, MetaEnv

UPPER_ENV_IDS = 1_000_000
"""Env ids of phase 2 start here, so that it shares no stream with phase 1."""


def simulation(
    config: ExperimentConfig, role: Role, env_ids: Sequence[int], n_windows: int, env: EnvConfig | None = None
) -> Simulation:
    """A simulation for ``n_windows`` windows an episode, of the experiment's world or of another one."""
    world = replace(config.env if env is None else env, episode_steps=episode_steps(config, n_windows))
    return envs.simulate(world, len(env_ids), config.seed, role, env_ids)


def vec_env(
    config: ExperimentConfig, lower: Actor, mix: FloatArray | None = None, memory: WindowMemory | None = None
) -> MetaEnv:
    """Fresh meta envs to learn in; a twin has a mix ``(k,)`` all the time, or equal weights.

    Without a ``memory`` that is fitted there is one that has to be before its envs begin, where settings have one.
    """
    upper = config.upper
    env_ids = [UPPER_ENV_IDS + i for i in range(upper.n_envs)]
    period, whole_episodes = lower_steps_per_window(config), upper.meta_step == "episode"

    def fresh() -> Simulation:
        below = simulation(config, "train", env_ids, upper.episode_windows)
        below.settles = whole_episodes  # a window is valued by what comes after it, a whole episode by itself
        return below

    below, twin = fresh(), None
    if upper.paired:
        other = fresh()
        held = Held(equal_mix(other.world) if mix is None else mix)
        twin = Below(other, Pair(other.world, lower.start(other.n_rows), held, period))
    n_contexts = n_contexts_of(config, below.world.dynamics.n_agents)
    own = unfitted(upper.memory, below.world) if memory is None else copy.deepcopy(memory)
    acting = lower.start(below.n_rows)
    return MetaEnv(below, acting, period, upper.episode_windows, whole_episodes, twin, n_contexts, own)


class Beginning(NamedTuple):
    """What an upper agent begins with.

    Attributes
    ----------
    mix
        What it sets in every state, and a twin under it all the time; ``(k,)``.
    examples
        Observations ``(n, n_features)`` and the mix for each ``(n, k)``, to set these instead.
    source
        Another agent, to set what that one does instead; without a mix a twin is under equal weights.
    """

    mix: FloatArray | None = None
    examples: tuple[FloatArray32, FloatArray] | None = None
    source: Source | None = None


def build(
    config: ExperimentConfig,
    lower: Actor,
    seed: int | None = None,
    beginning: Beginning | None = None,
    memory: WindowMemory | None = None,
) -> UpperLearner:
    """A fresh upper agent over fresh meta envs, with a beginning if there is one; of another seed than that of the settings,
    both draw from that one. For ``memory`` see :func:`vec_env`.
    """
    env = vec_env(config, lower, None if beginning is None else beginning.mix, memory)
    learner = config.upper.build(env, config.seed if seed is None else seed)
    if beginning is None:
        return learner
    if beginning.source is not None:
        learner.begin_from(beginning.source.agent)
        return learner
    if beginning.mix is not None:
        learner.begin_at(beginning.mix)
    if beginning.examples is not None:
        learner.begin_like(*beginning.examples)
    return learner
