"""The arm that an engineer would write down: the world's own rule from statistics to mixes."""

from __future__ import annotations

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.spec import WorldSpec
from hierarchy.arms.arm import Arm
from hierarchy.arms.start import Start
from hierarchy.config import ExperimentConfig
from hierarchy.pair import ContextSetter, Pair, Window


class ByRule(ContextSetter):
    """What the rule makes of the window that has just ended; equal weights before the first."""

    uses_statistics = True

    def contexts(self, window: Window) -> FloatArray:
        rule = window.world.context_rule
        assert rule is not None
        if window.statistics is None:
            return np.full_like(window.context, 1.0 / window.context.shape[1])
        return rule(window.measurements, window.statistics, window.world.term_names)


def start_rule(start: Start) -> Pair:
    """The lower agent under the rule."""
    return start.pair(ByRule())


def has_rule(config: ExperimentConfig, spec: WorldSpec) -> bool:
    """Not every world has one."""
    return spec.has_context_rule


RULE = Arm("mix", start_rule, has_rule)
