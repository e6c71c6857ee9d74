"""sb3-contrib's recurrent PPO with faster rollouts and updates, and the same mathematics."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import explained_variance
from stable_baselines3.common.vec_env import VecEnv

from hierarchy.nets.recurrent import FusedLstmPolicy, Memories
from hierarchy.nets.sequences import Minibatch, SequenceBuffer

Array = NDArray[np.float32]


class Losses(NamedTuple):
    """What an update step says of itself."""

    policy_gradient_loss: float
    value_loss: float
    entropy_loss: float
    approx_kl: float
    clip_fraction: float
    loss: float


def joint_gradient(module: th.nn.Module) -> th.Tensor:
    """One array ``(n_parameters,)`` whose parts are from now on the gradients of all parameters."""
    parameters = list(module.parameters())
    sizes = [parameter.numel() for parameter in parameters]
    joint = th.zeros(sum(sizes))
    for parameter, part in zip(parameters, th.split(joint, sizes), strict=True):
        parameter.grad = part.view_as(parameter)
    return joint


class FusedRecurrentPPO(RecurrentPPO):
    """`RecurrentPPO` for a :class:`hierarchy.nets.recurrent.FusedLstmPolicy`.

    A rollout step is one call of the policy for all envs, without building distributions, and truncated episodes take their
    last values from one batched call. An update runs over whole sequences, see
    :class:`hierarchy.nets.sequences.SequenceBuffer`.

    Raises
    ------
    ValueError
        A clipped value loss or a target for the KL divergence is asked for.
    """

    rollout_buffer: SequenceBuffer  # type: ignore[assignment]  # SB3's type knows no sequences
    policy: FusedLstmPolicy

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        for name in ("clip_range_vf", "target_kl"):
            if kwargs.get(name) is not None:
                raise ValueError(f"{name} must be None, got {kwargs[name]}")
        super().__init__(*args, **kwargs)

    def _setup_model(self) -> None:
        super()._setup_model()
        assert isinstance(self.observation_space, spaces.Box)
        self.rollout_buffer = SequenceBuffer(
            self.n_steps,
            self.n_envs,
            self.observation_space,
            self.action_space,
            self.policy.lstm_actor.hidden_size,
            self.gamma,
            self.gae_lambda,
        )
        self._memories = self.policy.no_memories(self.n_envs)
        self.last_update: dict[str, float] = {}

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_memories", "_gradient", "last_update"]

    @th.no_grad()
    def collect_rollouts(  # type: ignore[override]  # SB3's type knows no sequences
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: SequenceBuffer, n_rollout_steps: int
    ) -> bool:
        """Fill the buffer with ``n_rollout_steps`` of every env; false when the callback ended it early."""
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()
        for _ in range(n_rollout_steps):
            observations, starts = self._last_obs, self._last_episode_starts
            assert isinstance(observations, np.ndarray)
            assert starts is not None
            actions, log_prob, values, memories = self.policy.step(
                th.from_numpy(observations), self._memories, th.from_numpy(starts.astype(np.float32))
            )
            following, rewards, dones, infos = env.step(self._allowed(actions.numpy()))
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            if dones.any():
                self._update_info_buffer(infos, dones)
                rewards = rewards + self.gamma * self._values_beyond(infos, dones, memories)
            rollout_buffer.add(observations, starts, self._memories, actions.numpy(), log_prob, values, rewards)
            self._last_obs, self._last_episode_starts, self._memories = following, dones, memories  # type: ignore[assignment]
        last_values = self.policy.values(th.from_numpy(following), memories.critic, th.from_numpy(dones.astype(np.float32)))
        rollout_buffer.finish(last_values.numpy(), dones)
        if self._vec_normalize_env is not None and self._vec_normalize_env.norm_obs:
            self.policy.remember(self._vec_normalize_env)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _allowed(self, actions: NDArray[Any]) -> NDArray[Any]:
        if isinstance(self.action_space, spaces.Discrete):
            scalars: NDArray[Any] = actions[:, 0]
            return scalars
        if isinstance(self.action_space, spaces.Box):
            held: NDArray[Any] = np.clip(actions, self.action_space.low, self.action_space.high)
            return held
        return actions

    def _values_beyond(
        self, infos: list[dict[str, Any]], dones: NDArray[np.bool_], memories: Memories
    ) -> NDArray[np.float32]:
        """Values ``(n_envs,)`` of the observations after which a time limit cut an episode off; 0 elsewhere."""
        beyond = np.zeros(len(dones), np.float32)
        cut = np.array([env for env in np.flatnonzero(dones) if infos[env].get("TimeLimit.truncated")], np.int64)
        if len(cut):
            observations = th.from_numpy(np.stack([infos[env]["terminal_observation"] for env in cut]))
            hidden, carried = (state[th.from_numpy(cut)] for state in memories.critic)
            beyond[cut] = self.policy.values(observations, (hidden, carried), th.zeros(len(cut))).numpy()
        return beyond

    def train(self) -> None:
        """Update the policy with the rollout: `n_epochs` passes in minibatches of `batch_size` samples."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        clip_range = self.clip_range(self._current_progress_remaining)  # type: ignore[operator]  # a schedule by now
        assert self.batch_size is not None
        self._gradient = joint_gradient(self.policy)
        told = []
        for _ in range(self.n_epochs):
            for minibatch in self.rollout_buffer.minibatches(self.batch_size):
                told.append(self._update(minibatch, clip_range))
            self._n_updates += 1
        self._log(told, clip_range)

    def _update(self, minibatch: Minibatch, clip_range: float) -> Losses:
        """One step of the optimiser."""
        found = self.policy.evaluate(minibatch)
        values, log_prob, entropy = (part.detach().numpy() for part in found)
        losses, gradients = self._losses(values, log_prob, entropy, minibatch, clip_range)
        self._gradient.zero_()
        th.autograd.backward(found, [th.from_numpy(gradient) for gradient in gradients])
        norm = float(self._gradient.norm())
        if norm > self.max_grad_norm:
            self._gradient.mul_(self.max_grad_norm / (norm + 1e-6))  # as torch's clip_grad_norm_ has it
        self.policy.optimizer.step()
        return losses

    def _losses(
        self, values: Array, log_prob: Array, entropy: Array, minibatch: Minibatch, clip_range: float
    ) -> tuple[Losses, tuple[Array, Array, Array]]:
        """PPO's losses, and their gradients by value, log probability and entropy of each sample.

        The clipped surrogate moves only where the ratio itself is its smaller side. The gradients are so simple that writing
        them down costs a tenth of the time of recording them.
        """
        n, advantages = len(values), minibatch.advantages
        if self.normalize_advantage:
            advantages = (advantages - advantages.mean()) / (advantages.std(ddof=1) + np.float32(1e-8))
        log_ratio = log_prob - minibatch.old_log_prob
        ratio = np.exp(log_ratio)
        plain, clipped = advantages * ratio, advantages * ratio.clip(1 - clip_range, 1 + clip_range)
        error = values - minibatch.returns
        policy_loss, value_loss = -float(np.minimum(plain, clipped).mean()), float((error * error).mean())
        entropy_loss = -float(entropy.mean())
        losses = Losses(
            policy_gradient_loss=policy_loss,
            value_loss=value_loss,
            entropy_loss=entropy_loss,
            approx_kl=float((ratio - 1 - log_ratio).mean()),
            clip_fraction=float((np.abs(ratio - 1) > clip_range).mean()),
            loss=policy_loss + self.ent_coef * entropy_loss + self.vf_coef * value_loss,
        )
        by_value = error * np.float32(2.0 * self.vf_coef / n)
        by_log_prob = plain * (plain <= clipped) * np.float32(-1.0 / n)
        by_entropy = np.full(n, -self.ent_coef / n, np.float32)
        return losses, (by_value, by_log_prob, by_entropy)

    def _log(self, told: list[Losses], clip_range: float) -> None:
        n_last = len(told) // self.n_epochs
        update = {"learning_rate": float(self.lr_schedule(self._current_progress_remaining))}
        for name, parts in zip(Losses._fields, zip(*told, strict=True), strict=True):
            kept = {"loss": parts[-1:], "approx_kl": parts[-n_last:]}.get(name, parts)
            update[name] = float(np.mean(kept))
        buffer = self.rollout_buffer
        update["explained_variance"] = float(explained_variance(buffer.values.ravel(), buffer.returns.ravel()))
        if hasattr(self.policy, "log_std"):
            update["std"] = float(self.policy.log_std.detach().exp().mean())
        self.last_update = {**update, "n_updates": float(self._n_updates), "clip_range": clip_range}
        for name, value in self.last_update.items():
            self.logger.record(f"train/{name}", value)
