"""SAC (Haarnoja et al., ICML 2018) as an upper agent: its settings, which build it. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from envs.core.validation import setting
from hierarchy.upper.config import OffPolicyConfig

if TYPE_CHECKING:
    from hierarchy.protocols import Learner, UpperLearner
    from hierarchy.vec_env import ArrayVecEnv


@dataclass(frozen=True)
class SACConfig(OffPolicyConfig):
    """SAC over windows of the running simulation, its entropy bonus tuned as it learns."""

    algorithm: Literal["sac"] = setting("sac", one_of=("sac",))
    """soft actor-critic"""

    def build(self, env: ArrayVecEnv, seed: int) -> UpperLearner:
        """A fresh agent over meta envs."""
        from hierarchy.upper import off_policy
        from hierarchy.upper.warm_up import WarmedSAC

        agent = WarmedSAC("MlpPolicy", env, **off_policy.schedule(self), **off_policy.arguments(self, seed))
        return off_policy.learner(agent, partial(agent.actor, deterministic=True), self)

    def load(self, path: Path, env: ArrayVecEnv | None = None) -> Learner:
        """A saved agent; over ``env`` it can be trained further.

        Raises
        ------
        SettingError
            It was trained by another algorithm, or its actions stand for other contexts.
        """
        from hierarchy.upper import off_policy
        from hierarchy.upper.warm_up import WarmedSAC

        agent = off_policy.saved(WarmedSAC, self, path, env)
        return off_policy.learner(agent, partial(agent.actor, deterministic=True), self)
