"""sb3-contrib's recurrent PPO with faster rollouts and updates, and the same mathematics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import explained_variance
from stable_baselines3.common.vec_env import VecEnv

from envs.core.arrays import Array, BoolArray, FloatArray32, IntArray
from envs.core.finite import NonFiniteError
from envs.core.state import Stateful
from hierarchy.lower.losses import Coefficients, Figures, Loss, derived
from hierarchy.nets.memory import Memory, rows
from hierarchy.nets.preprocessed_env import PreprocessedVecEnv
from hierarchy.nets.recurrent import FusedLstmPolicy
from hierarchy.nets.saving import Tensors
from hierarchy.nets.sequences import Evaluation, Minibatch, SequenceBuffer


def joint_gradient(module: th.nn.Module) -> th.Tensor:
    """One array ``(n_parameters,)`` whose parts are from now on the gradients of all parameters."""
    parameters = list(module.parameters())
    sizes = [parameter.numel() for parameter in parameters]
    joint = th.zeros(sum(sizes))
    for parameter, part in zip(parameters, th.split(joint, sizes), strict=True):
        parameter.grad = part.view_as(parameter)
    return joint


def cut_off(infos: list[dict[str, Any]], dones: BoolArray) -> tuple[IntArray, th.Tensor]:
    """The envs ``(n,)`` whose episode a time limit cut off, and what they observed last ``(n, n_features)``."""
    cut = np.array([env for env in np.flatnonzero(dones) if infos[env].get("TimeLimit.truncated")], np.int64)
    last = [infos[env]["terminal_observation"] for env in cut]
    return cut, th.from_numpy(np.stack(last)) if last else th.zeros(0)


class FusedRecurrentPPO(RecurrentPPO):
    """`RecurrentPPO` for a :class:`hierarchy.nets.recurrent.FusedLstmPolicy`.

    A rollout step is one call of the policy for all envs, without building distributions, and truncated episodes take their
    last values from one batched call. An update runs over whole sequences, see
    :class:`hierarchy.nets.sequences.SequenceBuffer`.

    A learner with other advantages overrides :meth:`advantages`, one with other losses :meth:`loss`; one that learns more
    than its networks gathers what it needs in :meth:`gather` and :meth:`conclude`, learns it in :meth:`learn_beside`, and
    names it in :attr:`moving` and :attr:`learned`.

    Attributes
    ----------
    memory
        Of all envs, before the next step.

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
        self._steps_per_action = self._steps_of(self.env)
        self.memory: Memory = self.policy.initial_memory(self.n_envs)
        self.rollout_buffer = SequenceBuffer(
            self.n_steps, self.n_envs, self.observation_space, self.action_space, self.memory
        )

    @staticmethod
    def _steps_of(env: VecEnv | None) -> int:
        """Steps of the world that an action stands for."""
        return 1 if env is None else int(getattr(env.unwrapped, "steps_per_action", 1))

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "memory", "_gradient"]

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
            actions, log_prob, values, memory = self.policy.step(
                th.from_numpy(observations), self.memory, th.from_numpy(starts.astype(np.float32))
            )
            following, rewards, dones, infos = env.step(self._allowed(actions.numpy()))
            self.num_timesteps += env.num_envs * self._steps_per_action
            self.gather(infos, dones, memory)
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            if dones.any():
                self._update_info_buffer(infos, dones)
                rewards = rewards + self.gamma * self._values_beyond(infos, dones, memory)
            rollout_buffer.add(observations, starts, self.memory, actions.numpy(), log_prob, values, rewards)
            self._last_obs, self._last_episode_starts, self.memory = following, dones, memory  # type: ignore[assignment]
        last_values = self.policy.values(th.from_numpy(following), memory, th.from_numpy(dones.astype(np.float32)))
        rollout_buffer.finish(last_values.numpy(), dones, self.gamma, self.gae_lambda)
        self.conclude(th.from_numpy(following), memory, dones)
        self.keep_moments()
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def gather(self, infos: list[dict[str, Any]], dones: BoolArray, memory: Memory) -> None:
        """A step of a rollout is done, before it is in the buffer; ``memory`` is that after it."""

    def conclude(self, following: th.Tensor, memory: Memory, dones: BoolArray) -> None:
        """A rollout is done, and led to observations ``following (n_envs, n_features)``."""

    @property
    def moving(self) -> dict[str, Stateful]:
        """What moves beside networks and optimiser, by name."""
        return {}

    @property
    def learned(self) -> Tensors:
        """What is learned beside the networks, by name; it shares memory with what it is of."""
        return {}

    def keep_moments(self) -> None:
        """The policy acts from now on with the moments of observations that its env has now."""
        env, normaliser = self.env, self.policy.normaliser
        if isinstance(env, PreprocessedVecEnv) and env.normaliser is not None and normaliser is not None:
            normaliser.set_state(env.normaliser.get_state())

    def _allowed(self, actions: Array) -> Array:
        if isinstance(self.action_space, spaces.Discrete):
            scalars: Array = actions[:, 0]
            return scalars
        if isinstance(self.action_space, spaces.Box):
            held: Array = np.clip(actions, self.action_space.low, self.action_space.high)
            return held
        return actions

    def _values_beyond(self, infos: list[dict[str, Any]], dones: BoolArray, memory: Memory) -> FloatArray32:
        """Values ``(n_envs,)`` of the observations after which a time limit cut an episode off; 0 elsewhere."""
        beyond = np.zeros(len(dones), np.float32)
        cut, observations = cut_off(infos, dones)
        if len(cut):
            memory = rows(memory, th.from_numpy(cut))
            beyond[cut] = self.policy.values(observations, memory, th.zeros(len(cut))).numpy()
        return beyond

    def learn_beside(self, rollout: SequenceBuffer) -> None:
        """What is learned of a rollout beside its networks, before these are updated."""

    def advantages(self, rollout: SequenceBuffer) -> FloatArray32:
        """What the policy is trained on, ``(n_steps, n_envs)``, before a minibatch is normalised: the estimates."""
        return rollout.estimates

    def loss(self, evaluation: Evaluation, minibatch: Minibatch) -> Loss:
        """The loss of a minibatch: gradients written down, which is faster than :func:`hierarchy.lower.losses.recorded`."""
        return derived(evaluation, minibatch, self.coefficients)

    @property
    def coefficients(self) -> Coefficients:
        """Of the loss, as they are in this update."""
        clip_range = self.clip_range(self._current_progress_remaining)  # type: ignore[operator]  # a schedule by now
        return Coefficients(clip_range, self.ent_coef, self.vf_coef, self.normalize_advantage)

    def train(self) -> None:
        """Update the policy with the rollout: `n_epochs` passes in minibatches of `batch_size` samples."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        assert self.batch_size is not None
        self._gradient = joint_gradient(self.policy)
        self.learn_beside(self.rollout_buffer)
        self.rollout_buffer.advantages = self.advantages(self.rollout_buffer)
        figures = []
        for _ in range(self.n_epochs):
            for minibatch in self.rollout_buffer.minibatches(self.batch_size):
                figures.append(self._update(minibatch))
            self._n_updates += 1
        self._log(figures)

    def _update(self, minibatch: Minibatch) -> Figures:
        """One step of the optimiser."""
        loss = self.loss(self.policy.evaluate(minibatch), minibatch)
        self._gradient.zero_()
        loss.backward()
        norm = float(self._gradient.norm())
        if not math.isfinite(norm):
            raise NonFiniteError(
                f"gradient of update {self._n_updates} of PPO must be finite, got {norm}: parameters are kept"
            )
        if norm > self.max_grad_norm:
            self._gradient.mul_(self.max_grad_norm / (norm + 1e-6))  # as torch's clip_grad_norm_ has it
        self.policy.optimizer.step()
        return loss.figures

    def _log(self, figures: list[Figures]) -> None:
        n_last = len(figures) // self.n_epochs
        for name, parts in zip(Figures._fields, zip(*figures, strict=True), strict=True):
            kept = {"loss": parts[-1:], "approx_kl": parts[-n_last:]}.get(name, parts)
            self.logger.record(f"train/{name}", float(np.mean(kept)))
        buffer = self.rollout_buffer
        self.logger.record("train/explained_variance", explained_variance(buffer.values.ravel(), buffer.returns.ravel()))
        if hasattr(self.policy, "log_std"):
            self.logger.record("train/std", float(self.policy.log_std.detach().exp().mean()))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/clip_range", self.coefficients.clip_range)
