"""The ablation: every arm on the same evaluation seeds, after the mixes were chosen on selection seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import TD3

import envs
from envs.rng import Role
from hierarchy import upper
from hierarchy.config import ExperimentConfig
from hierarchy.meta_env import Windows
from hierarchy.objectives import objective
from hierarchy.recurrent import FusedLstmPolicy
from hierarchy.strategies import STRATEGIES, Fixed, RegimeTable, Seen, Sources, Strategy

FloatArray = NDArray[np.float64]
Progress = Callable[[int], None]
"""Told how many lower steps were just done."""


@dataclass(frozen=True)
class Episodes:
    """One arm over its seeds."""

    objective: FloatArray  # (n_seeds,)
    statistics: dict[str, FloatArray]  # name -> (n_seeds,)
    window_objective: FloatArray  # (n_windows, n_seeds)
    recorded_position: FloatArray | None  # (n_windows, n_seeds) in [0, 1) of a trace, when the window began
    contexts: FloatArray | None  # (n_windows, n_seeds, k); None without a hierarchy


def nothing(n_steps: int) -> None:
    """No progress is shown."""


def run_strategy(windows: Windows, strategy: Strategy, config: ExperimentConfig, progress: Progress) -> Episodes:
    """One episode of a strategy in every env of ``windows``."""
    meta_observation = windows.reset()
    period = upper.lower_steps_per_window(config)
    contexts, scores, positions, ended = [], [], [], False
    while not ended:
        positions.append(windows.world.recorded_position)
        mixes = strategy(Seen(meta_observation, windows.world.regime, windows.regime_of_window))
        statistics, ended = windows.run(mixes, period)
        meta_observation = windows.meta_observation(statistics)
        contexts.append(windows.context)
        scores.append(objective(statistics, config.upper))
        progress(period * windows.batch.n_envs)
    whole = windows.world.statistics()
    return Episodes(objective(whole, config.upper), whole, np.stack(scores), _stacked(positions), np.stack(contexts))


def _stacked(positions: list[FloatArray | None]) -> FloatArray | None:
    known = [position for position in positions if position is not None]
    return np.stack(known) if known else None


def simplex_grid(n_terms: int, n_points: int) -> FloatArray:
    """All mixes ``(n, n_terms)`` whose weights are multiples of ``1 / (n_points - 1)``."""
    parts = n_points - 1
    axes = np.indices((n_points,) * n_terms).reshape(n_terms, -1).T
    grid: FloatArray = axes[axes.sum(-1) == parts] / parts
    return grid


class Selection:
    """Chooses mixes on selection seeds: many candidates side by side, all on the same seeds."""

    def __init__(self, config: ExperimentConfig, lower: FusedLstmPolicy, progress: Progress = nothing) -> None:
        self._config, self._lower, self._progress = config, lower, progress
        self._n_seeds = config.ablation.n_select_seeds

    def scores(self, strategy: Callable[[FloatArray], Strategy], candidates: FloatArray) -> FloatArray:
        """Objective of each candidate ``(n, ...)`` on every selection seed, run side by side; ``(n, n_seeds)``."""
        n = len(candidates)
        env_ids = list(range(self._n_seeds)) * n
        windows = upper.windows(self._config, self._lower, "select", env_ids, self._config.ablation.select_windows)
        repeated = np.repeat(candidates, self._n_seeds, axis=0)
        episodes = run_strategy(windows, strategy(repeated), self._config, self._progress)
        return episodes.objective.reshape(n, self._n_seeds)

    def fixed_best(self, grid: FloatArray) -> FloatArray:
        """The best mix of the grid ``(k,)``."""
        best: FloatArray = grid[self.scores(Fixed, grid).mean(-1).argmax()]
        return best

    def regime_table(self, grid: FloatArray, start: FloatArray, n_regimes: int) -> FloatArray:
        """A mix per regime ``(n_regimes, k)``: coordinate ascent from ``start`` in the switching world, one sweep.

        A regime keeps ``start`` unless another mix is better by more than the standard error of the paired gain: a regime
        is met a few times only, and the best of many noisy scores would rarely be the best mix. One selection seed has no
        standard error, so nothing changes.
        """
        table = np.tile(start, (n_regimes, 1))
        for regime in range(n_regimes):
            candidates = np.tile(table, (len(grid) + 1, 1, 1))
            candidates[1:, regime] = grid
            scores = self.scores(RegimeTable, candidates)
            best = int(scores.mean(-1).argmax())
            gain = scores[best] - scores[0]
            if len(gain) > 1 and gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)):
                table = candidates[best]
        return table


def n_lower_steps(config: ExperimentConfig, lower: FusedLstmPolicy) -> int:
    """Env steps that the whole ablation takes, selection included."""
    settings = config.ablation
    windows = upper.windows(config, lower, "evaluate", [0], settings.episode_windows)
    n_mixes = len(simplex_grid(windows.batch.n_terms, settings.grid_points))
    n_candidates = (n_mixes + windows.world.n_regimes * (n_mixes + 1)) * settings.n_select_seeds
    selection = upper.windows(config, lower, "select", [0], settings.select_windows).batch.episode_steps
    n_arms = len(STRATEGIES) - (settings.fixed is None) + settings.heuristics * len(envs.heuristics(config.env))
    return n_candidates * selection + n_arms * settings.n_seeds * windows.batch.episode_steps


def run_heuristic(
    name: str, config: ExperimentConfig, role: Role, env_ids: list[int], n_windows: int, progress: Progress = nothing
) -> Episodes:
    """One episode of a balancing rule on every seed."""
    episode = envs.heuristics(config.env)[name](config.env, env_ids, config.seed, role)
    world = episode.world
    period = upper.lower_steps_per_window(config)
    scores, positions = [], []
    for window in range(n_windows):
        positions.append(world.recorded_position)
        since = world.totals()
        episode.run(period, last=window == n_windows - 1)
        scores.append(objective(world.statistics(since), config.upper))
        progress(period * len(env_ids))
    whole = world.statistics()
    return Episodes(objective(whole, config.upper), whole, np.stack(scores), _stacked(positions), None)


def run_arms(
    config: ExperimentConfig, lower: FusedLstmPolicy, agent: TD3, progress: Progress = nothing
) -> dict[str, Episodes | None]:
    """Every strategy and every heuristic on the evaluation seeds, by name; None where the world can't define it."""
    settings = config.ablation
    env_ids = list(range(settings.n_seeds))
    windows = upper.windows(config, lower, "evaluate", env_ids, settings.episode_windows)
    n_terms, n_regimes = windows.batch.n_terms, windows.world.n_regimes
    selection = Selection(config, lower, progress)
    grid = simplex_grid(n_terms, settings.grid_points)
    best = selection.fixed_best(grid)
    table = selection.regime_table(grid, best, n_regimes) if n_regimes else None
    custom = None if settings.fixed is None else np.asarray(settings.fixed) / sum(settings.fixed)
    sources = Sources(n_terms, config.seed, best, table, agent, custom)
    arms: dict[str, Episodes | None] = {}
    for name, build in STRATEGIES.items():
        strategy = build(sources)
        if strategy is None:
            arms[name] = None
            continue
        windows = upper.windows(config, lower, "evaluate", env_ids, settings.episode_windows)
        arms[name] = run_strategy(windows, strategy, config, progress)
    for name in envs.heuristics(config.env) if settings.heuristics else ():
        n_windows = windows.batch.episode_steps // upper.lower_steps_per_window(config)
        arms[name] = run_heuristic(name, config, "evaluate", env_ids, n_windows, progress)
    return arms
