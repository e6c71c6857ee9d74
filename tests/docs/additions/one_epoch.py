"""A lower algorithm: recurrent PPO with one pass over a rollout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from envs.core.validation import setting
from hierarchy.lower.recurrent_ppo import RecurrentPPOConfig

if TYPE_CHECKING:
    from hierarchy.protocols import Learner


@dataclass(frozen=True)
class OneEpochConfig(RecurrentPPOConfig):
    """Whatever the number of epochs says, one."""

    algorithm: Literal["one_epoch"] = setting("one_epoch", one_of=("one_epoch",))  # type: ignore[assignment]
    """one pass"""

    def build(self, env: Any, seed: int, contextual: bool = True) -> Learner:
        once = replace(self, n_epochs=1)
        return super(OneEpochConfig, once).build(env, seed, contextual)
