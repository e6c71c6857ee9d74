"""Q-learning on joint actions: its settings, which build it. Importing them costs no torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envs.core.team import TeamEnv, TeamSpec
from envs.core.validation import SettingError, setting
from hierarchy.team.config import check_choices
from hierarchy.team.forms import MAX_JOINT_ACTIONS, ActionForm, TeamForm
from hierarchy.team.replaying import ExploringConfig

if TYPE_CHECKING:
    from hierarchy.team.protocols import TeamLearner


@dataclass(frozen=True)
class JointQConfig(ExploringConfig):
    """One network observes all agents and values every joint action: what no decomposition can lose, in small games."""

    algorithm: Literal["joint_q"] = setting("joint_q", one_of=("joint_q",))
    """deep Q-learning on joint actions"""
    reward: Literal["team"] = setting("team", one_of=("team",))
    """what is valued"""

    def form(self, spec: TeamSpec) -> TeamForm:
        """What its network is."""
        return dataclasses.replace(super().form(spec), is_joint=True)

    def build(self, env: TeamEnv, seed: int) -> TeamLearner:
        """A fresh team in ``env``."""
        self.check_buildable(env.spec)
        from hierarchy.team.joint_values import JointLearner

        return JointLearner(env, self, seed)

    def _check_action(self, form: ActionForm, spec: TeamSpec) -> None:
        check_choices(form, spec, self.algorithm)
        n_joint = form.n_joint(spec.n_agents)
        if n_joint > MAX_JOINT_ACTIONS:
            allowed = f"one with at most {MAX_JOINT_ACTIONS} joint actions for {self.algorithm}"
            raise SettingError("action_space", allowed, f"{spec.action_space} of {spec.n_agents} agents with {n_joint}")
