"""A trained upper agent, deterministic, setting contexts for a batch of any width."""

from __future__ import annotations

from typing import Any

import torch as th
from gymnasium import spaces
from torch import nn

from envs.core.arrays import BoolArray, FloatArray, FloatArray32
from envs.core.simplex import to_contexts
from envs.core.state import Tree
from hierarchy.nets.context_network import ContextForm, build, form_of
from hierarchy.nets.models import UpperModel
from hierarchy.nets.saving import filled, form_in, kept, unfilled
from hierarchy.protocols import SavedAgent


class ContextActor:
    """What an agent has learned by now, as contexts without exploration; nothing is remembered from window to window.

    Attributes
    ----------
    module
        Its network.
    n_contexts
        That it sets in every env: one for all agents in it, or one for each.
    """

    def __init__(self, module: nn.Sequential, n_contexts: int = 1) -> None:
        self.module, self.n_contexts = module, n_contexts

    def start(self, n_envs: int) -> ContextActor:
        """The actor itself: one for all envs."""
        return self

    @property
    def model(self) -> UpperModel:
        """What it does, as a function of tensors."""
        return UpperModel(self.module, self.n_contexts)

    @property
    def form(self) -> ContextForm:
        """What its network is."""
        return form_of(self.module, self.n_contexts)

    def saved(self, name: str, algorithm: str) -> SavedAgent:
        """What acts, to be kept by that name."""
        return kept(name, algorithm, self.form, self.module)

    def fitted(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any], n_agents: int = 1
    ) -> ContextActor:
        """The actor itself, if spaces have the shapes that it was trained for; actions tell how many contexts it sets.

        Raises
        ------
        ValueError
            They have others.
        """
        first, *_, last = self.form.sizes
        wanted, trained = (observation_space.shape, action_space.shape), ((first,), (last,))
        if wanted != trained:
            raise ValueError(f"observations and actions must be {trained}, got {wanted}")
        return self

    def act(self, observation: FloatArray32) -> FloatArray:
        """Contexts ``(n_envs, k)``, or ``(n_envs, n_contexts, k)`` of more than one, for meta observations
        ``(n_envs, n_features)``.
        """
        with th.inference_mode():
            return to_contexts(self.module(th.from_numpy(observation)).numpy(), self.n_contexts)

    def reset(self, mask: BoolArray | None = None) -> None:
        """Nothing is remembered."""

    def get_state(self) -> Tree:
        """Nothing moves."""
        return {}

    def set_state(self, state: Tree) -> None:
        """Nothing moves."""


def context_actor_of(saved: SavedAgent) -> ContextActor:
    """A saved agent that remembers nothing.

    Raises
    ------
    SettingError
        Its network is not what it says, or its actions stand for other contexts.
    """
    form = form_in(saved, ContextForm)
    return ContextActor(filled(unfilled(lambda: build(form)), saved), form.n_contexts)
