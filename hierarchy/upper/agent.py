"""The upper agent: TD3 that sets the context of a frozen lower agent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3 import TD3
from stable_baselines3.common.noise import NormalActionNoise

import envs
from envs.core.batch import BatchEnv
from envs.core.rng import Role
from hierarchy.config import ExperimentConfig
from hierarchy.lower.agent import FrozenLower
from hierarchy.nets.recurrent import FusedLstmPolicy
from hierarchy.simplex import to_simplex
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


def windows(config: ExperimentConfig, lower: FusedLstmPolicy, role: Role, env_ids: list[int], n_windows: int) -> Windows:
    """A batch for ``n_windows`` windows an episode, with the frozen lower agent on top."""
    return Windows(batch(config, role, env_ids, n_windows), FrozenLower(lower, len(env_ids)))


def td3_settings(config: ExperimentConfig, n_terms: int) -> dict[str, Any]:
    """The settings of TD3, for SB3."""
    upper = config.upper
    names = ("learning_rate", "buffer_size", "learning_starts", "batch_size", "tau", "gamma")
    noise = NormalActionNoise(np.zeros(n_terms), np.full(n_terms, upper.action_noise))
    return {name: getattr(upper, name) for name in names} | {"action_noise": noise, "seed": config.seed, "device": "cpu"}


def build(config: ExperimentConfig, lower: FusedLstmPolicy) -> TD3:
    """A fresh upper agent over fresh meta envs; one gradient step per meta step."""
    upper = config.upper
    env_ids = [UPPER_ENV_IDS + i for i in range(upper.n_envs)]
    meta_env = MetaEnv(windows(config, lower, "train", env_ids, upper.episode_windows), upper)
    return TD3(
        "MlpPolicy",
        meta_env,
        train_freq=(1, "step"),
        gradient_steps=-1,
        policy_kwargs={"net_arch": [upper.hidden_size, upper.hidden_size], "optimizer_kwargs": {"fused": True}},
        **td3_settings(config, meta_env.windows.batch.n_terms),
    )


def contexts(agent: TD3, meta_observation: NDArray[np.float32]) -> NDArray[Any]:
    """The contexts ``(n_envs, k)`` that the agent sets, without exploration."""
    with th.inference_mode():
        return to_simplex(agent.actor(th.from_numpy(meta_observation)).numpy())


def load(path: Path) -> TD3:
    """Read an agent back; its env is not kept."""
    return TD3.load(path, device="cpu")
