"""What agents of SB3 that learn from a buffer do before they learn: contexts all over the simplex, without noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from stable_baselines3 import SAC
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.sac.policies import Actor

from envs.core.arrays import FloatArray32
from envs.core.context import ContextDistribution
from envs.core.finite import NonFiniteError
from envs.core.simplex import draw_action


def drawn_actions(
    distribution: ContextDistribution, shape: tuple[int, int], seed: int, step: int, n_envs: int
) -> FloatArray32:
    """Actions ``(n_envs, n_contexts * n_terms)`` that stand for contexts drawn at random, as many and as long as ``shape``
    says; each depends on seed and meta step alone.
    """
    n_contexts, n_terms = shape
    actions = np.empty((n_envs, n_contexts, n_terms), np.float32)
    for env in range(n_envs):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(step + env,)))
        for one in range(n_contexts):
            actions[env, one] = draw_action(distribution.draw(n_terms, int(rng.integers(2**63))), rng)
    return actions.reshape(n_envs, -1)


class WarmUp(OffPolicyAlgorithm):
    """Goes before an algorithm, whose uniform actions would hardly ever be a corner.

    Attributes
    ----------
    warm_up
        What contexts are drawn from; a setting, which is not saved with the agent.
    n_contexts
        That its actions stand for.
    begins_with
        Parameters of its actor before it learns, by name; None for whatever it was built with.
    """

    actor: th.nn.Module
    warm_up = ContextDistribution()
    n_contexts = 1
    begins_with: dict[str, Any] | None = None

    def before_tanh(self, observations: th.Tensor) -> th.Tensor:
        """Outputs ``(n, k)`` of the actor for observations ``(n, n_features)``, without noise, before its tanh."""
        raise NotImplementedError

    def keep_beginning(self) -> None:
        """From now on the actor as it is counts as where it began."""
        self.begins_with = {name: value.tolist() for name, value in self.actor.state_dict().items()}

    def begin_again(self) -> None:
        """The actor is what it began as, if that is known."""
        if self.begins_with is not None:
            self.load_beginning(self.actor)

    def load_beginning(self, actor: th.nn.Module) -> None:
        """Have an actor of the same shape be what this agent's began as."""
        assert self.begins_with is not None
        actor.load_state_dict({name: th.tensor(value) for name, value in self.begins_with.items()})

    def _sample_action(
        self, learning_starts: int, action_noise: ActionNoise | None = None, n_envs: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        if self.num_timesteps >= learning_starts:
            return super()._sample_action(learning_starts, action_noise, n_envs)
        assert self.action_space.shape is not None
        shape = self.n_contexts, self.action_space.shape[0] // self.n_contexts
        actions = drawn_actions(self.warm_up, shape, self.seed or 0, self.num_timesteps, n_envs)
        return actions, actions

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "warm_up"]


class WarmedSAC(WarmUp, SAC):
    """SAC that begins with contexts all over the simplex."""

    actor: Actor

    def before_tanh(self, observations: th.Tensor) -> th.Tensor:
        mean, *_ = self.actor.get_action_dist_params(observations)
        return mean

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """SB3's updates, whose outcome is held against what numbers are: torch's own error would fill a page."""
        try:
            super().train(gradient_steps, batch_size)
        except ValueError:
            self._check_finite()
            raise
        self._check_finite()

    def _check_finite(self) -> None:
        for name, parameter in self.actor.named_parameters():
            if not th.isfinite(parameter).all():
                raise NonFiniteError(f"parameter {name} of SAC's actor must be finite after {self._n_updates} updates")
