"""Settings of the stream world, in the two forms that were published for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from envs.core.objectives import NamedObjective, Satisfaction
from envs.core.validation import chosen, one_of, positive

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
    max_change: int | None = None
    """most executors that a step may add or take away; None lets any number follow any other"""
    dt_s: float = 1.0
    """seconds that a step stands for, on pictures"""
    episode_steps: int = 1000
    """steps after which an episode is truncated"""
    objective: NamedObjective = chosen(lambda: OBJECTIVES, by="name", default_factory=Satisfaction)

    def __post_init__(self) -> None:
        one_of(("spark",), **{"env.family": self.family})
        one_of(get_args(Form), **{"env.form": self.form})
        one_of(get_args(ActionChoice), **{"env.actions": self.actions})
        one_of(get_args(Scenario), **{"env.scenario": self.scenario})
        positive(**{"env.dt_s": self.dt_s, "env.episode_steps": self.episode_steps})
        if self.max_change is not None:
            positive(**{"env.max_change": self.max_change})

    @property
    def choice_sizes(self) -> tuple[int, ...]:
        """Values of each choice that the agent makes."""
        if self.actions == "executors":
            return (MAX_EXECUTORS,)
        base = (MAX_EXECUTORS, MAX_MEMORY_GB, N_TIERS)
        return base if self.form == "base" else (*base, N_COMPRESSIONS)
