"""What is measured, and what is wrong with the measurements that the agent is given."""

from __future__ import annotations

from dataclasses import dataclass

from envs.core.validation import check, setting


@dataclass(frozen=True)
class Telemetry:
    """What is measured, and what is wrong with the measurements that the agent observes."""

    ground_truth: bool = False
    """also show memory and cores of every server"""
    samples: bool = True
    """sample the times of requests on every server; what is shown of samples reads 0 without them"""
    noise: float = setting(0.0, ge=0)
    """standard deviation of a lognormal factor on every measured feature"""
    loss: float = setting(0.0, ge=0, lt=1)
    """probability that a server's report is lost and the last one stands"""
    delay_steps: int = setting(0, ge=0, le=100_000)
    """age of the reports, in steps"""

    def __post_init__(self) -> None:
        check(self)

    @property
    def is_exact(self) -> bool:
        """Whether the agent observes every measurement as it is, at once."""
        return self.noise == 0 and self.loss == 0 and self.delay_steps == 0
