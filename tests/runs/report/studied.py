"""What every study leaves in a folder, by file: as small as it can be."""

from __future__ import annotations

from typing import Any

from runs.studies import balancers, belief, drift, meta, overlap, transfer
from tests.hierarchy.episodes import result_of

RATIO = {"mean": 0.95, "ci95": [0.9, 1.0], "per_seed": [0.95]}
FIGURES = {"latency_mean_ms": 80.0, "latency_p99_ms": 400.0}

SCENARIO = {
    "best_rule": ["sed"],
    "agent": FIGURES,
    "untrained": FIGURES,
    "trained": FIGURES,
    "kept_at": [8192],
    "to_best_rule": dict.fromkeys(FIGURES, RATIO),
    "to_nominal_sed": dict.fromkeys(FIGURES, RATIO),
}
ARM = {"n": 1, "n_reached": 1, "lower_steps": 9000.0, "seconds": 1.0, "final": 2.0}
CHANGE = {
    "arms": {"learned": ARM, "flat": ARM},
    "share_of_flat_steps": 0.05,
    "learned_minus_flat": {**RATIO, "difference": 1.0},
}
LEARNING = {
    **dict.fromkeys(("final", "minus_ppo"), RATIO),
    "n": 1,
    "n_reached": 0,
    "steps_to_target": None,
    "seconds_to_target": 2.0,
    "steps_per_s": 10.0,
}
BOUNDED = {"objective": RATIO, "cost": RATIO, "n_within": 0, "n_within_a_point": 1, "bounded_minus_it": RATIO}
TRIES = {**RATIO, "per_try": [1.0, -1.0], "least": -1.0, "n_below": 1, "n_clearly": 0, "n_trained": 2}
TRIAL = {
    "game": "climbing",
    "algorithm": "qmix",
    "reward": "team",
    "asked": {"figure": "short of the optimum", "sign": ">=", "bound": 1.0},
    "figures": [6.0],
    "worst": 6.0,
    "n_reached": 1,
    "nash_gaps": [0.5],
}
CELL = {"objective": {"gated": 1.5}, "regret": {"gated": [0.125]}, "gated_vs_best_rule": None, "verdict": ""}
NAMES = (balancers.OURS, *balancers.RIVALS, *balancers.RULES)
MEANS = {balancers.METRIC: {name: [10.0] for name in NAMES}, "power": [0.5]}
TEAM = {**MEANS, "ratios": dict.fromkeys(balancers.RIVALS, RATIO)}


TUNED = {"begins": RATIO, "ends": RATIO, "n": 2, "n_reached": 1, "steps": 1_000.0, "share": RATIO}
"""Agents that begin as another one, in pools of their own."""


DRIFTED = {"objective": RATIO, "minus_deployed": RATIO, "n_rollbacks": 0.5, "curve": [1.0, 2.0]}
"""An upper agent in a world that drifts."""


REMEMBERED = {"objective": RATIO, "minus": {belief.PLAIN: RATIO, belief.FIXED: RATIO}, "n_trained": 1}
"""An upper agent by what it remembers of windows."""


TOLD = {"policies": 10, **dict.fromkeys(overlap.SHOWN, 1), **dict.fromkeys(overlap.WIDTHS, 0.5)}
"""Policies that an estimator was asked about."""


def studied(results: Any) -> dict[str, Any]:
    """The same, given results of an experiment."""
    return {
        "held_out.json": {"other_pool": results},
        "suite.json": {"cells": {"bursts, slo": CELL}, "aggregate": {"gated": RATIO}},
        "scenarios.json": {"drift": SCENARIO},
        "adaptation.json": {"slo": CHANGE},
        "front.json": {
            "hypervolume": RATIO,
            "hypervolume_of_rules": {"sed": 0.3, "autoscale": 0.35},
            "hypervolume_of_all_rules": 0.4,
            "expected_utility": RATIO,
            "on_front": [True, False],
            "axes": ["cost"],
            "reference": [5.0],
        },
        "steering.json": {
            "cost_first_to_latency_first_cost": 0.5,
            "latency_first_to_cost_first_latency": 0.25,
            "weight_of_cost": [0.0, 1.0],
            "cost_usd_per_h": [[2.0, 1.0]],
            "latency_mean_ms": [[10.0, 40.0]],
        },
        "headroom.json": {
            "arms": {"planner": result_of([2.0]), "best_rule": result_of([1.0])},
            "best_rules": ["autoscale"],
            "comparisons": {"best_rule": {**RATIO, "rival": "best_rule", "difference": 1.0, "percent": 20.0}},
            "shares": {"best_rule": RATIO},
        },
        "upper_seeds.json": {"lower_agents": {"3": TRIES}},
        "transfer.json": {"6 servers": dict.fromkeys(transfer.RATIOS, RATIO)},
        "balancers.json": {"0.7": TEAM},
        "algorithms.json": {"recurrent_ppo": LEARNING, "sac_gru": LEARNING},
        "overlap.json": {
            "behaviour": {"records": 10, "simulated": 1.0, "covered": 9},
            "episodes": 100,
            "horizon": 10,
            "discount": 0.95,
            "estimators": {"dr": {"near": TOLD, "far": TOLD | dict.fromkeys(overlap.WIDTHS, None)}},
        },
        "belief.json": {"unit": "$/h", "seeds": [0, 1], "arms": dict.fromkeys(belief.VARIANTS, REMEMBERED)},
        "drift.json": {"hours": 8.0, "arms": dict.fromkeys(drift.VARIANTS, DRIFTED), "lost": RATIO, "recovered": 0.5},
        "meta.json": dict.fromkeys((meta.FRESH, meta.META, meta.JOINT), TUNED),
        "bounds.json": {
            "constraint": "load",
            "bound": 0.01,
            "penalty": 3.0,
            "penalties": {"3": {"objective": 1.0, "cost": 0.01}},
            "n_seeds": 1,
            "arms": {"bounded": BOUNDED, "sed": BOUNDED},
        },
        "games.json": {"climbing-qmix": TRIAL},
    }
