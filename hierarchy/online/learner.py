"""Learns from one window after the other, as an upper agent that learns from a buffer does in training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from envs.core.arrays import FloatArray, FloatArray32
from envs.core.simplex import to_action
from envs.core.state import Tree, generator_state, set_generator_state
from envs.core.validation import SettingError
from hierarchy.config import ExperimentConfig
from hierarchy.nets.saving import ACTING
from hierarchy.online.config import OnlineConfig
from hierarchy.online.transition import Transition
from hierarchy.protocols import SavedAgent
from hierarchy.sb3.state import agent_state, set_agent_state
from hierarchy.upper.config import OffPolicyConfig
from hierarchy.upper.off_policy import UpperLearner
from hierarchy.vec_env import ArrayVecEnv

ACTORS = ("actor", "actor_target")
"""Networks of an agent of SB3 that act."""


class _Elsewhere(ArrayVecEnv):
    """Spaces alone: whoever learns online is told what has happened."""

    def reset(self) -> VecEnvObs:
        raise NotImplementedError

    def step_wait(self) -> VecEnvStepReturn:
        raise NotImplementedError


class OnlineLearner:
    """The deployed agent at first, then what was learned since.

    Its critics begin anew: those that were trained value another reward, such as what an agent gains over another one in the
    same windows. So at first it explores, then as many windows go to the critics alone, and only then the actor moves.

    Parameters
    ----------
    config
        The experiment's, whose upper agent it is.
    online
        How it learns.
    deployed
        The agent that it begins as.
    shape
        Numbers of what it observes, and of weights in a mix.
    n_before
        Learners before it; each explores otherwise.

    Raises
    ------
    SettingError
        The agent learns by an algorithm that needs more than transitions.
    """

    def __init__(
        self, config: ExperimentConfig, online: OnlineConfig, deployed: SavedAgent, shape: tuple[int, int], n_before: int = 0
    ) -> None:
        if not isinstance(config.upper, OffPolicyConfig):
            raise SettingError("upper.algorithm", "one that learns from a buffer of transitions", config.upper.algorithm)
        n_features, n_terms = shape
        sequence = np.random.SeedSequence(online.seed, spawn_key=(n_before,))
        self._settings, self._rng = online, np.random.default_rng(sequence)
        observed = spaces.Box(-np.inf, np.inf, (n_features,), np.float32)
        env = _Elsewhere(1, observed, spaces.Box(-1.0, 1.0, (n_terms,), np.float32))
        upper: Any = replace(
            config.upper,
            n_envs=1,
            meta_steps_per_update=1,
            learning_rate=online.learning_rate,
            final_share=1.0,
            buffer_size=online.buffer_size,
        )
        built: UpperLearner = upper.build(env, int(sequence.generate_state(1)[0]))
        acting = {name: array for name, array in deployed.arrays.items() if name.startswith(ACTING)}
        built.begin_from(deployed._replace(arrays=acting))
        self._agent, self._acting = built.agent, built.actor.start(1)
        self._batch_size = config.upper.batch_size
        self._agent.set_logger(Logger(None, []))
        self._agent._last_obs = np.zeros((1, n_features), np.float32)
        self._agent._last_episode_starts = np.zeros(1, np.bool_)
        self.n_seen = 0

    def explore(self, observation: FloatArray32) -> FloatArray:
        """An action ``(1, k)`` for a meta observation ``(1, n_features)``, with noise."""
        action = to_action(self._acting.act(observation))
        return (action + self._rng.normal(0.0, self._settings.noise, action.shape)).clip(-1.0, 1.0)

    def take_in(self, transition: Transition, reward: float) -> None:
        """Remember a window, and what it was worth."""
        buffer = self._agent.replay_buffer
        assert buffer is not None
        before, action, after = transition
        buffer.add(before, after, action, np.array([reward]), np.zeros(1), [{}])
        self.n_seen += 1

    def update(self) -> None:
        """Learn from what is remembered, once there is enough of it.

        Raises
        ------
        NonFiniteError
            A gradient is no number.
        """
        first = self._settings.learning_starts
        if self.n_seen <= first:
            return
        before = self._actors() if self.n_seen <= 2 * first else {}
        self._agent.train(self._settings.updates, self._batch_size)
        for name, tensors in before.items():
            getattr(self._agent, name).load_state_dict(tensors)

    def _actors(self) -> dict[str, dict[str, th.Tensor]]:
        """Copies of the parameters of what acts, and of what follows it if there is such a thing."""
        return {
            name: {key: tensor.clone() for key, tensor in getattr(self._agent, name).state_dict().items()}
            for name in ACTORS
            if hasattr(self._agent, name)
        }

    def get_state(self) -> Tree:
        """All that moves."""
        return {"agent": agent_state(self._agent), "n_seen": self.n_seen, "rng": generator_state(self._rng)}

    def set_state(self, state: Tree) -> None:
        """Go on from a state of a learner that was made alike."""
        set_agent_state(self._agent, state["agent"])
        self.n_seen = state["n_seen"]
        set_generator_state(self._rng, state["rng"])
