"""The lower agent: build, train, save, load, and act for a whole batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.base_class import BaseAlgorithm

import envs
from hierarchy.config import ExperimentConfig
from hierarchy.recurrent import ContextGate, FusedLstmPolicy
from hierarchy.vec_env import BatchVecEnv


def build(config: ExperimentConfig) -> RecurrentPPO:
    """A fresh lower agent over a fresh batch of its world."""
    lower = config.lower
    batch = envs.make(config.env, lower.n_envs, config.seed, "train", lower.context)
    return RecurrentPPO(
        FusedLstmPolicy,
        BatchVecEnv(batch),
        learning_rate=lower.learning_rate,
        n_steps=lower.n_steps,
        batch_size=lower.batch_size,
        n_epochs=lower.n_epochs,
        gamma=lower.gamma,
        gae_lambda=lower.gae_lambda,
        clip_range=lower.clip_range,
        ent_coef=lower.ent_coef,
        policy_kwargs={
            "lstm_hidden_size": lower.hidden_size,
            "net_arch": [lower.hidden_size],
            "features_extractor_class": ContextGate,
            "features_extractor_kwargs": {"n_terms": batch.n_terms, "features_dim": lower.hidden_size},
        },
        seed=config.seed,
        device="cpu",
    )


class FrozenLower:
    """The trained policy, deterministic, acting for a batch of any width in one call per step.

    Its memory is part of the object: :meth:`reset` clears it for a new batch.
    """

    def __init__(self, policy: FusedLstmPolicy, n_envs: int) -> None:
        self._policy = policy
        self._policy.set_training_mode(False)
        self._starts = th.ones(n_envs)
        lstm = policy.lstm_actor
        zero = th.zeros(lstm.num_layers, n_envs, lstm.hidden_size)
        self._state: Any = (zero, zero.clone())

    def reset(self, mask: NDArray[np.bool_] | None = None) -> None:
        """Forget what came before in all envs, or where ``mask (n_envs,)`` is set."""
        if mask is None:
            self._starts[:] = 1.0
        else:
            self._starts[th.from_numpy(mask)] = 1.0

    def act(self, observation: NDArray[np.float32]) -> NDArray[Any]:
        """Actions ``(n_envs, ...)`` for observations ``(n_envs, n_features)``."""
        with th.no_grad():
            policy = self._policy
            features = policy.extract_features(th.from_numpy(observation), policy.pi_features_extractor)
            assert isinstance(features, th.Tensor)
            memory, self._state = policy._process_sequence(features, self._state, self._starts, policy.lstm_actor)
            actions = self._mode(policy.action_net(policy.mlp_extractor.forward_actor(memory)))
        self._starts = th.zeros_like(self._starts)
        return actions

    def _mode(self, parameters: th.Tensor) -> NDArray[Any]:
        """The likeliest action: the largest logit of every server, or the mean of a Gaussian held in its box.

        The same as the mode of SB3's distribution, without building one.
        """
        space = self._policy.action_space
        if isinstance(space, spaces.MultiDiscrete):
            levels = [logits.argmax(dim=1) for logits in th.split(parameters, space.nvec.tolist(), dim=1)]
            chosen: NDArray[Any] = th.stack(levels, dim=1).numpy()
            return chosen
        assert isinstance(space, spaces.Box)
        mean: NDArray[Any] = np.clip(parameters.numpy(), space.low, space.high)
        return mean


def policy_of(agent: RecurrentPPO) -> FusedLstmPolicy:
    """The agent's policy."""
    assert isinstance(agent.policy, FusedLstmPolicy)
    return agent.policy


def save(agent: BaseAlgorithm, path: Path) -> None:
    """Write the agent, whole or not at all."""
    partial = path.with_name(f".{path.name}")
    agent.save(partial)
    partial.replace(path)


def load(path: Path) -> RecurrentPPO:
    """Read an agent back; its env is not kept."""
    return RecurrentPPO.load(path, device="cpu")
