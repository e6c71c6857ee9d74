"""Learners by the slope of a value with respect to actions: MADDPG and independent DDPG, by TorchRL's `DDPGLoss`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from tensordict import TensorDict
from tensordict.nn import TensorDictModule, TensorDictSequential
from torch import nn
from torchrl.objectives import DDPGLoss

from envs.core.arrays import Array
from envs.core.team import TeamEnv
from hierarchy.team.forms import TeamForm
from hierarchy.team.learner import adam
from hierarchy.team.maddpg import GradientConfig
from hierarchy.team.nets import AgentNetwork, KnowingValues
from hierarchy.team.replaying_learner import ReplayLearner
from hierarchy.team.stepping import Transition

OBSERVATION, ACTION, VALUE = ("agents", "observation"), ("agents", "action"), ("agents", "state_action_value")
SATURATED = 2.0
"""Output before tanh above which it counts as saturated."""


def as_each_sees(action: th.Tensor) -> th.Tensor:
    """What all do ``(..., n_agents, n_agents * n)``, as each agent sees it: only its own part has a slope.

    `DDPGLoss` adds up the values of all agents. Had others' actions a slope, an agent would climb the values of all of them,
    which is another game than the one where each is paid for itself.
    """
    n_agents, n = action.shape[-2:]
    own = th.eye(n_agents, dtype=th.bool)[:, :, None]
    of_all = action.unsqueeze(-3).expand(*action.shape[:-2], n_agents, n_agents, n)
    return th.where(own, of_all, of_all.detach()).flatten(-2)


class _CentralValues(KnowingValues):
    """Values of the state and of what all do."""

    def __init__(self, form: TeamForm, n_state: int) -> None:
        super().__init__(form, n_state + form.n_agents * form.action.n_branches)

    def forward(self, state: th.Tensor, action: th.Tensor) -> th.Tensor:
        joint = as_each_sees(action)
        return self.of(th.cat([state.unsqueeze(-2).expand(*joint.shape[:-1], state.shape[-1]), joint], dim=-1))


class GradientLearner(ReplayLearner):
    """Agents with a policy and a value each.

    Parameters
    ----------
    is_central
        Whether values know the state and what all do.
    """

    config: GradientConfig

    def __init__(self, env: TeamEnv, config: GradientConfig, seed: int, is_central: bool) -> None:
        self._is_central = is_central
        super().__init__(env, config, seed)

    def _make(self) -> None:
        policy = TensorDictSequential(
            TensorDictModule(self.module.network, in_keys=[OBSERVATION], out_keys=[("agents", "output")]),
            TensorDictModule(nn.Tanh(), in_keys=[("agents", "output")], out_keys=[ACTION]),
        )
        self.loss: Any = DDPGLoss(policy, self._values(), delay_actor=True, delay_value=True)
        of_agents = {name: ("agents", name) for name in ("reward", "done", "terminated")}
        self.loss.set_keys(state_action_value=VALUE, **of_agents)
        self._make_targets()
        values, policies = self.loss.value_network_params, self.loss.actor_network_params
        self.optimiser = adam(
            (values.parameters(), self.config.learning_rate), (policies.parameters(), self.config.actor_learning_rate)
        )

    def _values(self) -> TensorDictModule:
        form = self.module.form
        if self._is_central:
            return TensorDictModule(_CentralValues(form, self._n_state), in_keys=["state", ACTION], out_keys=[VALUE])
        own = AgentNetwork(form, 1, form.action.n_branches)
        return TensorDictModule(own, in_keys=[OBSERVATION, ACTION], out_keys=[VALUE])

    def _explored(self, action: Array) -> Array:
        noise = self.config.noise_at(self.progress) * self._rng.standard_normal(action.shape)
        return np.clip(action + noise, -1.0, 1.0).astype(np.float32)

    def _losses(self, batch: TensorDict, steps: Transition) -> th.Tensor:
        shape = (*steps.reward.shape, 1)
        batch[ACTION] = th.from_numpy(steps.action)
        batch["next", "agents", "reward"] = self._scaled_rewards(steps)
        for name in ("done", "terminated"):
            batch["next", "agents", name] = batch["next", name][:, None].expand(shape)
        costs = self.loss(batch)
        excess = (self.module.network(batch[OBSERVATION]).abs() - SATURATED).clamp(min=0.0)
        loss: th.Tensor = costs["loss_value"] + costs["loss_actor"] + self.config.saturation_penalty * excess.square().mean()
        return loss
