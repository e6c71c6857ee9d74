"""Mixes chosen on selection seeds, before any evaluation seed is seen: fixed ones, and tables for the oracles."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hierarchy import upper
from hierarchy.config import ExperimentConfig
from hierarchy.episodes import Progress, nothing, run_strategy
from hierarchy.recurrent import FusedLstmPolicy
from hierarchy.simplex import simplex_grid, to_simplex
from hierarchy.strategies import Fixed, RegimeTable, Strategy

FloatArray = NDArray[np.float64]

TRIAL_SEEDS = 4
"""Episodes of a trial of the tuner; the same for all trials, so that they are compared on the same requests."""


def n_trials(config: ExperimentConfig) -> int:
    """Trials of the tuner that take as many lower steps as the upper agent's training."""
    per_trial = TRIAL_SEEDS * _episode_steps(config)
    return max(1, config.upper.meta_steps * upper.lower_steps_per_window(config) // per_trial)


def _episode_steps(config: ExperimentConfig) -> int:
    windows = 1 if config.upper.meta_step == "episode" else config.ablation.select_windows
    return windows * upper.lower_steps_per_window(config)


class Selection:
    """Chooses mixes on selection seeds: many candidates side by side, all on the same seeds."""

    def __init__(self, config: ExperimentConfig, lower: FusedLstmPolicy, progress: Progress = nothing) -> None:
        self._config, self._lower, self._progress = config, lower, progress
        self._n_seeds = config.ablation.n_select_seeds

    def n_lower_steps(self, n_terms: int, n_regimes: int) -> int:
        """Env steps that all selections together take."""
        n_mixes = len(simplex_grid(n_terms, self._config.ablation.grid_points))
        episodes = (n_mixes + n_regimes * (n_mixes + 1)) * self._n_seeds
        if self._config.ablation.tuned_static:
            episodes += n_trials(self._config) * TRIAL_SEEDS
        return episodes * _episode_steps(self._config)

    def scores(
        self, strategy: Callable[[FloatArray], Strategy], candidates: FloatArray, n_seeds: int | None = None
    ) -> FloatArray:
        """Objective of each candidate ``(n, ...)`` on every selection seed, run side by side; ``(n, n_seeds)``."""
        n, n_seeds = len(candidates), n_seeds or self._n_seeds
        env_ids = list(range(n_seeds)) * n
        windows = upper.windows(self._config, self._lower, "select", env_ids, self._config.ablation.select_windows)
        repeated = np.repeat(candidates, n_seeds, axis=0)
        episodes = run_strategy(windows, strategy(repeated), self._config, self._progress)
        return episodes.objective.reshape(n, n_seeds)

    def fixed_best(self, grid: FloatArray) -> FloatArray:
        """The best mix of the grid ``(k,)``."""
        best: FloatArray = grid[self.scores(Fixed, grid).mean(-1).argmax()]
        return best

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
