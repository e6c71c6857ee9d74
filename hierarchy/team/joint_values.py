"""Q-learning on joint actions, by TorchRL's loss of deep Q-learning (Mnih et al., Nature 2015)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from tensordict import TensorDict
from torchrl.modules import QValueActor
from torchrl.objectives import DQNLoss

from envs.core.arrays import Array
from hierarchy.team.forms import joint_index
from hierarchy.team.joint_q import JointQConfig
from hierarchy.team.learner import adam
from hierarchy.team.replaying_learner import ReplayLearner
from hierarchy.team.stepping import Transition


class JointLearner(ReplayLearner):
    """One agent that acts for all."""

    config: JointQConfig

    def _make(self) -> None:
        valued = QValueActor(self.module.network, in_keys=[("agents", "observation")], action_space="categorical")
        self.loss: Any = DQNLoss(valued, action_space="categorical", delay_value=True)
        self._make_targets()
        self.optimiser = adam((self.loss.parameters(), self.config.learning_rate))

    def _explored(self, action: Array) -> Array:
        """All agents draw at once, since it is one action."""
        epsilon = self.config.epsilon_at(self.progress)
        drawn = self.module.form.action.uniform(self._rng, action.shape[:-1])
        return np.where(self._rng.random(len(action))[:, None, None] < epsilon, drawn, action)

    def _losses(self, batch: TensorDict, steps: Transition) -> th.Tensor:
        batch["action"] = th.from_numpy(joint_index(steps.action, self.module.form.action))
        batch["next", "reward"] = self._scaled_rewards(steps)[:, 0]
        loss: th.Tensor = self.loss(batch)["loss"]
        return loss
