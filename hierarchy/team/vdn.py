"""Value decomposition (Sunehag et al., AAMAS 2018): its settings, which build it. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envs.core.team import TeamEnv
from envs.core.validation import setting
from hierarchy.team.qmix import MixedConfig

if TYPE_CHECKING:
    from hierarchy.team.protocols import TeamLearner


@dataclass(frozen=True)
class VDNConfig(MixedConfig):
    """VDN: the team's value is the sum of its agents'."""

    algorithm: Literal["vdn"] = setting("vdn", one_of=("vdn",))
    """values added up"""

    def build(self, env: TeamEnv, seed: int) -> TeamLearner:
        """A fresh team in ``env``."""
        self.check_buildable(env.spec)
        from hierarchy.team.mixed_values import MixedLearner, added

        return MixedLearner(env, self, seed, added(env.spec))
