"""The lower agent: build, train, save, load, and act for a whole batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.stacked_observations import StackedObservations

import envs
from envs.core.batch import BatchEnv
from hierarchy.config import ExperimentConfig
from hierarchy.lower.contextual_ppo import ContextualPPO
from hierarchy.lower.fused_ppo import FusedRecurrentPPO
from hierarchy.lower.vec_env import BatchVecEnv
from hierarchy.nets.equivariant import EquivariantLstmPolicy, PartEncoder, choices
from hierarchy.nets.preprocessing import wrapped
from hierarchy.nets.recurrent import ContextGate, FusedLstmPolicy, Memory

FINAL_SHARE = 0.02
"""The learning rate ends at this share of where it begins."""


def policy_kwargs(n_terms: int, hidden_size: int) -> dict[str, Any]:
    """The networks of the lower agent, for SB3."""
    return {
        "lstm_hidden_size": hidden_size,
        "net_arch": [hidden_size],
        "features_extractor_class": ContextGate,
        "features_extractor_kwargs": {"n_terms": n_terms, "features_dim": hidden_size},
        "optimizer_kwargs": {"fused": True, "eps": 1e-5},
    }


def ppo_settings(config: ExperimentConfig) -> dict[str, Any]:
    """The settings of PPO, for SB3; the learning rate falls in a line to a fiftieth."""
    lower = config.lower
    names = ("n_steps", "batch_size", "n_epochs", "gamma", "gae_lambda", "clip_range", "ent_coef")
    falling = LinearSchedule(lower.learning_rate, lower.learning_rate * FINAL_SHARE, 1.0)
    return {name: getattr(lower, name) for name in names} | {
        "learning_rate": falling,
        "seed": config.seed,
        "device": "cpu",
    }


def networks(env: VecEnv, batch: BatchEnv, config: ExperimentConfig) -> dict[str, Any]:
    """The arguments of an agent with the lower agent's networks and settings over the wrapped ``env`` of ``batch``.

    Raises
    ------
    ValueError
        An equivariant policy in a world without interchangeable parts.
    """
    kwargs: dict[str, Any] = policy_kwargs(batch.n_terms, config.lower.hidden_size)
    kwargs |= {"history": config.lower.history, "normalised": config.lower.normalise_observations}
    policy: type[FusedLstmPolicy] = FusedLstmPolicy
    if config.lower.policy == "equivariant":
        check_parts(batch.dynamics.n_parts, batch.action_space)
        policy, kwargs["features_extractor_class"] = EquivariantLstmPolicy, PartEncoder
    return {"policy": policy, "env": env, "policy_kwargs": kwargs, **ppo_settings(config)}


def check_parts(n_parts: int, action_space: spaces.Space[Any]) -> None:
    """An equivariant policy needs parts, and an equal choice of levels for each."""
    try:
        fits = choices(action_space)[0] == n_parts
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("lower.policy must be joint in a world without interchangeable parts, got equivariant")


def build(config: ExperimentConfig) -> ContextualPPO:
    """A fresh lower agent over a fresh batch of its world; it begins near the nominal action."""
    batch = envs.make(config.env, config.lower.n_envs, config.seed, "train", config.lower.context)
    env = wrapped(BatchVecEnv(batch), batch.n_terms, config.lower)
    agent = ContextualPPO(n_terms=batch.n_terms, **networks(env, batch, config))
    begin_near_nominal(agent, batch, config)
    return agent


def begin_near_nominal(agent: FusedRecurrentPPO, batch: BatchEnv, config: ExperimentConfig) -> None:
    """Give the nominal action of a world a head start, if it has one."""
    if batch.nominal_action is not None:
        policy_of(agent).begin_near(batch.nominal_action, config.lower.nominal_logit)


class FrozenLower:
    """The trained policy, deterministic, acting for a batch of any width in one call per step.

    Observations are normalised with the moments that training ended with, and stacked, as the policy learned to see them.
    Its memory is part of the object: :meth:`reset` clears it for a new batch.
    """

    def __init__(self, policy: FusedLstmPolicy, n_envs: int) -> None:
        self._policy = policy
        self._policy.set_training_mode(False)
        self._keep = th.zeros(n_envs, 1)
        self._memory: Memory = policy.no_memories(n_envs).actor
        self._stack: StackedObservations[np.ndarray] | None = None
        if policy.history > 1:
            self._stack = StackedObservations(n_envs, policy.history, policy.unstacked_space())

    def reset(self, mask: NDArray[np.bool_] | None = None) -> None:
        """Forget what came before in all envs, or where ``mask (n_envs,)`` is set."""
        if mask is None:
            self._keep[:] = 0.0
        else:
            self._keep[th.from_numpy(mask)] = 0.0

    @th.inference_mode()
    def act(self, observation: NDArray[np.float32]) -> NDArray[Any]:
        """Actions ``(n_envs, ...)`` for observations ``(n_envs, n_features)``."""
        seen = self._policy.as_seen(th.from_numpy(observation))
        if self._stack is not None:
            seen = self._stacked(self._stack, seen)
        parameters, self._memory = self._policy.step_actor(seen, self._memory, self._keep)
        self._keep.fill_(1.0)
        return self._policy.head.mode(parameters)

    def _stacked(self, stack: StackedObservations[np.ndarray], seen: th.Tensor) -> th.Tensor:
        """The newest observations with those before them; nothing before the first."""
        stack.stacked_obs *= self._keep.numpy()
        observations, _ = stack.update(seen.numpy(), np.zeros(len(seen), np.bool_), [])
        return th.from_numpy(observations)


def policy_of(agent: FusedRecurrentPPO) -> FusedLstmPolicy:
    """The agent's policy."""
    assert isinstance(agent.policy, FusedLstmPolicy)
    return agent.policy


def save(agent: BaseAlgorithm, path: Path) -> None:
    """Write the agent, whole or not at all."""
    partial = path.with_name(f".{path.name}")
    agent.save(partial)
    partial.replace(path)


def load(path: Path) -> FusedRecurrentPPO:
    """Read an agent back; its env is not kept."""
    return FusedRecurrentPPO.load(path, device="cpu")
