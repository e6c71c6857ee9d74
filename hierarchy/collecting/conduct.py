"""How a dataset is made: settings. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from envs.core.validation import SettingError, check, setting

NOMINAL = "nominal"
"""The rule that always takes the world's nominal action."""
Contexts = Literal["upper", "sampled"]


@dataclass(frozen=True)
class Conduct:
    """How a dataset is made."""

    rule: str | None = None
    """balancing rule that acts in place of the pair; nominal always takes the world's nominal action"""
    episodes: int = setting(100, gt=0)
    """episodes, of every agent in an env"""
    random_share: float = setting(0.1, ge=0, le=1)
    """share of the actions that are drawn from all there are, each as likely as another"""
    contexts: Contexts | None = setting(None, one_of=get_args(Contexts))
    """upper: mixes are those of the upper agent, as without this word where a pair acts; sampled: they are drawn as in
    training of a lower agent, as without this word where a rule does"""
    draws: bool = False
    """the pair draws actions as its policy has them likely, in place of the likeliest"""

    def __post_init__(self) -> None:
        check(self)
        if self.rule is not None and self.contexts == "upper":
            raise SettingError("contexts", "sampled with a rule", self.contexts)
        if self.rule is not None and self.draws:
            raise SettingError("draws", "false with a rule", self.draws)
