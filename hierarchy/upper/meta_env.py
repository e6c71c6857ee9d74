"""The upper world: one meta step writes the context and runs a window of the simulation below."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from envs.core.batch import BatchEnv
from envs.core.reports import Reports
from hierarchy.lower.vec_env import ArrayVecEnv
from hierarchy.objectives import objective
from hierarchy.protocols import Acting, UpperAlgorithm
from hierarchy.simplex import to_simplex

FloatArray = NDArray[np.float64]
FloatArray32 = NDArray[np.float32]

UNKNOWN_REGIME = -1
"""Stands for the regime of the last window when there was none."""


class Windows:
    """A batch with its frozen lower agent, run window by window.

    Attributes
    ----------
    regime_of_window
        The regime that filled most of the last window, ``(n_envs,)``, -1 before the first; for oracles only.
    """

    def __init__(self, batch: BatchEnv, lower: Acting) -> None:
        self.batch = batch
        self._lower = lower
        self._observation = np.zeros(0, np.float32)
        self.regime_of_window = np.full(batch.n_envs, UNKNOWN_REGIME, np.int64)
        self._regime_steps = np.zeros((batch.n_envs, max(1, self.world.n_regimes)), np.int64)
        self.context = batch.context.copy()

    @property
    def world(self) -> Reports:
        """What is told of the world."""
        return self.batch.reports

    @property
    def meta_observation_space(self) -> spaces.Box:
        """The window's scaled statistics, then the context that was in force."""
        n_features = len(self.world.observed_names) + self.batch.n_terms
        return spaces.Box(-np.inf, np.inf, (n_features,), np.float32)

    def meta_observation(self, statistics: dict[str, FloatArray] | None) -> FloatArray32:
        """``(n_envs, n_features)``; before the first window all statistics read zero."""
        if statistics is None:
            seen = np.zeros((self.batch.n_envs, len(self.world.observed_names)), np.float32)
        else:
            seen = self.world.observed(statistics)
        return np.concatenate([seen, self.context.astype(np.float32)], axis=1)

    def suggested(self, statistics: dict[str, FloatArray] | None) -> FloatArray | None:
        """The mixes ``(n_envs, k)`` of the world's own rule, equal weights before the first window; None without one."""
        if not self.world.has_context_rule:
            return None
        if statistics is None:
            return np.full((self.batch.n_envs, self.batch.n_terms), 1.0 / self.batch.n_terms)
        return self.world.suggested_context(statistics, self.batch.term_names)

    def reset(self, seed: int | None = None) -> FloatArray32:
        """Begin an episode in all envs, equal weights in force."""
        self.context = np.full_like(self.context, 1.0 / self.batch.n_terms)
        self.batch.set_context(self.context)
        self._observation = self.batch.reset(seed)
        self._lower.reset()
        self.regime_of_window = np.full_like(self.regime_of_window, UNKNOWN_REGIME)
        return self.meta_observation(None)

    def run(self, context: NDArray[Any], n_steps: int) -> tuple[dict[str, FloatArray], bool]:
        """Run ``n_steps`` under ``context (n_envs, k)``: the statistics of the window, and whether the episode ended."""
        self.batch.set_context(context)
        self.context = self.batch.context.copy()
        since = self.world.totals()
        self._observation[:, -self.batch.n_terms :] = self.context
        self._regime_steps[:] = 0
        rows = np.arange(self.batch.n_envs)
        ended = False
        for _ in range(n_steps):
            self._regime_steps[rows, self.world.regime] += 1
            self._observation, over = self.batch.advance(self._lower.act(self._observation))
            ended = bool(over.all())
        self.regime_of_window = self._regime_steps.argmax(-1)
        return self.world.statistics(since), ended


class MetaEnv(ArrayVecEnv):
    """Many meta envs as one SB3 `VecEnv`; the frozen lower policy acts for all of them in one call per lower step.

    Action: ``(n_envs, k)`` in [-1, 1], see :func:`to_simplex`. Reward: the objective of the window (or, with `meta_step`
    episode, of a whole episode). A meta episode is truncated after `episode_windows` windows.

    Parameters
    ----------
    windows
        The running simulation. Its batch must end an episode after `episode_windows * meta_period` steps.
    settings
        Objective and time scale.

    Attributes
    ----------
    objective, context
        What the last meta step was paid ``(n_envs,)``, and the contexts ``(n_envs, k)`` that it set.
    """

    def __init__(self, windows: Windows, settings: UpperAlgorithm) -> None:
        self.windows = windows
        self._settings = settings
        self._elapsed = 0
        self.objective = np.zeros(windows.batch.n_envs)
        self.context = windows.context
        n_terms = windows.batch.n_terms
        super().__init__(
            windows.batch.n_envs,
            windows.meta_observation_space,
            spaces.Box(-1.0, 1.0, (n_terms,), np.float32),
        )

    def reset(self) -> VecEnvObs:
        self._elapsed = 0
        return self.windows.reset(self._take_seed())

    def step_wait(self) -> VecEnvStepReturn:
        whole_episode = self._settings.meta_step == "episode"
        if whole_episode and self._elapsed:
            self.windows.reset()
        n_steps = self.windows.batch.episode_steps if whole_episode else self._settings.meta_period
        statistics, _ = self.windows.run(to_simplex(self._actions), n_steps)
        self.context = self.windows.context
        self.objective = objective(statistics, self._settings, self.windows.world)
        observation = self.windows.meta_observation(statistics)
        self._elapsed += 1
        done = self._elapsed >= self._settings.episode_windows
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if done:
            infos = [{"terminal_observation": row, "TimeLimit.truncated": True} for row in observation]
            observation = self.windows.reset()
            self._elapsed = 0
        return observation, self.objective.astype(np.float32), np.full(self.num_envs, done), infos
