"""A step is done in bounded time: what may happen in it has a limit, held against the settings when they are made."""

from __future__ import annotations

import numpy as np

from envs.core.validation import SettingError
from envs.load_balancing.config.pool import ServerPool
from envs.load_balancing.config.randomisation import Randomisation
from envs.load_balancing.config.workload import Workload

MAX_EVENTS_PER_STEP = 1_000_000
"""Arrivals that are expected in a step of one env, when most come; likewise faults."""


def check_events(pool: ServerPool, workload: Workload, drawn: Randomisation, dt_s: float) -> None:
    """Refuse settings under which a step of one env would have more events than the limit.

    Raises
    ------
    SettingError
        Names the rate, or the load, and the most that it may be.
    """
    for name in ("failure_rate_hz", "slowdown_rate_hz"):
        _hold(f"pool.{name}", getattr(pool, name), 2 * pool.n_servers * dt_s * getattr(pool, name), "events")
    rate_hz, loads = _regime_rates_hz(pool, workload, drawn), workload.regimes.loads
    at_most = workload.arrivals.peak * dt_s / (1.0 - workload.retries)  # requests in a step for each that comes a second
    if workload.rate_hz is None:
        _hold("workload.regimes.loads", max(loads), rate_hz.max() * at_most, "arrivals")
        return
    highest_hz = workload.rate_hz * rate_hz.max() / rate_hz.mean()
    _hold("workload.rate_hz", workload.rate_hz, highest_hz * at_most, "arrivals")


def _regime_rates_hz(pool: ServerPool, workload: Workload, drawn: Randomisation) -> np.ndarray:
    """The highest rate of each regime that can be drawn, ``(n_regimes,)``."""
    cores = np.full(pool.n_servers, drawn.cores[1]) if drawn.cores else np.asarray(pool.cores)
    speed = np.full(pool.n_servers, drawn.speed[1]) if drawn.speed else np.asarray(pool.speed)
    capacity = (cores.astype(np.float64) * speed).sum() * (drawn.load[1] if drawn.load else 1.0)
    least_work = drawn.work[0] if drawn.work else 1.0
    interactive_s, batch_s = (kind.mean_work_s * least_work for kind in workload.classes)
    share = workload.regimes.interactive_share
    with np.errstate(over="ignore", divide="ignore"):
        rates: np.ndarray = workload.regimes.load * capacity / (share * interactive_s + (1.0 - share) * batch_s)
    return rates


def _hold(path: str, value: float, n_expected: float, what: str) -> None:
    if n_expected > MAX_EVENTS_PER_STEP:
        most = value * (MAX_EVENTS_PER_STEP / n_expected)
        raise SettingError(path, f"<= {most:.4g}, for {MAX_EVENTS_PER_STEP:,} {what} in a step at most", value)
