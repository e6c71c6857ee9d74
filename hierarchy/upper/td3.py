"""TD3 (Fujimoto et al., ICML 2018) as an upper agent: its settings, which build it. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from envs.core.validation import setting
from hierarchy.upper.config import OffPolicyConfig

if TYPE_CHECKING:
    from hierarchy.protocols import SavedAgent, TrainedActor, UpperLearner
    from hierarchy.vec_env import ArrayVecEnv


@dataclass(frozen=True)
class TD3Config(OffPolicyConfig):
    """TD3 over windows of the running simulation."""

    algorithm: Literal["td3"] = setting("td3", one_of=("td3",))
    """twin delayed deep deterministic policy gradients"""
    action_noise: float = setting(0.2, ge=0)
    """standard deviation of the Gaussian exploration noise"""
    saturation_penalty: float = setting(0.01, ge=0)
    """weight of the mean square of the actor's outputs before tanh in its loss, counted from those that it begins with"""

    def settings(self, n_weights: int, seed: int) -> dict[str, Any]:
        """The settings of TD3 that sets ``n_weights`` weights, those of all contexts, for SB3."""
        from stable_baselines3.common.noise import NormalActionNoise

        from hierarchy.upper.off_policy import arguments

        noise = NormalActionNoise(np.zeros(n_weights), np.full(n_weights, self.action_noise))
        return arguments(self, seed) | {"action_noise": noise}

    def build(self, env: ArrayVecEnv, seed: int) -> UpperLearner:
        """A fresh agent over meta envs."""
        from hierarchy.upper import off_policy
        from hierarchy.upper.penalised_td3 import PenalisedTD3

        settings = off_policy.schedule(self) | self.settings(off_policy.n_weights(env), seed)
        agent = PenalisedTD3("MlpPolicy", env, saturation_penalty=self.saturation_penalty, **settings)
        return off_policy.learner(agent, agent.actor.mu, self, env)

    def actor(self, saved: SavedAgent) -> TrainedActor:
        """What acts of a saved agent.

        Raises
        ------
        SettingError
            It was trained by another algorithm, its network is not what it says, or its actions stand for other contexts.
        """
        from hierarchy.upper.saved_actor import actor_of

        return actor_of(saved, self.algorithm)
