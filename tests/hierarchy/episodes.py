"""Made-up arms, and the names that results and pictures have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import envs
from envs.core.statistics import Spread
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.rules import RULES
from envs.load_balancing.statistics import METRICS
from hierarchy.evidence.arms import Facts, arm_result
from hierarchy.evidence.blocks import N_BLOCKS
from hierarchy.evidence.episodes import Episodes

SPEC = envs.describe(LoadBalancingConfig())
FACTS = {"delayed_oracle": Facts("oracle", knows="the last regime")}
TERMS = ("fairness", "latency", "cost")
PICTURES = {
    "arms.png",
    "differences.png",
    "profiles.png",
    "latencies.png",
    "learning.png",
    "settings.png",
    "mixes.png",
    "contexts.png",
    "regimes.png",
    "ternary.png",
    "timeline.png",
}


def episodes(objective: Sequence[float], context: Sequence[float] | None = None) -> Episodes:
    """Of two windows; every statistic is the number of the seed."""
    scores = np.array(objective, np.float64)
    seeds = np.arange(len(scores), dtype=np.float64)
    return Episodes(
        objective=scores,
        statistics=dict.fromkeys(METRICS, seeds),
        costs={"load": scores / 100.0},
        bounds={"load": 0.02},
        window_objective=np.tile(scores, (2, 1)),
        recorded_position=None,
        contexts=None if context is None else np.tile(context, (2, len(scores), 1)).astype(np.float64),
        regimes=np.zeros((2, len(scores)), np.int64),
        timeline={"latency_p95_ms": np.array([10.0, 20.0])},
        settings=np.array([[1.0, 0.5], [0.5, 1.0]]),
        spread=Spread("latency (s)", np.array([0.0, 1.0, 2.0]), np.array([3.0, 1.0])),
        observations=None,
        features=None,
        running=None,
    )


def figures(**arms: Episodes | None) -> dict[str, Any]:
    """The figures of arms; those that are rules by name are rules."""
    kinds = {name: FACTS.get(name, Facts("rule" if name in RULES else "mix")) for name in arms}
    return {name: None if arm is None else arm_result(arm, kinds[name], SPEC) for name, arm in arms.items()}


def result_of(values: list[float], counts: list[float] | None = None) -> Any:
    """An arm with these objectives; with ``counts``, as many windows of a recording's blocks that each have its value."""
    blocks = None
    if counts is not None:
        sums = [value * count for value, count in zip(values, counts, strict=True)]
        blocks = {"sums": sums + [0.0] * (N_BLOCKS - len(sums)), "counts": counts + [0.0] * (N_BLOCKS - len(sums))}
    return {
        "kind": "rule",
        "algorithm": None,
        "knows": "measurements",
        "objective": {"mean": float(np.mean(values)), "per_seed": values, "ci95": [0.0, 0.0]},
        "blocks": blocks,
        "metrics": {"late_share_batch": 0.5},
        "constraints": {},
        "context": None,
    }
