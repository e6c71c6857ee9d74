"""Contextual PPO that keeps costs within bounds: advantages are those of reward less what costs are worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch as th

from envs.core.arrays import BoolArray, FloatArray32
from envs.core.layout import context_of
from envs.core.state import Stateful
from hierarchy.lower import ppo_learner
from hierarchy.lower.constrained_ppo import ConstrainedPPOConfig
from hierarchy.lower.contextual_ppo import ContextualPPO
from hierarchy.lower.cost_critics import CostCritics
from hierarchy.lower.fused_ppo import cut_off
from hierarchy.lower.multipliers import MultiplierConfig, Multipliers
from hierarchy.lower.ppo_learner import PPOLearner
from hierarchy.nets.context_kinds import ContextKinds
from hierarchy.nets.memory import Memory
from hierarchy.nets.recurrent import N_ACTOR
from hierarchy.nets.saving import Tensors
from hierarchy.nets.sequences import SequenceBuffer, generalised_advantages
from hierarchy.vec_env import BatchVecEnv

NEAREST = 0.001
"""How near discounts are taken to be to 1, where values are scaled."""


class ConstrainedPPO(ContextualPPO):
    """The Lagrangian of a constrained process, by PPO: ``(A - sum of multiplier * A of cost) / (1 + sum of multipliers)``.

    Every cost has a critic and generalised advantages of its own, in units of what a cost at its bound adds up to; after
    every rollout the multipliers follow what it cost (:class:`hierarchy.lower.multipliers.Multipliers`), by kind of context.

    Parameters
    ----------
    bounds
        Of mean costs of a step, by constraint.
    """

    def __init__(
        self,
        *args: Any,
        bounds: Mapping[str, float] | None = None,
        multipliers: MultiplierConfig | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.kinds, self.names = ContextKinds(self.n_terms), tuple(bounds or ())
        self.multipliers = Multipliers(multipliers or MultiplierConfig(), bounds or {}, len(self.kinds))
        ahead = 1.0 / max(1.0 - self.gamma, NEAREST)  # steps that a value is the sum of
        self._scale = (self.multipliers.scale * ahead).astype(np.float32)
        if kwargs.get("_init_setup_model", True):  # not when SB3 loads one, which then acts and learns nothing
            self._set_up_costs()

    def _excluded_save_params(self) -> list[str]:
        return [
            *super()._excluded_save_params(),
            "critics",
            "_costs",
            "_beyond",
            "_following",
            "_weights",
            "_cost_advantages",
        ]

    def _set_up_costs(self) -> None:
        observed, width = self.rollout_buffer.observations.shape[-1], self.policy.lstm_critic.hidden_size
        self.critics = CostCritics(width, observed, self.n_terms, width, len(self.names))
        shape = (self.n_steps, self.n_envs, len(self.names))
        self._costs, self._beyond = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._following = np.zeros(shape[1:], np.float32)
        self._weights, self._cost_advantages = np.zeros(shape, np.float32), np.zeros(shape, np.float32)

    @property
    def moving(self) -> dict[str, Stateful]:
        return {**super().moving, "multipliers": self.multipliers, "critics": self.critics}

    @property
    def learned(self) -> Tensors:
        of = ", ".join(self.names)  # those of other constraints are not taken for them
        moving = {f"multipliers of {of}: {name}": th.from_numpy(array) for name, array in self.multipliers.moving.items()}
        critics = {f"cost critics of {of}: {name}": tensor for name, tensor in self.critics.net.state_dict().items()}
        return {**super().learned, **moving, **critics}

    def gather(self, infos: list[dict[str, Any]], dones: BoolArray, memory: Memory) -> None:
        """Costs of the step, and what would have followed where a time limit cut an episode off."""
        assert self.env is not None
        step = self.rollout_buffer.n_filled
        self._costs[step], self._beyond[step] = cast(BatchVecEnv, self.env.unwrapped).costs / self._scale, 0.0
        cut, observations = cut_off(infos, dones)
        if len(cut):
            self._beyond[step, cut] = self.critics.values(memory[N_ACTOR][cut], observations)

    def conclude(self, following: th.Tensor, memory: Memory, dones: BoolArray) -> None:
        """What follows the rollout; nothing does where an episode is over."""
        self._following[:] = self.critics.values(memory[N_ACTOR], following) * ~dones[:, None]

    def learn_beside(self, rollout: SequenceBuffer) -> None:
        """Multipliers follow what the rollout cost, and critics learn what is still to come."""
        contexts = context_of(rollout.observations, self.n_terms).reshape(-1, self.n_terms)
        kinds, costs = self.kinds.of(contexts), (self._costs * self._scale).reshape(-1, len(self.names))
        self.multipliers.update(kinds, costs)
        self._weights[:] = self.multipliers.values[kinds].reshape(self._costs.shape)
        self._cost_advantages[:] = self._of_costs(rollout) * self._scale
        for name, cost, weight in zip(self.names, costs.mean(0), self._weights.mean((0, 1)), strict=True):
            self.logger.record(f"train/cost/{name}", float(cost))
            self.logger.record(f"train/multiplier/{name}", float(weight))

    def estimates(self, rollout: SequenceBuffer) -> FloatArray32:
        """Advantages of reward less those of costs, weighed by the multipliers."""
        of_costs = (self._weights * self._cost_advantages).sum(-1)
        mixed: FloatArray32 = (rollout.estimates - of_costs) / (1.0 + self._weights.sum(-1))
        return mixed

    def _of_costs(self, rollout: SequenceBuffer) -> FloatArray32:
        """Advantages of costs by their scale ``(n_steps, n_envs, n_constraints)``; their critics learn from the rollout."""
        keep = 1.0 - rollout.starts[..., None]
        remembered = th.from_numpy((rollout.memory[N_ACTOR] * keep).reshape(-1, rollout.memory[N_ACTOR].shape[-1]))
        observed = th.from_numpy(rollout.observations.reshape(len(remembered), -1))
        values = self.critics.values(remembered, observed).reshape(self._costs.shape)
        following = np.append(values[1:], self._following[None], axis=0)
        over = np.append(rollout.starts[1:], np.zeros((1, self.n_envs), np.float32), axis=0)[..., None]
        paid = self._costs + np.float32(self.gamma) * self._beyond
        advantages = generalised_advantages(paid, values, following, over, self.gamma, self.gae_lambda)
        rate, returns = float(self.lr_schedule(1.0)), advantages + values  # they follow to the end
        self.critics.fit(remembered, observed, returns.reshape(len(remembered), -1), self.n_epochs, rate)
        return advantages


def build(config: ConstrainedPPOConfig, env: BatchVecEnv, seed: int, contextual: bool) -> PPOLearner:
    """See :meth:`hierarchy.lower.constrained_ppo.ConstrainedPPOConfig.build`.

    One with a single task is held in one context, which is one kind: its multipliers are the same for all steps.
    """

    def make(env: BatchVecEnv, contextual: bool, arguments: dict[str, Any]) -> ConstrainedPPO:
        costs = env.batch.simulation.costs
        bounds = dict(zip(costs.names, costs.bounds.tolist(), strict=True))
        return ConstrainedPPO(n_terms=env.batch.n_terms, bounds=bounds, multipliers=config.multipliers, **arguments)

    return ppo_learner.build(config, env, seed, contextual, make)
