"""Wrappers between a world and an agent that learns in it, all of them Stable-Baselines3's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecNormalize

from hierarchy.config import LowerConfig

FloatArray = NDArray[np.float64]

CLIP_SCALED_REWARD = 10.0
"""Scaled rewards are held within this bound where the settings name none: SB3's default."""


class WorldMoments(RunningMeanStd):
    """Running moments of an observation that leave the context, its last ``n_terms`` entries, as it is.

    Its weights mean what they say; shifted and stretched they would be weights of another mix.
    """

    def __init__(self, shape: tuple[int, ...], n_terms: int) -> None:
        super().__init__(shape=shape)
        self._n_terms = n_terms

    def update_from_moments(self, batch_mean: FloatArray, batch_var: FloatArray, batch_count: float) -> None:
        """Take in a batch."""
        super().update_from_moments(batch_mean, batch_var, batch_count)
        self.mean[-self._n_terms :] = 0.0
        self.var[-self._n_terms :] = 1.0


def wrapped(env: VecEnv, n_terms: int, settings: LowerConfig, scales_reward: bool = False) -> VecEnv:
    """The env as the agent learns in it, as configured: observations normalised, rewards clipped, history stacked.

    Parameters
    ----------
    env
        Its observations end with a context of ``n_terms`` weights.
    scales_reward
        Divide rewards by the spread of returns even if the settings don't ask for it.
    """
    scales_reward = scales_reward or settings.clip_reward is not None
    if settings.normalise_observations or scales_reward:
        normalised = VecNormalize(
            env,
            norm_obs=settings.normalise_observations,
            norm_reward=scales_reward,
            clip_reward=settings.clip_reward or CLIP_SCALED_REWARD,
            gamma=settings.gamma,
        )
        if settings.normalise_observations:
            assert env.observation_space.shape is not None
            normalised.obs_rms = WorldMoments(env.observation_space.shape, n_terms)  # type: ignore[assignment]  # no dict
        env = normalised
    return VecFrameStack(env, settings.history) if settings.history > 1 else env
