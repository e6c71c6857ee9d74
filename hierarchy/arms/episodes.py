"""One arm over its seeds: an episode of a strategy, or of a rule without a hierarchy, in every env of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

import envs
from envs.core.reports import Reports, Spread
from envs.core.rng import Role
from hierarchy.arms.strategies import Fixed, Seen, Strategy
from hierarchy.config import ExperimentConfig
from hierarchy.objectives import objective
from hierarchy.upper import agent as upper
from hierarchy.upper.meta_env import Windows

FloatArray = NDArray[np.float64]
Advance = Callable[[int], None]
"""Takes in how many lower steps were just done."""


def nothing(n_steps: int) -> None:
    """No progress is shown."""


@dataclass(frozen=True)
class Episodes:
    """One arm over its seeds, and window by window what pictures need."""

    objective: FloatArray  # (n_seeds,)
    statistics: dict[str, FloatArray]  # name -> (n_seeds,)
    window_objective: FloatArray  # (n_windows, n_seeds)
    recorded_position: FloatArray | None  # (n_windows, n_seeds) in [0, 1) of a trace, when the window began
    contexts: FloatArray | None  # (n_windows, n_seeds, k); None without a hierarchy
    regimes: NDArray[np.int64]  # (n_windows, n_seeds) when the window began
    timeline: dict[str, FloatArray]  # name -> (n_windows,) of the first seed
    settings: FloatArray  # (n_windows, n) what the first seed's world was last told
    spread: Spread | None  # of single answers, all seeds together


class _Recorder:
    """Collects an episode window by window."""

    def __init__(self, world: Reports, config: ExperimentConfig) -> None:
        self._world, self._config = world, config
        self._scores: list[FloatArray] = []
        self._positions: list[FloatArray] = []
        self._regimes: list[NDArray[np.int64]] = []
        self._settings: list[FloatArray] = []
        self._contexts: list[FloatArray] = []
        self._timeline: dict[str, list[float]] = {name: [] for name in world.timeline_names}

    def begin(self) -> None:
        """A window begins."""
        position = self._world.recorded_position
        if position is not None:
            self._positions.append(position)
        self._regimes.append(self._world.regime.copy())

    def end(self, statistics: dict[str, FloatArray], context: FloatArray | None = None) -> None:
        """A window is over."""
        self._scores.append(objective(statistics, self._config.upper, self._world))
        self._settings.append(self._world.setting[0].copy())
        if context is not None:
            self._contexts.append(context)
        for name, values in self._timeline.items():
            values.append(float(statistics[name][0]))

    def episodes(self) -> Episodes:
        whole = self._world.statistics()
        return Episodes(
            objective=objective(whole, self._config.upper, self._world),
            statistics=whole,
            window_objective=np.stack(self._scores),
            recorded_position=np.stack(self._positions) if self._positions else None,
            contexts=np.stack(self._contexts) if self._contexts else None,
            regimes=np.stack(self._regimes),
            timeline={name: np.array(values) for name, values in self._timeline.items()},
            settings=np.stack(self._settings),
            spread=self._world.spread,
        )


def run_strategy(windows: Windows, strategy: Strategy, config: ExperimentConfig, progress: Advance = nothing) -> Episodes:
    """One episode of a strategy in every env of ``windows``."""
    meta_observation = windows.reset()
    period = upper.lower_steps_per_window(config)
    recorder = _Recorder(windows.world, config)
    statistics, ended = None, False
    while not ended:
        recorder.begin()
        suggested = windows.suggested(statistics)
        mixes = strategy(Seen(meta_observation, windows.world.regime, windows.regime_of_window, suggested))
        statistics, ended = windows.run(mixes, period)
        meta_observation = windows.meta_observation(statistics)
        recorder.end(statistics, windows.context)
        progress(period * windows.batch.n_envs)
    return recorder.episodes()


def run_unmixed(windows: Windows, config: ExperimentConfig, progress: Advance = nothing) -> Episodes:
    """One episode of an agent without a hierarchy in every env; its context stays equal and says nothing."""
    equal = np.full(windows.batch.n_terms, 1.0 / windows.batch.n_terms)
    return replace(run_strategy(windows, Fixed(equal), config, progress), contexts=None)


def run_heuristic(
    name: str, config: ExperimentConfig, role: Role, env_ids: list[int], n_windows: int, progress: Advance = nothing
) -> Episodes:
    """One episode of a rule of the world in every env."""
    episode = envs.heuristics(config.env)[name](config.env, env_ids, config.seed, role)
    world = episode.world
    period = upper.lower_steps_per_window(config)
    recorder = _Recorder(world, config)
    for window in range(n_windows):
        recorder.begin()
        since = world.totals()
        episode.run(period, last=window == n_windows - 1)
        recorder.end(world.statistics(since))
        progress(period * len(env_ids))
    return recorder.episodes()
