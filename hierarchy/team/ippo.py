"""Independent PPO (de Witt et al., 2020): its settings, which build it. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envs.core.team import TeamEnv
from envs.core.validation import setting
from hierarchy.team.mappo import ClippedConfig

if TYPE_CHECKING:
    from hierarchy.team.protocols import TeamLearner


@dataclass(frozen=True)
class IPPOConfig(ClippedConfig):
    """IPPO: policies and values on observations."""

    algorithm: Literal["ippo"] = setting("ippo", one_of=("ippo",))
    """proximal policy optimisation, agent by agent"""

    def build(self, env: TeamEnv, seed: int) -> TeamLearner:
        """A fresh team in ``env``."""
        self.check_buildable(env.spec)
        from hierarchy.team.clipped_policies import ClippedLearner

        return ClippedLearner(env, self, seed, is_central=False)
