"""What an upper agent remembers of windows: what its settings build, and windows of the simulator that it is fitted to."""

from __future__ import annotations

import numpy as np

import envs
from envs.core.arrays import FloatArray, FloatArray32
from envs.core.context import ContextDistribution
from envs.core.validation import SettingError
from hierarchy.building.upper import simulation
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.config import ExperimentConfig
from hierarchy.nets.window_memory import WindowMemory
from hierarchy.pair import ContextSetter, Pair, Window
from hierarchy.protocols import Actor
from hierarchy.upper.memory.of_world import unfitted
from hierarchy.upper.meta_env import run_window

MEMORY_ENV_IDS = 2_000_000
"""Env ids of windows that a memory is fitted to start here, so that they share no stream with what is trained."""


class DrawnContexts(ContextSetter):
    """A context for every window of every env, drawn at random; what was observed of windows is kept.

    Attributes
    ----------
    windows
        Meta observations ``(n_envs, n_features)``, the first of no window.
    """

    uses_statistics = True

    def __init__(self, seed: int) -> None:
        self._distribution, self._rng = ContextDistribution(), np.random.default_rng(seed)
        self.windows: list[FloatArray32] = []

    def contexts(self, window: Window) -> FloatArray:
        self.windows.append(window.observation)
        n_envs, n_terms = window.context.shape
        return np.stack([self._distribution.draw(n_terms, int(self._rng.integers(2**63))) for _ in range(n_envs)])


def blank(config: ExperimentConfig) -> WindowMemory | None:
    """A memory for the world of the settings, to be filled in; None where nothing is remembered."""
    return unfitted(config.upper.memory, envs.simulate(config.env, 1).world)


def fitted(config: ExperimentConfig, lower: Actor) -> WindowMemory | None:
    """A memory that is fitted to windows of a lower agent under contexts drawn at random; None where nothing is remembered.

    Raises
    ------
    SettingError
        There are too few windows, or the settings name what the world doesn't observe.
    """
    n_episodes = max(config.upper.memory.fit_episodes, 1)
    env_ids = [MEMORY_ENV_IDS + i for i in range(n_episodes)]
    below = simulation(config, "train", env_ids, config.upper.episode_windows)
    memory = unfitted(config.upper.memory, below.world)
    if memory is None or memory.is_fitted:
        return memory
    drawn, period = DrawnContexts(config.seed), lower_steps_per_window(config)
    pair = Pair(below.world, lower.start(below.n_rows), drawn, period)
    below.reset()
    pair.reset()
    while not below.ended.any():
        run_window(below, pair, period)
    try:
        memory.fit(np.stack(drawn.windows[1:], axis=1), config.seed)
    except SettingError as error:
        raise error.under("upper.memory") from None
    return memory
