"""Learners of teams from a buffer of transitions: a step of all envs, then gradient steps and targets that follow."""

from __future__ import annotations

from typing import Any

import torch as th
from tensordict import TensorDict
from torchrl.objectives import SoftUpdate, ValueEstimators

from envs.core.arrays import Array
from envs.core.state import Tree
from envs.core.team import TeamEnv
from hierarchy.team.learner import LearnerBase
from hierarchy.team.replay import Replay
from hierarchy.team.replaying import ReplayConfig
from hierarchy.team.stepping import Transition

RECORDED = 100
"""Steps of all envs between figures."""


class ReplayLearner(LearnerBase):
    """A team that learns from a buffer. A subclass makes the loss, explores, and says what of it a batch costs."""

    config: ReplayConfig
    loss: Any

    def __init__(self, env: TeamEnv, config: ReplayConfig, seed: int) -> None:
        self._replay = Replay(max(config.buffer_size, env.n_envs))
        self._n_rollouts, self._paid, self._cost = 0, 0.0, 0.0
        super().__init__(env, config, seed)

    def _make_targets(self) -> None:
        """Targets that follow; called when there is a loss."""
        self.loss.make_value_estimator(ValueEstimators.TD0, gamma=self.config.gamma)
        self._begin_rest()

    def _begin_rest(self) -> None:
        self._targets = SoftUpdate(self.loss, tau=self.config.tau)  # which copies what they follow

    def _explored(self, action: Array) -> Array:
        """Actions to try instead of those that seem best ``(n_envs, n_agents, n_branches)``."""
        raise NotImplementedError

    def _losses(self, batch: TensorDict, steps: Transition) -> th.Tensor:
        """What a batch costs; ``batch`` holds windows and states, standardised, and where episodes end."""
        raise NotImplementedError

    def _keep(self, steps: Transition) -> None:
        self._replay.add(steps)

    def _rollout(self) -> dict[str, float]:
        with th.inference_mode():
            action = self.module(th.from_numpy(self._stepper.window)).numpy()
        steps = self._step(self._explored(action))
        self._replay.add(steps)
        for _ in range(self.config.updates):
            drawn = self._replay.draw(self.config.batch_size, self._rng)
            loss = self._losses(self._batch(drawn), drawn)
            self._descend(loss)
            self._targets.step()
            self._cost += loss.item() / self.config.updates / RECORDED
        self._paid += float(steps.reward.sum(-1).mean()) / RECORDED
        self._n_rollouts += 1
        if self._n_rollouts % RECORDED:
            return {}
        figures = {"team/reward": self._paid, "team/loss": self._cost}
        self._paid, self._cost = 0.0, 0.0
        return figures

    def _batch(self, steps: Transition) -> TensorDict:
        """Transitions as TorchRL has them."""
        ended = {"done": steps.done, "terminated": steps.terminated}
        following = {
            "agents": {"observation": self._windows(steps.next_window)},
            "state": self._states(steps.next_state),
            **{name: th.from_numpy(one)[:, None] for name, one in ended.items()},
        }
        now = {"agents": {"observation": self._windows(steps.window)}, "state": self._states(steps.state)}
        return TensorDict({**now, "next": following}, [len(steps.done)])

    def get_state(self) -> Tree:
        """All that moves, before a rollout begins."""
        figures = {"n_rollouts": self._n_rollouts, "paid": self._paid, "cost": self._cost}
        return {**super().get_state(), "replay": self._replay.get_state(), "figures": figures}

    def set_state(self, state: Tree) -> None:
        """Go on from a state of :meth:`get_state`."""
        super().set_state(state)
        self._replay.set_state(state["replay"])
        figures = state["figures"]
        self._n_rollouts, self._paid, self._cost = int(figures["n_rollouts"]), float(figures["paid"]), float(figures["cost"])
