"""A trained upper agent that remembers windows before the last: what acts of it, in a batch of any width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch as th
from gymnasium import spaces
from torch import nn

from envs.core.arrays import BoolArray, FloatArray, FloatArray32
from envs.core.state import Tree
from envs.core.validation import SettingError
from hierarchy.nets.context_network import ContextForm, build
from hierarchy.nets.models import RememberingUpperModel
from hierarchy.nets.saving import filled, form_in, kept, unfilled
from hierarchy.nets.window_memory import MemoryForm, Recall, WindowMemory
from hierarchy.protocols import SavedAgent
from hierarchy.upper.acting import ContextActor
from hierarchy.upper.memory import MEMORIES


@dataclass(frozen=True)
class RememberingForm:
    """What the network and the memory before it are, apart from their parameters."""

    context: ContextForm
    """the network"""
    memory: MemoryForm
    """what goes before it"""


class RememberingNetwork(nn.Module):
    """A memory and the network behind it, whose tensors are kept together."""

    def __init__(self, network: nn.Sequential, memory: WindowMemory) -> None:
        super().__init__()
        self.network, self.memory = network, memory


class RememberingActing:
    """An actor in the middle of the episodes of a batch."""

    def __init__(self, network: ContextActor, memory: WindowMemory, n_envs: int) -> None:
        self._network, self._recall = network, Recall(memory, n_envs)

    def act(self, observation: FloatArray32) -> FloatArray:
        """Contexts for meta observations ``(n_envs, n_features)``, see :meth:`ContextActor.act`."""
        return self._network.act(self._recall.observe(observation))

    def reset(self, mask: BoolArray | None = None) -> None:
        """Forget what came before."""
        self._recall.reset(mask)

    def get_state(self) -> Tree:
        """What is remembered."""
        return self._recall.get_state()

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        self._recall.set_state(state)


class RememberingActor:
    """What an agent has learned by now, as contexts without exploration, with what it remembers of windows.

    Attributes
    ----------
    module
        Its network and its memory.
    network
        The same over what it observes once windows are remembered, which remembers nothing itself.
    """

    def __init__(self, network: nn.Sequential, memory: WindowMemory, n_contexts: int = 1) -> None:
        self.module, self.memory = RememberingNetwork(network, memory), memory
        self.network = ContextActor(network, n_contexts)

    def start(self, n_envs: int) -> RememberingActing:
        """Begin episodes with nothing remembered."""
        return RememberingActing(self.network, self.memory, n_envs)

    def observed(self, windows: FloatArray32) -> FloatArray32:
        """What it observes ``(n_windows, m)`` in an episode of one env, given its meta observations ``(n_windows,
        n_features)``.
        """
        recall = Recall(self.memory, 1)
        rows = [th.from_numpy(recall.observe(window[None])) for window in windows]
        observed: FloatArray32 = th.cat(rows).numpy()
        return observed

    @property
    def model(self) -> RememberingUpperModel:
        """What it does, as a function of tensors."""
        return RememberingUpperModel(self.network.model, self.memory)

    @property
    def form(self) -> RememberingForm:
        """What its networks are."""
        return RememberingForm(self.network.form, self.memory.form)

    def saved(self, name: str, algorithm: str) -> SavedAgent:
        """What acts, to be kept by that name."""
        return kept(name, algorithm, self.form, self.module)

    def fitted(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any], n_agents: int = 1
    ) -> RememberingActor:
        """The actor itself, if spaces have the shapes that it was trained for.

        Raises
        ------
        ValueError
            They have others.
        """
        trained = (self.memory.form.n_features,), (self.network.form.sizes[-1],)
        if (observation_space.shape, action_space.shape) != trained:
            wanted = (observation_space.shape, action_space.shape)
            raise ValueError(f"observations and actions must be {trained}, got {wanted}")
        return self


def remembers(saved: SavedAgent) -> bool:
    """Whether an agent remembers windows, by what it says that it is."""
    form = saved.description.get("form")
    return isinstance(form, dict) and "memory" in form


def remembering_of(saved: SavedAgent) -> RememberingActor:
    """A saved agent that remembers windows.

    Raises
    ------
    SettingError
        Its networks are not what it says, or its actions stand for other contexts.
    """
    form = form_in(saved, RememberingForm)
    memory, n_observed = memory_of(form.memory), form.context.sizes[0]
    if memory.n_observed != n_observed:
        raise SettingError("form.context.sizes", f"of {memory.n_observed} entries observed with that memory", n_observed)
    module = filled(unfilled(lambda: RememberingNetwork(build(form.context), memory_of(form.memory))), saved)
    return RememberingActor(module.network, module.memory, form.context.n_contexts)


def memory_of(form: MemoryForm) -> WindowMemory:
    """A memory of a form, not fitted.

    Raises
    ------
    SettingError
        There is no such kind.
    """
    kinds = [kind for kind in MEMORIES if kind != "none"]
    if form.kind not in kinds:
        raise SettingError("form.memory.kind", f"one of {', '.join(kinds)}", form.kind)
    if any(column >= form.n_features for column in form.columns):
        raise SettingError("form.memory.columns", f"below n_features ({form.n_features})", max(form.columns))
    memory: WindowMemory = MEMORIES[form.kind].module(form)
    return memory
