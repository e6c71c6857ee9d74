"""What upper agents of SB3 that learn from a buffer share: their settings for SB3, their learner and what acts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback

from envs.core.arrays import BoolArray, FloatArray, FloatArray32
from envs.core.simplex import SCALE, to_simplex
from envs.core.state import Tree
from envs.core.validation import SettingError
from hierarchy.protocols import Observer
from hierarchy.sb3.learner import SB3Learner, description_of, falling
from hierarchy.upper.beginning import begin_at, begin_like
from hierarchy.upper.config import OffPolicyConfig
from hierarchy.upper.figures import MetaStepFigures
from hierarchy.upper.penalised_td3 import PenalisedTD3
from hierarchy.upper.saturation import Network, SaturationWatch
from hierarchy.upper.warm_up import WarmedSAC
from hierarchy.vec_env import ArrayVecEnv

Agent = TypeVar("Agent", PenalisedTD3, WarmedSAC)


class ContextActor:
    """What an agent has learned by now, as contexts without exploration; nothing is remembered from window to window."""

    def __init__(self, network: Network, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> None:
        self._network = network
        self._spaces = observation_space.shape, action_space.shape

    def start(self, n_envs: int) -> ContextActor:
        """The actor itself: one for all envs."""
        return self

    def fitted(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> ContextActor:
        """The actor itself, if spaces have the shapes that it was trained for.

        Raises
        ------
        ValueError
            They have others.
        """
        wanted = observation_space.shape, action_space.shape
        if wanted != self._spaces:
            raise ValueError(f"observations and actions must be {self._spaces}, got {wanted}")
        return self

    def act(self, observation: FloatArray32) -> FloatArray:
        """Contexts ``(n_envs, k)`` for meta observations ``(n_envs, n_features)``."""
        with th.inference_mode():
            return to_simplex(self._network(th.from_numpy(observation)).numpy())

    def reset(self, mask: BoolArray | None = None) -> None:
        """Nothing is remembered."""

    def get_state(self) -> Tree:
        """Nothing moves."""
        return {}

    def set_state(self, state: Tree) -> None:
        """Nothing moves."""


class UpperLearner(SB3Learner):
    """An upper agent in training."""

    agent: PenalisedTD3 | WarmedSAC

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


def learner(agent: PenalisedTD3 | WarmedSAC, network: Network, config: OffPolicyConfig) -> UpperLearner:
    """An agent in training, which begins with contexts drawn as the settings say."""
    agent.warm_up = config.context
    actor = ContextActor(network, agent.observation_space, agent.action_space)

    def callbacks(observers: Sequence[Observer]) -> list[BaseCallback]:
        watch = SaturationWatch(network)
        return [watch, MetaStepFigures(observers, watch)]

    return UpperLearner(agent, actor, {"algorithm": config.algorithm, "action_scale": SCALE}, callbacks)


def saved(kind: type[Agent], config: OffPolicyConfig, path: Path, env: ArrayVecEnv | None) -> Agent:
    """A saved agent; over ``env`` it can be trained further.

    Raises
    ------
    SettingError
        It was trained by another algorithm, or its actions stand for other contexts.
    """
    scale = description_of(path, config.algorithm).get("action_scale")
    if scale != SCALE:
        raise SettingError(path.name, f"trained with actions projected at scale {SCALE}", f"{scale}: train it again")
    return kind.load(path, env, device="cpu")


def n_terms(env: ArrayVecEnv) -> int:
    """Length of the contexts that are set in an env."""
    assert env.action_space.shape is not None
    return int(np.prod(env.action_space.shape))
