"""MADDPG (Lowe et al., NeurIPS 2017): its settings, which build it. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envs.core.team import TeamEnv, TeamSpec
from envs.core.validation import setting
from hierarchy.team.config import AgentsConfig, check_numbers
from hierarchy.team.forms import ActionForm
from hierarchy.team.replaying import ReplayConfig

if TYPE_CHECKING:
    from hierarchy.team.protocols import TeamLearner


@dataclass(frozen=True)
class GradientConfig(AgentsConfig, ReplayConfig):
    """Agents that climb the slope of a value with respect to their actions, which are numbers."""

    shares_parameters: bool = False
    """one network for all agents, which is told who they are, or one for each"""
    actor_learning_rate: float = setting(1e-3, gt=0)
    """of the policies; `learning_rate` is that of the values"""
    saturation_penalty: float = setting(0.1, ge=0)
    """weight in the loss of the mean square of what policies' outputs before tanh exceed 2 by, where tanh is at 0.96 of its
    bound: further out it has no slope on which a policy could come back"""
    action_noise: float = setting(0.3, ge=0)
    """standard deviation of the Gaussian exploration noise at the start, of actions whose range is 2"""
    final_noise: float = setting(0.1, ge=0)
    """the same at the end, to which it falls in a line"""

    def noise_at(self, progress: float) -> float:
        """Standard deviation of the noise, ``progress`` from 0 to 1 into the training."""
        return self.action_noise + (self.final_noise - self.action_noise) * progress

    def _check_action(self, form: ActionForm, spec: TeamSpec) -> None:
        check_numbers(form, spec, self.algorithm)


@dataclass(frozen=True)
class MADDPGConfig(GradientConfig):
    """MADDPG: policies on observations, values of the state and of what all agents do."""

    algorithm: Literal["maddpg"] = setting("maddpg", one_of=("maddpg",))
    """deep deterministic policy gradients with central critics"""

    def build(self, env: TeamEnv, seed: int) -> TeamLearner:
        """A fresh team in ``env``."""
        self.check_buildable(env.spec)
        from hierarchy.team.policy_gradients import GradientLearner

        return GradientLearner(env, self, seed, is_central=True)
