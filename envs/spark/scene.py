"""What a picture of a stream shows: executors, load and what it leads to."""

from __future__ import annotations

from envs.core.arrays import FloatArray
from envs.core.scene import Gauge, Scene
from envs.spark.config import MAX_EXECUTORS, SparkConfig
from envs.spark.kernel import HIGH, MAX_WORKLOAD
from envs.spark.measurements import Measurements

FULL: dict[str, tuple[float, str]] = {
    "workload": (MAX_WORKLOAD, "messages/s"),
    "volume": (HIGH, "MB"),
    "cpu": (100.0, "%"),
    "memory": (100.0, "%"),
    "latency_ms": (1000.0, "ms"),
    "cost_usd_per_h": (10.1, "$/h"),
}
"""Where the bar of a figure is full, and its unit."""
ANNOUNCED = {"announced": (MAX_WORKLOAD, "messages/s")}
"""The same for what only the extended form has."""


def scene(config: SparkConfig, measurements: Measurements, setting: FloatArray, env: int) -> Scene:
    """The stream of an env now."""
    n = setting[env, 0]
    gauges = [Gauge("executors", float(n) / MAX_EXECUTORS, f"{n:.0f}")]
    for name, (full, unit) in {**FULL, **(ANNOUNCED if config.form == "extended" else {})}.items():
        value = float(getattr(measurements, name)[env])
        gauges.append(
            Gauge(name.removesuffix("_ms").removesuffix("_usd_per_h"), min(value / full, 1.0), f"{value:.4g} {unit}")
        )
    return Scene((), tuple(gauges))
