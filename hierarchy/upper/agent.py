"""An upper agent over windows of the running simulation under a frozen lower one."""

from __future__ import annotations

from dataclasses import replace

import envs
from envs.core.batch import BatchEnv
from envs.core.rng import Role
from hierarchy.config import ExperimentConfig
from hierarchy.protocols import Actor, Learner
from hierarchy.upper.meta_env import MetaEnv, Windows

UPPER_ENV_IDS = 1_000_000
"""Env ids of phase 2 start here, so that it shares no stream with phase 1."""


def lower_steps_per_window(config: ExperimentConfig) -> int:
    """Lower steps in a meta step."""
    return config.env.episode_steps if config.upper.meta_step == "episode" else config.upper.meta_period


def episode_steps(config: ExperimentConfig, n_windows: int) -> int:
    """Lower steps of an episode of ``n_windows`` windows, of which a meta step of a whole episode is one."""
    return lower_steps_per_window(config) * (1 if config.upper.meta_step == "episode" else n_windows)


def batch(config: ExperimentConfig, role: Role, env_ids: list[int], n_windows: int) -> BatchEnv:
    """Envs for ``n_windows`` windows an episode."""
    env = replace(config.env, episode_steps=episode_steps(config, n_windows))
    return envs.make(env, len(env_ids), config.seed, role, env_ids=env_ids)


def windows(config: ExperimentConfig, lower: Actor, role: Role, env_ids: list[int], n_windows: int) -> Windows:
    """A batch for ``n_windows`` windows an episode, with the frozen lower agent on top."""
    return Windows(batch(config, role, env_ids, n_windows), lower.start(len(env_ids)))


def vec_env(config: ExperimentConfig, lower: Actor) -> MetaEnv:
    """Fresh meta envs to learn in."""
    upper = config.upper
    env_ids = [UPPER_ENV_IDS + i for i in range(upper.n_envs)]
    return MetaEnv(windows(config, lower, "train", env_ids, upper.episode_windows), upper)


def build(config: ExperimentConfig, lower: Actor) -> Learner:
    """A fresh upper agent over fresh meta envs."""
    return config.upper.build(vec_env(config, lower), config.seed)
