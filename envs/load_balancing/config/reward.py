"""What the agent is rewarded for, beside the mix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envs.core.fairness import MEASURES
from envs.core.validation import check, setting

FairnessField = Literal["n_flow_on", "fct_mean", "fct_p90", "flow_duration_avg_decay", "utilisation"]
LatencyMeasure = Literal["deadlines", "forgone"]
UNSAMPLED: tuple[FairnessField, ...] = ("n_flow_on", "utilisation")
"""Of those the ones that need no samples of requests."""


@dataclass(frozen=True)
class Reward:
    """What the agent is rewarded for, beside the mix."""

    fairness_measure: str = setting("jain", one_of=tuple(MEASURES))
    """measure of fairness between the servers, one of those in `envs.core.fairness`"""
    fairness_field: FairnessField = "utilisation"
    """what is to be shared fairly"""
    latency_measure: LatencyMeasure = "deadlines"
    """deadlines: how long requests wait, on a log scale; forgone: what late and lost requests forgo, of their value and in
    penalties, over the cost of all servers fully used"""
    loss_weight: float = setting(5.0, ge=0)
    """a lost or rejected flow counts as this many deadlines of waiting, in measure deadlines"""
    late_limit: float | None = setting(None, ge=0, le=1)
    """soft constraint: share of late flows in a step above which `late_penalty` is due"""
    late_penalty: float = setting(1.0, ge=0)
    """price of the whole step being late, under the soft constraint"""
    switching_cost: float = setting(0.0, ge=0)
    """price of moving all weights from one end to the other"""
    shaping: bool = False
    """add potential-based shaping, with minus the backlog as potential (Ng, Harada and Russell 1999)"""
    shaping_gamma: float = setting(0.99, ge=0, le=1)
    """discount of the shaping; must be that of the learner"""

    def __post_init__(self) -> None:
        check(self)
