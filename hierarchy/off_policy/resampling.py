"""The bootstrap over episodes, whose pieces are not independent of each other."""

from __future__ import annotations

import numpy as np
from scipy import stats

from envs.core.arrays import FloatArray
from hierarchy.evidence.statistics import CONFIDENCE, RESAMPLING_SEED

N_RESAMPLES = 200
"""The spread of as many is right within 5 %; all estimators share them, so differences are paired."""


def counts_of(n_episodes: int, n_resamples: int = N_RESAMPLES, seed: int = RESAMPLING_SEED) -> FloatArray:
    """How often each resample has each episode, ``(n_resamples, n_episodes)``."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_episodes, np.full(n_episodes, 1.0 / n_episodes), n_resamples).astype(np.float64)


def interval(centre: float, draws: FloatArray, n_episodes: int, n_effective: float) -> list[float]:
    """95 % interval around an estimate: the spread of the bootstrap, and Student's t with what is effectively there.

    Percentiles of the bootstrap are too narrow where there are few episodes, or few that weigh anything.

    Parameters
    ----------
    draws
        Estimates of resamples ``(n_resamples,)``; some may have none (NaN).
    n_effective
        Units that the estimate rests on, at most the number of episodes.
    """
    freedom = max(1.0, min(float(n_episodes), n_effective) - 1.0)
    spread = np.nanstd(draws, ddof=1) * np.sqrt(n_episodes / max(1, n_episodes - 1))
    half_width = float(stats.t.ppf(0.5 + CONFIDENCE / 2.0, freedom) * spread)
    return [centre - half_width, centre + half_width]
