"""Arms that always set the same mix: equal, the best on selection seeds, a tuner's, one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.simplex import simplex_grid
from envs.core.spec import WorldSpec
from hierarchy.arms.arm import Arm
from hierarchy.arms.found import Found
from hierarchy.arms.search import best_fixed
from hierarchy.arms.selection import Selection
from hierarchy.arms.start import Start
from hierarchy.arms.tuning import n_tuning_steps, tune
from hierarchy.config import ExperimentConfig
from hierarchy.pair import Held, Pair


def scan(selection: Selection, found: Mapping[str, Any]) -> tuple[FloatArray, FloatArray]:
    """The best mix of a grid ``(k,)``, and the best in the windows of each regime ``(n_regimes, k)``."""
    grid = simplex_grid(selection.spec.n_terms, selection.config.ablation.grid_points)
    return best_fixed(grid, selection.windows(Held, grid), len(selection.spec.regimes))


def n_scan_steps(config: ExperimentConfig, spec: WorldSpec) -> int:
    """Env steps of the scan."""
    n_mixes = len(simplex_grid(spec.n_terms, config.ablation.grid_points))
    return n_mixes * Selection.steps_per_candidate(config)


def best_of_scan(selection: Selection, found: Mapping[str, Any]) -> FloatArray:
    """The best mix ``(k,)``."""
    best: FloatArray = found[SCAN.name][0]
    return best


SCAN = Found("scan", scan, n_scan_steps, kept=False)
FIXED_BEST = Found("fixed_best", best_of_scan, needs=(SCAN,))
TUNED_STATIC = Found("tuned_static", tune, n_tuning_steps, one_job=True)


def start_equal(start: Start) -> Pair:
    """Equal weights."""
    return start.pair(Held(start.equal))


def start_best(start: Start) -> Pair:
    """The best mix of the scan."""
    return start.pair(Held(start.found[FIXED_BEST.name]))


def start_tuned(start: Start) -> Pair:
    """The tuner's mix."""
    return start.pair(Held(start.found[TUNED_STATIC.name]))


def start_custom(start: Start) -> Pair:
    """The mix of the settings."""
    weights = start.config.ablation.fixed
    assert weights is not None
    return start.pair(Held(np.asarray(weights) / sum(weights)))


def wants_tuned(config: ExperimentConfig, spec: WorldSpec) -> bool:
    """Tuning takes as long as the upper agent's training, so it must be asked for."""
    return config.ablation.tuned_static


def wants_custom(config: ExperimentConfig, spec: WorldSpec) -> bool:
    """There is a mix in the settings."""
    return config.ablation.fixed is not None


EQUAL = Arm("mix", start_equal)
BEST = Arm("mix", start_best, needs=(FIXED_BEST,))
TUNED = Arm("mix", start_tuned, wants_tuned, needs=(TUNED_STATIC,))
CUSTOM = Arm("mix", start_custom, wants_custom)
