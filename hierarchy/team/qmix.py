"""QMIX (Rashid et al., ICML 2018): its settings, which build it. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envs.core.team import TeamEnv, TeamSpec
from envs.core.validation import setting
from hierarchy.team.config import AgentsConfig, check_choices
from hierarchy.team.forms import ActionForm
from hierarchy.team.replaying import ExploringConfig

if TYPE_CHECKING:
    from hierarchy.team.protocols import TeamLearner


@dataclass(frozen=True)
class MixedConfig(AgentsConfig, ExploringConfig):
    """Values of agents that are mixed into one of the team."""

    reward: Literal["team"] = setting("team", one_of=("team",))
    """what is valued"""

    def _check_action(self, form: ActionForm, spec: TeamSpec) -> None:
        check_choices(form, spec, self.algorithm)


@dataclass(frozen=True)
class QMIXConfig(MixedConfig):
    """QMIX: the team's value rises with each agent's, by weights that depend on the state."""

    algorithm: Literal["qmix"] = setting("qmix", one_of=("qmix",))
    """values mixed monotonically"""
    mixing_size: int = setting(32, gt=0)
    """width of the mixing network"""

    def build(self, env: TeamEnv, seed: int) -> TeamLearner:
        """A fresh team in ``env``."""
        self.check_buildable(env.spec)
        from hierarchy.team.mixed_values import MixedLearner, monotone

        return MixedLearner(env, self, seed, monotone(env.spec, self.mixing_size))
