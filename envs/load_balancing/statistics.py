"""Window and episode figures: differences of totals, never means of means."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, FloatArray32
from envs.core.histogram import EDGES_S, quantiles
from envs.core.statistics import Spread, Statistics
from envs.load_balancing.config import CLASSES, LoadBalancingConfig
from envs.load_balancing.kernel import accounts
from envs.load_balancing.kernel.accounts import STEP_SUMS
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.observation import DAY, RECENT, SWITCH_SCALE_S, day, recent

QUANTILES: dict[str, float] = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


class Totals(NamedTuple):
    """Everything that adds up since the reset, copied at one instant."""

    counts: FloatArray  # (n_envs, n_classes, n_counts)
    times: FloatArray  # (n_envs, n_classes, n_times)
    histogram: FloatArray  # (n_envs, n_classes, N_BINS)
    sums: FloatArray  # (n_envs, len(STEP_SUMS))
    n_starts: FloatArray  # (n_envs,)


METRICS: tuple[str, ...] = (
    "latency_mean_ms",
    "latency_p99_ms",
    "cost_usd_per_h",
    *(f"{what}_share_{name}" for what in ("late", "lost") for name in CLASSES),
    "late_share",
    "latency_p50_ms",
    "latency_p95_ms",
    *(f"latency_{q}_ms_{name}" for name in CLASSES for q in ("mean", "p95", "p99")),
    "jain",
    "lost_share",
    "throughput_hz",
    "utilisation",
    "servers_on",
    "starts_per_h",
)
"""Statistics that results and plots show, by name; tables show the first seven."""

TIMELINE: tuple[str, ...] = (
    "arrival_rate_hz",
    *(f"in_flight_{name}" for name in CLASSES),
    "latency_p95_ms",
    "cost_usd_per_h",
)
"""Statistics that the picture of an episode shows, window by window."""

Scale = tuple[float, bool]
"""What a statistic is divided by, and whether ``log(1 + x)`` follows."""

OBSERVED: dict[str, Scale] = {
    "arrival_rate_hz": (50.0, True),
    "arrival_spread_hz": (50.0, True),
    "utilisation": (1.0, False),
    **{f"latency_{q}_ms_{name}": (100.0, True) for name in CLASSES for q in ("mean", "p95", "p99")},
    **{f"in_flight_{name}": (4.0, True) for name in CLASSES},
    **{f"{what}_share_{name}": (1.0, True) for what in ("late", "lost") for name in CLASSES},
    "cost_share": (1.0, False),
    "jain": (1.0, False),
    "interactive_share": (1.0, False),
    "servers_on_share": (1.0, False),
    "since_switch_s": (SWITCH_SCALE_S, True),
    "still_billed_s": (SWITCH_SCALE_S, True),
    **{name: (scale, True) for name, scale in RECENT.items()},
    **dict.fromkeys(DAY, (1.0, False)),
}
"""What the upper agent observes of a window and at its end, with the scaling that brings it to order one. Measurements only,
of the whole pool where the lower agent observes each server."""
EXOGENOUS = ("arrival_rate_hz", "arrival_spread_hz", "interactive_share")
"""Those of them that no action changes, but for requests that come back."""


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    return np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator > 0)


def statistics(config: LoadBalancingConfig, measurements: Measurements, since: Totals, now: Totals) -> dict[str, FloatArray]:
    """Named figures ``(n_envs,)`` of the stretch between two totals of the same episode, with the prices measured in it.

    A flow is late when its deadline passes before its answer, or when it is lost or rejected; it costs the price of being
    late or that of being lost, never both. Latencies are those of flows that ended in the stretch, settled ones included;
    `waiting_mean_ms` also holds those that still wait (flow-seconds per arrival), so an objective on it can't be cheated by
    hoarding. What is in flight, what happened of late, the time of day, `since_switch_s` (since any server was switched) and
    `still_billed_s` (what is left to be paid for, over the price of all servers) are those at the end of the stretch.
    """
    counts, times = now.counts - since.counts, now.times - since.times
    histogram = now.histogram - since.histogram
    sums = dict(zip(STEP_SUMS, np.moveaxis(now.sums - since.sums, -1, 0), strict=True))
    hours = sums["steps"] * config.dt_s / 3600.0
    arrived, late = counts[..., accounts.ARRIVED], counts[..., accounts.LATE]
    unanswered = counts[..., accounts.LOST] + counts[..., accounts.REJECTED]
    ended = histogram.sum(-1)
    value = np.array([c.value_usd for c in config.workload.classes])
    penalty = np.array([c.penalty_usd for c in config.workload.classes])
    loss = np.array([c.price_of_loss_usd for c in config.workload.classes])
    mean_arrived = _ratio(arrived.sum(-1), sums["steps"])
    variance = np.maximum(_ratio(sums["arrived_squared"], sums["steps"]) - mean_arrived**2, 0.0)
    out = {
        "duration_h": hours,
        "revenue_usd": (counts[..., accounts.ON_TIME] * value).sum(-1),
        "penalty_usd": ((late - unanswered) * penalty + unanswered * loss).sum(-1),
        "server_cost_usd": sums["cost_usd"],
        "cost_usd_per_h": _ratio(sums["cost_usd"], hours),
        "waiting_mean_ms": 1e3 * _ratio(times[..., accounts.FLOW_SECONDS].sum(-1), np.maximum(arrived.sum(-1), 1.0)),
        "latency_mean_ms": 1e3 * _ratio(times[..., accounts.LATENCY_S].sum(-1), ended.sum(-1)),
        "arrival_rate_hz": mean_arrived / config.dt_s,
        "arrival_spread_hz": np.sqrt(variance) / config.dt_s,
        "throughput_hz": _ratio(counts[..., accounts.COMPLETED].sum(-1), 3600.0 * hours),
        "late_share": _ratio(late.sum(-1), arrived.sum(-1)),
        "lost_share": _ratio(unanswered.sum(-1), arrived.sum(-1)),
        "interactive_share": _ratio(arrived[..., 0], arrived.sum(-1)),
        "starts_per_h": _ratio(now.n_starts - since.n_starts, hours),
    }
    for name in ("utilisation", "jain", "servers_on"):
        out[name] = _ratio(sums[name], sums["steps"])
    out["since_switch_s"] = np.where(measurements.present, measurements.since_switch_s, np.inf).min(-1)
    still_billed = measurements.price_usd_per_h * measurements.still_billed_s
    out["still_billed_s"] = _ratio(still_billed.sum(-1), measurements.max_cost_usd_per_h)
    out["cost_share"] = _ratio(out["cost_usd_per_h"], measurements.max_cost_usd_per_h)
    out["servers_on_share"] = _ratio(out["servers_on"], measurements.n_present)
    out |= dict(zip(RECENT, recent(measurements).T, strict=True)) | dict(zip(DAY, day(measurements).T, strict=True))
    of_all = 1e3 * quantiles(histogram.sum(-2), list(QUANTILES.values()))  # (n_envs, n_quantiles)
    of_class = 1e3 * quantiles(histogram, list(QUANTILES.values()))  # (n_envs, n_classes, n_quantiles)
    for column, q in enumerate(QUANTILES):
        out[f"latency_{q}_ms"] = of_all[:, column]
    for index, name in enumerate(CLASSES):
        out[f"latency_mean_ms_{name}"] = 1e3 * _ratio(times[:, index, accounts.LATENCY_S], ended[:, index])
        for column, q in enumerate(QUANTILES):
            out[f"latency_{q}_ms_{name}"] = of_class[:, index, column]
        out[f"in_flight_{name}"] = now.counts[:, index, accounts.IN_FLIGHT]
        out[f"late_share_{name}"] = _ratio(late[:, index], arrived[:, index])
        out[f"lost_share_{name}"] = _ratio(unanswered[:, index], arrived[:, index])
    return out


class LoadStatistics:
    """Statistics of the pool: differences of the totals that are measured.

    Parameters
    ----------
    config
        Settings of the world: what requests are worth.
    """

    metric_names = METRICS
    observed_names = tuple(OBSERVED)
    exogenous_names = EXOGENOUS
    timeline_names = TIMELINE

    def __init__(self, config: LoadBalancingConfig) -> None:
        self._config = config

    def before_reset(self, measurements: Measurements, mask: BoolArray) -> None: ...

    def record(self, measurements: Measurements, moved: BoolArray) -> None: ...

    def totals(self, measurements: Measurements) -> Totals:
        """A copy of everything that adds up, to measure a stretch from."""
        return Totals(
            counts=measurements.counts.astype(np.float64),
            times=measurements.times.copy(),
            histogram=measurements.histogram.astype(np.float64),
            sums=measurements.sums.copy(),
            n_starts=measurements.n_starts.astype(np.float64),
        )

    def since(self, measurements: Measurements, totals: Totals | None = None) -> dict[str, FloatArray]:
        """Named figures ``(n_envs,)`` since then, or since the reset."""
        now = self.totals(measurements)
        start = totals or Totals(*(np.zeros_like(part) for part in now))
        return statistics(self._config, measurements, start, now)

    def observed(self, statistics: Statistics) -> FloatArray32:
        """The observed statistics, scaled to order one, ``(n_envs, len(OBSERVED))``."""
        columns = []
        for name, (unit, logarithmic) in OBSERVED.items():
            column = statistics[name] / unit
            columns.append(np.log1p(column) if logarithmic else column)
        return np.stack(columns, axis=-1).astype(np.float32)

    def spread(self, measurements: Measurements) -> Spread:
        """Latencies of all answers since the reset."""
        return Spread("latency (s)", EDGES_S, measurements.histogram.sum((0, 1)).astype(np.float64))
