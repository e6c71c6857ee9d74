"""Learners by clipped steps of policies: MAPPO and independent PPO, by TorchRL's losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from tensordict import TensorDict
from tensordict.nn import ProbabilisticTensorDictModule, ProbabilisticTensorDictSequential, TensorDictModule
from torch import nn
from torch.distributions import Independent, Normal
from torchrl.objectives.multiagent import IPPOLoss, MAPPOLoss
from torchrl.objectives.value import MultiAgentGAE

from envs.core.arrays import Array
from envs.core.team import TeamEnv
from hierarchy.team.acting import TeamModule
from hierarchy.team.distributions import Factored
from hierarchy.team.forms import TeamForm
from hierarchy.team.learner import LearnerBase, adam
from hierarchy.team.mappo import ClippedConfig
from hierarchy.team.nets import AgentNetwork, KnowingValues
from hierarchy.team.stepping import Transition

OBSERVATION, ACTION, VALUE = ("agents", "observation"), ("agents", "action"), ("agents", "state_value")
KEYS = {
    "advantage": ("agents", "advantage"),
    "value_target": ("agents", "value_target"),
    "value": VALUE,
    "reward": ("agents", "reward"),
}


class _Centred(nn.Module):
    """Means ``tanh`` of the outputs, and standard deviations of each number, which are learned."""

    def __init__(self, network: nn.Module, n: int, std: float) -> None:
        super().__init__()
        self._network = network
        self._log_std = nn.Parameter(th.full((n,), float(np.log(std))))

    def forward(self, window: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        mean = self._network(window).tanh()
        return mean, self._log_std.exp().expand_as(mean)


class _StateValues(KnowingValues):
    """Values of the state."""

    def __init__(self, form: TeamForm, n_state: int) -> None:
        super().__init__(form, n_state)
        self._n_agents = form.n_agents

    def forward(self, state: th.Tensor) -> th.Tensor:
        return self.of(state.unsqueeze(-2).expand(*state.shape[:-1], self._n_agents, state.shape[-1]))


def normal(loc: th.Tensor, scale: th.Tensor) -> Any:
    """Independent numbers; the env clips them."""
    return Independent(Normal(loc, scale, validate_args=False), 1, validate_args=False)


def policy_of(module: TeamModule, std: float) -> ProbabilisticTensorDictSequential:
    """What acts, as a policy from which actions can be drawn."""
    form = module.form.action
    names = ["loc", "scale"] if form.is_box else ["logits"]
    outputs = {name: ("agents", name) for name in names}
    network: nn.Module = _Centred(module.network, form.n_branches, std) if form.is_box else module.network
    return ProbabilisticTensorDictSequential(
        TensorDictModule(network, in_keys=[OBSERVATION], out_keys=list(outputs.values())),
        ProbabilisticTensorDictModule(
            in_keys=outputs,
            out_keys=[ACTION],
            distribution_class=normal if form.is_box else Factored,
            distribution_kwargs={} if form.is_box else {"sizes": form.sizes},
        ),
    )


class ClippedLearner(LearnerBase):
    """Agents with a policy and a value each.

    Parameters
    ----------
    is_central
        Whether values know the state.
    """

    config: ClippedConfig

    def __init__(self, env: TeamEnv, config: ClippedConfig, seed: int, is_central: bool) -> None:
        self._is_central = is_central
        super().__init__(env, config, seed)

    def _make(self) -> None:
        config, form = self.config, self.module.form
        values = (
            TensorDictModule(_StateValues(form, self._n_state), in_keys=["state"], out_keys=[VALUE])
            if self._is_central
            else TensorDictModule(AgentNetwork(form, 1), in_keys=[OBSERVATION], out_keys=[VALUE])
        )
        self._policy = policy_of(self.module, config.action_noise)
        self.loss: Any = (MAPPOLoss if self._is_central else IPPOLoss)(
            self._policy,
            values,
            clip_epsilon=config.clip_range,
            entropy_coeff=config.entropy_weight,
            critic_coeff=config.value_weight,
            loss_critic_type="l2",
        )
        self.loss.set_keys(action=ACTION, sample_log_prob=("agents", "log_prob"), **KEYS)
        self._advantages = MultiAgentGAE(gamma=config.gamma, lmbda=config.gae_lambda, value_network=values)
        self._advantages.set_keys(**KEYS)
        self.optimiser = adam((self.loss.parameters(), config.learning_rate))

    def _rollout(self) -> dict[str, float]:
        rollout = self._steps()
        with th.no_grad():
            self._advantages(rollout)
        flat = rollout.reshape(-1)
        cost, n = 0.0, len(flat)
        for _ in range(self.config.epochs):
            order = th.from_numpy(self._rng.permutation(n))
            for rows in th.split(order, self.config.batch_size):
                costs = self.loss(flat[rows])
                loss = costs["loss_objective"] + costs["loss_critic"] + costs["loss_entropy"]
                self._descend(loss)
                cost = loss.item()
        return {"team/reward": rollout["next", "paid"].mean().item(), "team/loss": cost}

    def _steps(self) -> TensorDict:
        """A rollout ``[n_envs, rollout_steps]``."""
        rows = []
        for _ in range(self.config.rollout_steps):
            action, log_prob = self._drawn()
            rows.append(self._row(self._step(action), log_prob))
        return th.stack(rows, 1)

    def _drawn(self) -> tuple[Array, th.Tensor]:
        """Actions ``(n_envs, n_agents, n_branches)`` and how likely each was, as a logarithm ``(n_envs, n_agents)``."""
        window = self._windows(self._stepper.window)
        shape = (*window.shape[:2], self.module.form.action.n_branches)
        with th.no_grad():
            policy = self._policy.get_dist(TensorDict({"agents": {"observation": window}}, [len(window)]))
            if isinstance(policy, Factored):
                action = policy.drawn(th.from_numpy(self._rng.random(shape)))
            else:
                action = policy.base_dist.loc + policy.base_dist.scale * th.from_numpy(
                    self._rng.standard_normal(shape).astype(np.float32)
                )
            return action.numpy(), policy.log_prob(action)

    def _row(self, steps: Transition, log_prob: th.Tensor) -> TensorDict:
        """A step of all envs as TorchRL has it."""
        n = len(steps.done)
        agents = {"observation": self._windows(steps.window), "action": th.from_numpy(steps.action), "log_prob": log_prob}
        following = {
            "agents": {"observation": self._windows(steps.next_window), "reward": self._scaled_rewards(steps)},
            "state": self._states(steps.next_state),
            "paid": th.from_numpy(steps.reward.sum(-1, keepdims=True)),  # to the team, whoever learns from what
            "done": th.from_numpy(steps.done)[:, None],
            "terminated": th.from_numpy(steps.terminated)[:, None],
        }
        return TensorDict({"agents": agents, "state": self._states(steps.state), "next": following}, [n])
