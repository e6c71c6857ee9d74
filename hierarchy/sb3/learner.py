"""An agent of Stable-Baselines3 as a learner, watched by observers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.save_util import recursive_getattr
from stable_baselines3.common.utils import LinearSchedule
from torch import nn

from envs.core.state import Tree, restore_all, states_of
from hierarchy.nets.saving import Tensors, acting_tensors, arrays_of, take_over
from hierarchy.protocols import Observer, SavedAgent, TrainedActor
from hierarchy.sb3.state import agent_state, set_agent_state, variables


def falling(learning_rate: float, final_share: float) -> LinearSchedule:
    """A learning rate that falls in a line to a share of itself as training ends."""
    return LinearSchedule(learning_rate, learning_rate * final_share, 1.0)


MakeCallbacks = Callable[[Sequence[Observer]], list[BaseCallback]]
"""Makes what observers observe through; one that remembers anything has a state."""


class SB3Learner:
    """An agent of SB3 in training.

    Parameters
    ----------
    module
        What acts of it, whose tensors are the agent's.
    actor
        What acts with that module.
    description
        What it is, see :class:`hierarchy.protocols.SavedAgent`.
    make_callbacks
        See :data:`MakeCallbacks`.
    """

    def __init__(
        self,
        agent: BaseAlgorithm,
        module: nn.Module,
        actor: TrainedActor,
        description: Mapping[str, Any],
        make_callbacks: MakeCallbacks,
    ) -> None:
        self.agent = agent
        self._module, self._actor, self._description, self._make_callbacks = module, actor, description, make_callbacks
        self._callbacks: list[BaseCallback] = []
        self._goes_on_from: Tree = {}  # states of callbacks, until there are any

    @property
    def n_steps(self) -> int:
        """Trained so far, over all envs together."""
        return self.agent.num_timesteps

    @property
    def actor(self) -> TrainedActor:
        """What acts as the agent has learned to by now."""
        return self._actor

    def tensors(self) -> Tensors:
        """Everything that is learned, by name: what acts, and the rest that training goes on with."""
        acting = acting_tensors(self._module)
        known = {tensor.data_ptr() for tensor in acting.values()}
        rest = self.agent.policy.state_dict() | {name: recursive_getattr(self.agent, name) for name in variables(self.agent)}
        return acting | {name: tensor for name, tensor in rest.items() if tensor.data_ptr() not in known}

    def begin_from(self, saved: SavedAgent) -> None:
        """Take over what a saved agent has learned."""
        if not take_over(self.tensors(), saved, self._description):
            self._begin_rest()

    def _begin_rest(self) -> None:
        """Have what was not taken over follow what acts."""

    def saved(self, name: str) -> SavedAgent:
        """The agent as it is now."""
        return SavedAgent(name, self._description, arrays_of(self.tensors()))

    def learn(self, n_steps: int, *observers: Observer) -> None:
        """Train for ``n_steps`` more."""
        self._callbacks = self._make_callbacks(observers)
        if self._goes_on_from:
            restore_all(self._callbacks, self._goes_on_from)
            self._goes_on_from = {}
        self.agent.learn(n_steps, callback=CallbackList(self._callbacks), reset_num_timesteps=self.n_steps == 0)

    def get_state(self) -> Tree:
        """All that moves, before a rollout begins, the random generators of the libraries among it."""
        return {**agent_state(self.agent), "callbacks": states_of(self._callbacks)}

    def set_state(self, state: Tree) -> None:
        """Go on from a state of :meth:`get_state` of a learner that was built with the same settings, to the last bit."""
        set_agent_state(self.agent, state)
        self._goes_on_from = state["callbacks"]
