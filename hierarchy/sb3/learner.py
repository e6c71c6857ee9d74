"""An agent of Stable-Baselines3 as a learner: watched by observers, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.utils import LinearSchedule

from envs.core.state import Tree, restore_all, states_of
from envs.core.validation import SettingError
from hierarchy.protocols import Observer, TrainedActor
from hierarchy.sb3.state import agent_state, set_agent_state


def falling(learning_rate: float, final_share: float) -> LinearSchedule:
    """A learning rate that falls in a line to a share of itself as training ends."""
    return LinearSchedule(learning_rate, learning_rate * final_share, 1.0)


MakeCallbacks = Callable[[Sequence[Observer]], list[BaseCallback]]
"""Makes what observers observe through; one that remembers anything has a state."""


class SB3Learner:
    """An agent of SB3 in training.

    Parameters
    ----------
    description
        What is written beside a saved agent, its ``algorithm`` among it.
    make_callbacks
        See :data:`MakeCallbacks`.
    """

    def __init__(
        self, agent: BaseAlgorithm, actor: TrainedActor, description: Mapping[str, Any], make_callbacks: MakeCallbacks
    ) -> None:
        self.agent = agent
        self._actor, self._description, self._make_callbacks = actor, description, make_callbacks
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

    def begin_from(self, path: Path) -> None:
        """Take over what a saved agent has learned."""
        self.agent.set_parameters(str(path), device="cpu")

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

    def save(self, path: Path, extra: Mapping[str, Any] | None = None) -> None:
        """Write the agent as a zip, and a description with ``extra`` entries beside it; each whole or not at all."""
        text = json.dumps({**self._description, **(extra or {})}, indent=1)
        _replace(path, self.agent.save)
        _replace(path.with_suffix(".json"), lambda partial: partial.write_text(text + "\n", encoding="utf-8"))


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    partial = path.with_name(f".{path.name}")
    write(partial)
    os.replace(partial, path)


def description_of(path: Path, algorithm: str) -> dict[str, Any]:
    """What is written beside a saved agent.

    Raises
    ------
    SettingError
        It was trained by another algorithm.
    """
    description: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    if description["algorithm"] != algorithm:
        raise SettingError("algorithm", f"{description['algorithm']}, that of {path.name}", algorithm)
    return description
