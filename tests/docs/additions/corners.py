"""The best corner of the simplex on selection seeds, always."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.spec import WorldSpec
from hierarchy.arms.arm import Arm
from hierarchy.arms.found import Found
from hierarchy.arms.selection import Selection
from hierarchy.arms.start import Start
from hierarchy.config import ExperimentConfig
from hierarchy.pair import Held, Pair


def best_corner(selection: Selection, found: Mapping[str, Any]) -> FloatArray:
    """One term has all weight, ``(k,)``."""
    corners = np.eye(selection.spec.n_terms)
    best: FloatArray = corners[selection.scores(Held, corners).best]
    return best


def n_steps(config: ExperimentConfig, spec: WorldSpec) -> int:
    """Env steps that it takes."""
    return spec.n_terms * Selection.steps_per_candidate(config)


CORNER = Found("corner", best_corner, n_steps)


def start(start: Start) -> Pair:
    """The corner, held."""
    return start.pair(Held(start.found[CORNER.name]))


ARM = Arm("mix", start, needs=(CORNER,))
