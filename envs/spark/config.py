"""Settings of the stream world, in the two forms that were published for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envs.core.objectives import NamedObjective, Satisfaction
from envs.core.validation import check, chosen, setting

Form = Literal["base", "extended"]
ActionChoice = Literal["executors", "all"]
Scenario = Literal["random", "smart_hospital", "smart_metering", "balanced"]

MAX_EXECUTORS = 20
MAX_MEMORY_GB = 8
N_TIERS = 4
N_COMPRESSIONS = 3

MIXES: dict[str, tuple[float, float, float]] = {
    "smart_hospital": (0.05, 0.9, 0.05),
    "smart_metering": (0.9, 0.05, 0.05),
    "balanced": (1 / 3, 1 / 3, 1 / 3),
}
"""Weights of cost, latency and throughput in the published scenarios."""

OBJECTIVES: dict[str, type] = {"satisfaction": Satisfaction}
"""The objectives by name."""


@dataclass(frozen=True)
class SparkConfig:
    """Executors for an IoT stream."""

    family: Literal["spark"] = "spark"
    """name of the env family"""
    form: Form = "base"
    """base redraws the load now and then; extended announces the next load and adds shuffles, temperature, compression"""
    actions: ActionChoice = "executors"
    """executors sets their number, 8 GB each on the fastest tier; all also sets memory, tier and, extended, compression"""
    scenario: Scenario = "random"
    """mix that holds until another one is set; random draws mixes"""
    max_change: int | None = setting(None, ge=1)
    """most executors that a step may add or take away; None lets any number follow any other"""
    dt_s: float = setting(1.0, gt=0)
    """seconds that a step stands for, on pictures"""
    episode_steps: int = setting(1000, ge=1)
    """steps after which an episode is truncated"""
    objective: NamedObjective = chosen(lambda: OBJECTIVES, by="name", default_factory=Satisfaction)
    """what the upper agent is paid for, and arms are compared by"""

    def __post_init__(self) -> None:
        check(self)

    @property
    def choice_sizes(self) -> tuple[int, ...]:
        """Values of each choice that the agent makes."""
        if self.actions == "executors":
            return (MAX_EXECUTORS,)
        base = (MAX_EXECUTORS, MAX_MEMORY_GB, N_TIERS)
        return base if self.form == "base" else (*base, N_COMPRESSIONS)
