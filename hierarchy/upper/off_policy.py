"""What upper agents of SB3 that learn from a buffer share: their settings for SB3, their learner and what acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn

from envs.core.arrays import FloatArray, FloatArray32
from hierarchy.nets.saving import described
from hierarchy.protocols import Observer, SavedAgent
from hierarchy.sb3.learner import SB3Learner, falling
from hierarchy.upper.acting import ContextActor
from hierarchy.upper.beginning import begin_at, begin_like
from hierarchy.upper.config import OffPolicyConfig
from hierarchy.upper.figures import MetaStepFigures
from hierarchy.upper.meta_env import MetaEnv
from hierarchy.upper.penalised_td3 import PenalisedTD3
from hierarchy.upper.remembering import RememberingActor
from hierarchy.upper.saturation import SaturationWatch
from hierarchy.upper.warm_up import WarmedSAC
from hierarchy.vec_env import ArrayVecEnv


class UpperLearner(SB3Learner):
    """An upper agent in training."""

    agent: PenalisedTD3 | WarmedSAC

    def begin_from(self, saved: SavedAgent) -> None:
        """Take over what a saved agent has learned, and be drawn to that where there is a penalty."""
        super().begin_from(saved)
        self.agent.keep_beginning()

    def _begin_rest(self) -> None:
        self.agent.keep_beginning()
        self.agent.begin_again()

    def begin_at(self, mix: FloatArray) -> None:
        """Set a mix ``(k,)`` in every state, before anything is learned, and be drawn to it where there is a penalty."""
        begin_at(self.agent, mix)

    def begin_like(self, observations: FloatArray32, mixes: FloatArray) -> None:
        """Set mixes ``(n, k)`` for meta observations ``(n, n_features)``, and be drawn to that where there is a penalty."""
        begin_like(self.agent, observations, mixes)


def arguments(config: OffPolicyConfig, seed: int) -> dict[str, Any]:
    """The arguments of an agent for SB3; the learning rate falls in a line."""
    names = ("buffer_size", "learning_starts", "batch_size", "tau", "gamma")
    return {name: getattr(config, name) for name in names} | {
        "learning_rate": falling(config.learning_rate, config.final_share),
        "seed": seed,
        "device": "cpu",
    }


def schedule(config: OffPolicyConfig) -> dict[str, Any]:
    """How often an agent over many envs learns, and its networks, for SB3."""
    layers = [config.hidden_size, config.hidden_size]
    return {
        "train_freq": (1, "step"),
        "gradient_steps": config.n_envs // config.meta_steps_per_update,
        "policy_kwargs": {"net_arch": layers, "optimizer_kwargs": {"fused": True}},
    }


def learner(
    agent: PenalisedTD3 | WarmedSAC, network: nn.Sequential, config: OffPolicyConfig, env: ArrayVecEnv
) -> UpperLearner:
    """An agent in training over meta envs, which begins with contexts drawn as the settings say; ``network`` is what acts of
    it, behind the memory of the envs if they have one.
    """
    agent.warm_up, agent.n_contexts = config.context, env.n_contexts
    memory = env.memory if isinstance(env, MetaEnv) else None
    plain = ContextActor(network, env.n_contexts)
    actor = plain if memory is None else RememberingActor(network, memory, env.n_contexts)

    def callbacks(observers: Sequence[Observer]) -> list[BaseCallback]:
        watch = SaturationWatch(network, env.n_contexts)
        return [watch, MetaStepFigures(observers, watch)]

    return UpperLearner(agent, actor.module, actor, described(config.algorithm, actor.form), callbacks)


def n_weights(env: ArrayVecEnv) -> int:
    """Weights that are set in an env, those of all contexts."""
    assert env.action_space.shape is not None
    return int(np.prod(env.action_space.shape))
