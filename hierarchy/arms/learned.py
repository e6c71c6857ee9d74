"""The arm that it is all about: the trained upper agent over the trained lower one."""

from __future__ import annotations

from hierarchy.arms.arm import Arm
from hierarchy.arms.start import Start
from hierarchy.config import ExperimentConfig
from hierarchy.pair import Pair, Upper


def start_learned(start: Start) -> Pair:
    """Both trained agents."""
    assert start.agents.upper is not None
    return start.pair(Upper(start.agents.upper.start(start.simulation.n_envs)))


def upper_algorithm(config: ExperimentConfig) -> str | None:
    """What the upper agent learned by."""
    return config.upper.algorithm


LEARNED = Arm("learned", start_learned, algorithm=upper_algorithm)
