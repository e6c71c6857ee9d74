"""What is to be told from a dataset: settings. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from envs.core.validation import check, setting


@dataclass(frozen=True, kw_only=True)
class OffPolicy:
    """Whose value, and over how many actions."""

    horizon: int = setting(10, gt=0, le=10_000)
    """actions in a piece; the value is the mean discounted reward of the lower agent over so many, from where the behaviour
    has got to. Weights of importance are products over a piece, and mean nothing over hundreds of actions"""
    discount: float = setting(0.95, ge=0, le=1)
    """of rewards, per action"""
    draws: bool = False
    """the agent draws actions as its policy has them likely, in place of the likeliest"""
    random_share: float = setting(0.0, ge=0, le=1)
    """share of the actions that the agent draws from all there are, each as likely as another"""

    def __post_init__(self) -> None:
        check(self)
