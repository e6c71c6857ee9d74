"""SAC (Haarnoja et al., ICML 2018) as an upper agent: its settings, which build it. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envs.core.validation import setting
from hierarchy.upper.config import OffPolicyConfig

if TYPE_CHECKING:
    from hierarchy.protocols import SavedAgent, TrainedActor, UpperLearner
    from hierarchy.vec_env import ArrayVecEnv


@dataclass(frozen=True)
class SACConfig(OffPolicyConfig):
    """SAC over windows of the running simulation, its entropy bonus tuned as it learns."""

    algorithm: Literal["sac"] = setting("sac", one_of=("sac",))
    """soft actor-critic"""

    def build(self, env: ArrayVecEnv, seed: int) -> UpperLearner:
        """A fresh agent over meta envs."""
        from torch import nn

        from hierarchy.upper import off_policy
        from hierarchy.upper.warm_up import WarmedSAC

        agent = WarmedSAC("MlpPolicy", env, **off_policy.schedule(self), **off_policy.arguments(self, seed))
        mean = nn.Sequential(*agent.actor.latent_pi, agent.actor.mu, nn.Tanh())
        return off_policy.learner(agent, mean, self, env)

    def actor(self, saved: SavedAgent) -> TrainedActor:
        """What acts of a saved agent.

        Raises
        ------
        SettingError
            It was trained by another algorithm, its network is not what it says, or its actions stand for other contexts.
        """
        from hierarchy.upper.saved_actor import actor_of

        return actor_of(saved, self.algorithm)
