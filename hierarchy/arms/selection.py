"""Mixes chosen on selection seeds, before any evaluation seed is seen: fixed ones, and tables for the oracles."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hierarchy.arms.episodes import Advance, Episodes, nothing, run_strategy
from hierarchy.arms.strategies import Fixed, RegimeTable, Strategy
from hierarchy.config import ExperimentConfig
from hierarchy.nets.recurrent import FusedLstmPolicy
from hierarchy.simplex import simplex_grid, to_simplex
from hierarchy.upper import agent as upper

FloatArray = NDArray[np.float64]

TRIAL_SEEDS = 4
"""Episodes of a trial of the tuner; the same for all trials, so that they are compared on the same requests."""
N_SWEEPS = 2
"""Sweeps of coordinate ascent over the regimes of the oracles' table."""


def n_trials(config: ExperimentConfig) -> int:
    """Trials of the tuner that take as many lower steps as the upper agent's training."""
    per_trial = TRIAL_SEEDS * upper.episode_steps(config, config.ablation.select_windows)
    return max(1, config.upper.meta_steps * upper.lower_steps_per_window(config) // per_trial)


class Selection:
    """Chooses mixes on selection seeds: many candidates side by side, all on the same seeds."""

    def __init__(self, config: ExperimentConfig, lower: FusedLstmPolicy, progress: Advance = nothing) -> None:
        self._config, self._lower, self._progress = config, lower, progress
        self._n_seeds = config.ablation.n_select_seeds

    def n_lower_steps(self, n_terms: int, n_regimes: int) -> int:
        """Env steps that all selections together take."""
        settings = self._config.ablation
        n_mixes = len(simplex_grid(n_terms, settings.table_points))
        in_tables = N_SWEEPS * (n_regimes * (n_mixes + 1)) + N_SWEEPS + 2 if n_regimes else 0
        episodes = (len(simplex_grid(n_terms, settings.grid_points)) + in_tables) * self._n_seeds
        if settings.tuned_static:
            episodes += n_trials(self._config) * TRIAL_SEEDS
        return episodes * upper.episode_steps(self._config, settings.select_windows)

    def _run(self, strategy: Callable[[FloatArray], Strategy], candidates: FloatArray, n_seeds: int) -> Episodes:
        """An episode of each candidate ``(n, ...)`` on every seed, all side by side, seeds varying fastest."""
        env_ids = list(range(n_seeds)) * len(candidates)
        windows = upper.windows(self._config, self._lower, "select", env_ids, self._config.ablation.select_windows)
        return run_strategy(windows, strategy(np.repeat(candidates, n_seeds, axis=0)), self._config, self._progress)

    def scores(
        self, strategy: Callable[[FloatArray], Strategy], candidates: FloatArray, n_seeds: int | None = None
    ) -> FloatArray:
        """Objective of each candidate ``(n, ...)`` on every selection seed, ``(n, n_seeds)``."""
        n_seeds = n_seeds or self._n_seeds
        return self._run(strategy, candidates, n_seeds).objective.reshape(len(candidates), n_seeds)

    def fixed(self, grid: FloatArray, n_regimes: int) -> tuple[FloatArray, FloatArray]:
        """The best mix of the grid ``(k,)``, and the best in the windows of each regime ``(n_regimes, k)``."""
        episodes = self._run(Fixed, grid, self._n_seeds)
        best = int(episodes.objective.reshape(len(grid), -1).mean(-1).argmax())
        table = np.tile(grid[best], (n_regimes, 1))
        shape = (-1, len(grid), self._n_seeds)
        windows, regimes = episodes.window_objective.reshape(shape), episodes.regimes.reshape(shape)
        for regime in range(n_regimes):
            met = regimes[:, 0] == regime  # the same windows under every mix
            if met.any():
                table[regime] = grid[windows.swapaxes(0, 1)[:, met].mean(-1).argmax()]
        return grid[best], table

    def tuned_static(self, n_terms: int) -> FloatArray:
        """The best mix ``(k,)`` that Optuna's TPE finds in as many lower steps as the upper agent trained for."""
        import optuna

        logging.getLogger("optuna").setLevel(logging.WARNING)

        def mix_of(weights: dict[str, float]) -> FloatArray:
            return to_simplex(np.array([weights[f"w{k}"] for k in range(n_terms)]))

        def score(trial: optuna.Trial) -> float:
            mix = mix_of({f"w{k}": trial.suggest_float(f"w{k}", -1.0, 1.0) for k in range(n_terms)})
            return float(self.scores(Fixed, mix[None], TRIAL_SEEDS).mean())

        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=self._config.seed))
        study.optimize(score, n_trials(self._config))
        return mix_of(study.best_params)

    def regime_table(self, grid: FloatArray, fixed_best: FloatArray, start: FloatArray) -> FloatArray:
        """A mix per regime ``(n_regimes, k)``: the best of one mix for all, ``start``, and what sweeps make of it."""
        found = [np.tile(fixed_best, (len(start), 1)), start]
        for _ in range(N_SWEEPS):
            found.append(self.swept(grid, found[-1]))
        candidates = np.stack(found)
        best: FloatArray = candidates[self.scores(RegimeTable, candidates).mean(-1).argmax()]
        return best

    def swept(self, grid: FloatArray, start: FloatArray) -> FloatArray:
        """One sweep of coordinate ascent *in the switching world*: what one regime leaves behind is paid in the next.

        A regime keeps its mix unless another one is better by more than the standard error of the paired gain: a regime
        is met a few times only, and the best of many noisy scores would rarely be the best mix. One selection seed has no
        standard error, so nothing changes.
        """
        table = start
        for regime in range(len(start)):
            candidates = np.tile(table, (len(grid) + 1, 1, 1))
            candidates[1:, regime] = grid
            scores = self.scores(RegimeTable, candidates)
            best = int(scores.mean(-1).argmax())
            gain = scores[best] - scores[0]
            if len(gain) > 1 and gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)):
                table = candidates[best]
        return table
