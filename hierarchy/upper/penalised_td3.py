"""TD3 whose actor is kept from saturating: what goes into its tanh is penalised."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch as th
from stable_baselines3 import TD3
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.utils import polyak_update
from stable_baselines3.td3.policies import Actor
from torch.nn import functional

from envs.core.finite import NonFiniteError
from hierarchy.upper.warm_up import WarmUp


class PenalisedTD3(WarmUp, TD3):
    """SB3's TD3, whose actor's loss is greater by ``saturation_penalty * mean((z - z_0)^2)``.

    z are its outputs before tanh, z_0 those of the actor that it began as, or 0 where it began as any. Where tanh is
    saturated it has no slope, and an actor that got there stays there; that of the square grows with z. Without a penalty
    this is stock TD3, to the bit.
    """

    actor: Actor

    def __init__(self, *arguments: Any, saturation_penalty: float = 0.0, **settings: Any) -> None:
        self.saturation_penalty = saturation_penalty
        self._beginning: Actor | None = None  # made when it is needed
        super().__init__(*arguments, **settings)

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Some updates of the critics, and half as many of the actor and the targets."""
        assert self.replay_buffer is not None
        self.policy.set_training_mode(True)
        self._update_learning_rate([self.actor.optimizer, self.critic.optimizer])
        for _ in range(gradient_steps):
            self._n_updates += 1
            samples = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)
            _descend(self.critic.optimizer, self._critic_loss(samples))
            if self._n_updates % self.policy_delay == 0:
                _descend(self.actor.optimizer, self._actor_loss(samples.observations))
                polyak_update(self.critic.parameters(), self.critic_target.parameters(), self.tau)
                polyak_update(self.actor.parameters(), self.actor_target.parameters(), self.tau)

    def _critic_loss(self, samples: ReplayBufferSamples) -> th.Tensor:
        """Squared errors of both critics against the lower target, of actions smoothed by noise."""
        with th.no_grad():
            noise = th.empty_like(samples.actions).normal_(0, self.target_policy_noise)
            noise = noise.clamp(-self.target_noise_clip, self.target_noise_clip)
            actions = (self.actor_target(samples.next_observations) + noise).clamp(-1, 1)
            values = th.cat(self.critic_target(samples.next_observations, actions), dim=1).amin(1, keepdim=True)
            target = samples.rewards + (1 - samples.dones) * self.gamma * values
        first, second = self.critic(samples.observations, samples.actions)
        return functional.mse_loss(first, target) + functional.mse_loss(second, target)

    def _actor_loss(self, observations: th.Tensor) -> th.Tensor:
        """The first critic's value of the actor's actions, negative, and the penalty."""
        before_tanh = self.before_tanh(observations)
        value = self.critic.q1_forward(observations, self.actor.mu[-1](before_tanh)).mean()
        return self.saturation_penalty * (before_tanh - self._drawn_to(observations)).square().mean() - value

    def before_tanh(self, observations: th.Tensor) -> th.Tensor:
        return _before_tanh(self.actor, observations)

    @th.no_grad()
    def _drawn_to(self, observations: th.Tensor) -> th.Tensor:
        """Outputs before tanh of the actor that it began as."""
        if self.begins_with is None:
            return th.zeros(1)
        if self._beginning is None:
            self._beginning = copy.deepcopy(self.actor)
            self.load_beginning(self._beginning)
        return _before_tanh(self._beginning, observations)

    def begin_again(self) -> None:
        super().begin_again()
        self._beginning = None
        self.actor_target.load_state_dict(self.actor.state_dict())

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_beginning"]


def _before_tanh(actor: Actor, observations: th.Tensor) -> th.Tensor:
    """Outputs ``(n, k)`` of an actor without its last module, which is tanh."""
    features = actor.extract_features(observations, actor.features_extractor)
    outputs: th.Tensor = actor.mu[:-1](features)
    return outputs


def _descend(optimizer: th.optim.Optimizer, loss: th.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = [parameter.grad for parameter in optimizer.param_groups[0]["params"]]
    norm = float(th.nn.utils.get_total_norm(gradients))
    if not math.isfinite(norm):
        raise NonFiniteError(f"gradient of TD3 must be finite, got {norm}: parameters are kept")
    optimizer.step()
