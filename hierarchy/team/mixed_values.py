"""Learners whose agents' values are mixed into one of the team: QMIX and value decomposition, by TorchRL's loss.

An agent's value is the sum of those of its choices, one of each branch. TorchRL's loss does as much for one-hot actions of
all branches side by side; values of the best choices are taken here, as its `QValueModule` adds up all that are as good.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch as th
from tensordict import TensorDict
from tensordict.nn import TensorDictModule, TensorDictSequential
from torch import nn
from torchrl.modules import QMixer, VDNMixer
from torchrl.objectives.multiagent import QMixerLoss

from envs.core.arrays import Array
from envs.core.team import TeamEnv, TeamSpec
from hierarchy.team.learner import adam
from hierarchy.team.qmix import MixedConfig
from hierarchy.team.replaying_learner import ReplayLearner
from hierarchy.team.stepping import Transition

CHOSEN = ("agents", "chosen_action_value")
MakeMixer = Callable[[], TensorDictModule]


def monotone(spec: TeamSpec, mixing_size: int) -> MakeMixer:
    """QMIX's mixer, of which a team's value rises with each agent's."""
    mixer = partial(QMixer, spec.state_space.shape, mixing_size, spec.n_agents, "cpu")
    return lambda: TensorDictModule(mixer(), in_keys=[CHOSEN, "state"], out_keys=["chosen_action_value"])


def added(spec: TeamSpec) -> MakeMixer:
    """VDN's mixer, the sum."""
    return lambda: TensorDictModule(VDNMixer(spec.n_agents, "cpu"), in_keys=[CHOSEN], out_keys=["chosen_action_value"])


class _Best(nn.Module):
    """Of values ``(..., sum of sizes)`` the greatest of each branch, added up ``(..., 1)``."""

    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        self._sizes = sizes

    def forward(self, values: th.Tensor) -> th.Tensor:
        best = [branch.amax(-1, keepdim=True) for branch in th.split(values, self._sizes, -1)]
        return th.cat(best, -1).sum(-1, keepdim=True)


class MixedLearner(ReplayLearner):
    """A team whose value is mixed."""

    config: MixedConfig

    def __init__(self, env: TeamEnv, config: MixedConfig, seed: int, make_mixer: MakeMixer) -> None:
        self._make_mixer = make_mixer
        super().__init__(env, config, seed)

    def _make(self) -> None:
        values = ("agents", "action_value")
        local = TensorDictSequential(
            TensorDictModule(self.module.network, in_keys=[("agents", "observation")], out_keys=[values]),
            TensorDictModule(_Best(self.module.form.action.sizes), in_keys=[values], out_keys=[CHOSEN]),
        )
        self.loss: Any = QMixerLoss(local, self._make_mixer(), action_space="mult_one_hot", delay_value=True)
        self._make_targets()
        self.optimiser = adam((self.loss.parameters(), self.config.learning_rate))

    def _explored(self, action: Array) -> Array:
        epsilon = self.config.epsilon_at(self.progress)
        drawn = self.module.form.action.uniform(self._rng, action.shape[:-1])
        return np.where(self._rng.random(action.shape) < epsilon, drawn, action)

    def _losses(self, batch: TensorDict, steps: Transition) -> th.Tensor:
        batch["agents", "action"] = self._one_hot(steps.action)
        batch["next", "reward"] = self._scaled_rewards(steps)[:, 0]
        loss: th.Tensor = self.loss(batch)["loss"]
        return loss

    def _one_hot(self, action: Array) -> th.Tensor:
        """Choices ``(n, n_agents, n_branches)`` as ``(n, n_agents, sum of sizes)``."""
        branches = th.from_numpy(action).unbind(-1)
        sizes = self.module.form.action.sizes
        return th.cat([nn.functional.one_hot(one, n) for one, n in zip(branches, sizes, strict=True)], dim=-1)
