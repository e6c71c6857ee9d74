"""An upper algorithm: TD3 that explores twice as much."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from envs.core.validation import setting
from hierarchy.upper.td3 import TD3Config

if TYPE_CHECKING:
    from hierarchy.protocols import Learner


@dataclass(frozen=True)
class RestlessConfig(TD3Config):
    """TD3 with more noise than it is told to have."""

    algorithm: Literal["restless"] = setting("restless", one_of=("restless",))  # type: ignore[assignment]
    """twice the noise"""

    def build(self, env: Any, seed: int) -> Learner:
        noisy = replace(self, action_noise=2.0 * self.action_noise)
        return super(RestlessConfig, noisy).build(env, seed)
