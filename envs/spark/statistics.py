"""Statistics of the stream world: means over the steps of a stretch; nothing ever waits."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, FloatArray32
from envs.core.statistics import Statistics
from envs.spark import kernel
from envs.spark.measurements import Measurements

METRICS: tuple[str, ...] = ("latency_mean_ms", "cost_usd_per_h", "throughput", "executors")
TIMELINE: tuple[str, ...] = ("workload_mean", "latency_mean_ms", "cost_usd_per_h")
OBSERVED: dict[str, float] = {"workload_mean": 500.0, "workload_spread": 500.0, "latency_mean_ms": 1000.0}
"""What the upper agent observes of a window, and what each is divided by."""


class StreamStatistics:
    """Differences of the sums that the world keeps."""

    metric_names = METRICS
    observed_names = tuple(OBSERVED)
    timeline_names = TIMELINE

    def before_reset(self, measurements: Measurements, mask: BoolArray) -> None: ...

    def record(self, measurements: Measurements, moved: BoolArray) -> None: ...

    def totals(self, measurements: Measurements) -> FloatArray:
        """A copy of the sums, to measure a stretch from."""
        return measurements.sums.copy()

    def since(self, measurements: Measurements, totals: Any = None) -> dict[str, FloatArray]:
        """Named figures ``(n_envs,)``; `waiting_mean_ms` is the mean latency."""
        sums = measurements.sums if totals is None else measurements.sums - totals
        steps = np.maximum(sums[:, kernel.STEPS], 1.0)
        mean = dict(zip(kernel.SUMS, (sums / steps[:, None]).T, strict=True))
        variance = np.maximum(mean["workload_squared"] - mean["workload"] ** 2, 0.0)
        return {
            "latency_mean_ms": mean["latency_ms"],
            "waiting_mean_ms": mean["latency_ms"],
            "cost_usd_per_h": mean["cost_usd_per_h"],
            "throughput": mean["throughput"],
            "executors": mean["executors"],
            "workload_mean": mean["workload"],
            "workload_spread": np.sqrt(variance),
        }

    def observed(self, statistics: Statistics) -> FloatArray32:
        """``(n_envs, len(OBSERVED))``."""
        return np.stack([statistics[name] / unit for name, unit in OBSERVED.items()], axis=-1).astype(np.float32)
