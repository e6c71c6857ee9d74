"""Whether an actor is saturated, and what is done about it: where it stays so, it is begun anew."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import torch as th
from stable_baselines3 import SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback

from envs.core.arrays import BoolArray
from envs.core.state import Tree
from hierarchy.upper.warm_up import WarmUp

Network = Callable[[th.Tensor], th.Tensor]
"""Meta observations ``(n_envs, n_features)`` to actions ``(n_envs, k)`` in [-1, 1], without exploration."""

SATURATED = 0.99
"""An action of at least this size is saturated: the slope of tanh is 2 % of that at 0."""
N_CHECKS = 10
"""Meta steps of the batch in a row over which an actor is judged."""
NEARLY_ALL = 0.95
"""Mean share of states, over those, in which all of its actions are saturated: the actor is lost."""
TOO_LATE = 0.2
"""With less than this share of training left an actor stays what it is: a fresh one would not learn any more."""


class SaturationWatch(BaseCallback):
    """Holds the actor against the states of every meta step, and begins it anew where it is saturated in nearly all.

    Parameters
    ----------
    network
        The actor.
    n_contexts
        That its actions stand for.

    Attributes
    ----------
    saturated
        Which of its actions are, in the states that the last meta step began in, ``(n_envs, k)``.
    n_restarts
        How often it was begun anew.
    """

    model: TD3 | SAC

    def __init__(self, network: Network, n_contexts: int = 1) -> None:
        super().__init__()
        self._n_contexts = n_contexts
        self.saturated: BoolArray = np.zeros((1, 1), np.bool_)
        self.n_restarts = 0
        self._network = network
        self._shares: deque[float] = deque(maxlen=N_CHECKS)

    def _on_step(self) -> bool:
        with th.inference_mode():
            actions = self._network(th.as_tensor(self.model._last_obs)).numpy()
        self.saturated = np.abs(actions) >= SATURATED
        if self.model._n_updates > 0:
            self._shares.append(self.share)
            self._act()
        return True

    @property
    def share(self) -> float:
        """Of contexts, all of whose actions are saturated."""
        return float(self.saturated.reshape(len(self.saturated), self._n_contexts, -1).all(-1).mean())

    def get_state(self) -> Tree:
        """The last shares of saturated states, and how often the actor was begun anew."""
        return {"shares": np.array(self._shares), "n_restarts": self.n_restarts}

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        self._shares = deque(state["shares"].tolist(), maxlen=N_CHECKS)
        self.n_restarts = state["n_restarts"]

    def _act(self) -> None:
        is_lost = len(self._shares) == N_CHECKS and np.mean(self._shares) >= NEARLY_ALL
        if is_lost and self.model._current_progress_remaining >= TOO_LATE:
            begin_anew(self.model)
            self.n_restarts += 1
            self._shares.clear()


def begin_anew(agent: TD3 | SAC) -> None:
    """A fresh actor, target and optimiser, in place of what they were, where it began; critics and buffer are kept."""
    fresh = agent.policy.make_actor().state_dict()
    agent.actor.load_state_dict(fresh)
    if isinstance(agent, WarmUp):
        agent.begin_again()
    if isinstance(agent, TD3):
        agent.actor_target.load_state_dict(agent.actor.state_dict())
    agent.actor.optimizer.state.clear()
