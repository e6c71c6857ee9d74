"""Reports that were made up, and where their telemetry comes from."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from hierarchy.live.controller import Decision
from hierarchy.live.reports import Report, Subject, WindowFigures
from hierarchy.live.safety import Intervention

SUBJECT = Subject(
    "runs/out/bundle", True, 1.0, ("web_interactive", "web_batch"), ("s1", "s2"), ("interactive", "batch"), "profit", "$/h"
)
STATISTICS = {
    "late_share_interactive": 0.25,
    "late_share_batch": 0.0,
    "lost_share_interactive": 0.125,
    "lost_share_batch": 0.0,
    "latency_p50_ms": 40.0,
    "latency_p95_ms": 120.0,
    "latency_p99_ms": 250.0,
    "latency_p95_ms_interactive": 110.0,
    "latency_p95_ms_batch": 900.0,
    "cost_usd_per_h": 0.3,
    "arrival_rate_hz": 12.5,
    "utilisation": 0.6,
    "servers_on": 2.0,
}
WINDOW = WindowFigures(1, 1.5, STATISTICS)
DRAINED = Intervention("in service", 0, 1, 0, 100)


@dataclasses.dataclass
class Source:
    """Telemetry that is as old as one likes."""

    now_s: float = 100.0
    look_age_s: float = 0.2
    log_age_s: float | None = None
    n_restarts: int = 0
    log_lines: dict[str, int] = dataclasses.field(
        default_factory=lambda: {"taken": 5, "malformed": 1, "foreign": 2, "dropped": 0}
    )

    def now(self) -> float:
        return self.now_s


def decision(number: int = 1, **more: Any) -> Decision:
    made = Decision(number, 1.5, np.array([[1.0, 0.5], [0.25, 0.0]]), np.array([[256, 128], [64, 0]]), took_s=0.004)
    return made._replace(**more)


def report(number: int = 1, window: WindowFigures | None = None, failures: Any = None, **more: Any) -> Report:
    """Of a step in which all was well, but for what is given of the decision."""
    context = {"fairness": 0.2, "latency": 0.5, "cost": 0.3}
    n_flows, up, untouchable = np.array([[3, 0], [1, 2]]), np.array([True, False]), np.array([False, True])
    told = decision(number, **more)
    in_force = np.array([[100, 100], [100, 100]])
    standing = n_flows, up, untouchable, failures or {}, in_force, None
    return Report(told, 1.7e9 + number, 100.0, context, "d" * 64, window, *standing)
