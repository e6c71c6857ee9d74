"""DDPG (Lillicrap et al., ICLR 2016), agent by agent: its settings, which build it. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envs.core.team import TeamEnv
from envs.core.validation import setting
from hierarchy.team.maddpg import GradientConfig

if TYPE_CHECKING:
    from hierarchy.team.protocols import TeamLearner


@dataclass(frozen=True)
class IDDPGConfig(GradientConfig):
    """Policies on observations, values of what an agent observes and does itself; others are part of its world."""

    algorithm: Literal["iddpg"] = setting("iddpg", one_of=("iddpg",))
    """deep deterministic policy gradients, agent by agent"""

    def build(self, env: TeamEnv, seed: int) -> TeamLearner:
        """A fresh team in ``env``."""
        self.check_buildable(env.spec)
        from hierarchy.team.policy_gradients import GradientLearner

        return GradientLearner(env, self, seed, is_central=False)
