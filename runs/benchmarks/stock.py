"""What people use today: sb3-contrib's recurrent PPO over single envs, and SB3's TD3 over one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from stable_baselines3 import TD3
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

import envs
from envs.core.arrays import Array, FloatArray, FloatArray32
from envs.core.simplex import to_simplex
from envs.faces.registration import make_single
from envs.faces.single import SingleEnv
from hierarchy.config import ExperimentConfig
from hierarchy.lower.ppo_learner import policy_kwargs, ppo_settings
from hierarchy.lower.recurrent_ppo import RecurrentPPOConfig
from hierarchy.upper.td3 import TD3Config

Backend = Literal["dummy", "subproc"]


def _maker(config: ExperimentConfig, seed: int) -> Callable[[], gymnasium.Env[FloatArray32, Array]]:
    return lambda: make_single(config.env, seed)


def vec_env(config: ExperimentConfig, backend: Backend) -> VecEnv:
    """As many single envs as the lower agent trains with."""
    makers = [_maker(config, config.seed + i) for i in range(config.lower.n_envs)]
    return DummyVecEnv(makers) if backend == "dummy" else SubprocVecEnv(makers, start_method="fork")


def agent(config: ExperimentConfig, env: VecEnv) -> RecurrentPPO:
    """The stock agent with the networks and settings of ours."""
    settings = config.lower
    assert isinstance(settings, RecurrentPPOConfig)
    networks = policy_kwargs(len(envs.describe(config.env).terms), settings.hidden_size)
    del networks["optimizer_kwargs"]
    return RecurrentPPO("MlpLstmPolicy", env, policy_kwargs=networks, **ppo_settings(settings, config.seed))


class Predicting:
    """A trained agent that acts in one env through `predict`, as SB3's documentation shows it."""

    def __init__(self, policy: RecurrentPPO, env: SingleEnv) -> None:
        self._policy, self.env = policy, env
        self.reset(0)

    def reset(self, seed: int | None = None) -> None:
        """Begin an episode."""
        self._observation: FloatArray32 = self.env.reset(seed=seed)[0]
        self._state: Any = None
        self._starts = np.ones(1, bool)

    def run(self, n_steps: int) -> bool:
        """Act for some steps; whether the episode ended."""
        for _ in range(n_steps):
            action, self._state = self._policy.predict(
                self._observation, state=self._state, episode_start=self._starts, deterministic=True
            )
            self._observation, _, terminated, truncated, _ = self.env.step(action)
            self._starts[0] = terminated or truncated
            if self._starts[0]:
                self._observation, _ = self.env.reset()
        return bool(self._starts[0])


class SingleMetaEnv(gymnasium.Env[FloatArray32, FloatArray32]):
    """The upper world as one would write it first: one env, a window of `predict` calls per meta step."""

    def __init__(self, config: ExperimentConfig, policy: RecurrentPPO) -> None:
        self._config = config
        self._lower = Predicting(policy, make_single(config.env))
        batch = self._lower.env.batch
        self._n_observed = len(batch.world.statistics.observed_names)
        self.observation_space = spaces.Box(-np.inf, np.inf, (self._n_observed,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (batch.n_terms,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray32, dict[str, Any]]:
        """Nothing has been observed yet."""
        super().reset(seed=seed)
        batch = self._lower.env.batch
        batch.set_context(np.full(batch.n_terms, 1.0 / batch.n_terms))
        self._lower.reset(seed)
        return np.zeros(self._n_observed, np.float32), {}

    def step(self, action: FloatArray32) -> tuple[FloatArray32, float, bool, bool, dict[str, Any]]:
        """One window."""
        batch = self._lower.env.batch
        batch.set_context(to_simplex(action))
        totals = batch.simulation.totals()
        self._lower.run(self._config.upper.meta_period)
        statistics = batch.simulation.statistics(totals)
        observation = batch.world.statistics.observed(statistics)[0]
        return observation, float(batch.simulation.objective(statistics)[0]), False, False, {}


def upper_agent(config: ExperimentConfig, policy: RecurrentPPO) -> TD3:
    """Stock TD3 over one meta env, with our settings."""
    env, n_terms = SingleMetaEnv(config, policy), len(envs.describe(config.env).terms)
    settings = config.upper
    assert isinstance(settings, TD3Config)
    networks = {"net_arch": [settings.hidden_size] * 2}
    return TD3("MlpPolicy", env, policy_kwargs=networks, **settings.settings(n_terms, config.seed))


def evaluate(config: ExperimentConfig, policy: RecurrentPPO, mixes: Sequence[FloatArray], n_steps: int) -> list[float]:
    """The objective of fixed mixes, one episode of ``n_steps`` each, one after the other."""
    objectives = []
    for mix in mixes:
        acting = Predicting(policy, make_single(config.env, role="evaluate"))
        acting.env.batch.set_context(mix)
        acting.run(n_steps)
        simulation = acting.env.batch.simulation
        objectives.append(float(simulation.objective(simulation.statistics())[0]))
    return objectives
