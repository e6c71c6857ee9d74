"""A trained upper agent, deterministic, setting contexts for a batch of any width."""

from __future__ import annotations

from typing import Any

import torch as th
from gymnasium import spaces
from torch import nn

from envs.core.arrays import BoolArray, FloatArray, FloatArray32
from envs.core.simplex import to_simplex
from envs.core.state import Tree
from hierarchy.nets.context_network import ContextForm, build, form_of
from hierarchy.nets.models import UpperModel
from hierarchy.nets.saving import check_algorithm, filled, form_in, kept, unfilled
from hierarchy.protocols import SavedAgent


class ContextActor:
    """What an agent has learned by now, as contexts without exploration; nothing is remembered from window to window.

    Attributes
    ----------
    module
        Its network.
    """

    def __init__(self, module: nn.Sequential) -> None:
        self.module = module

    def start(self, n_envs: int) -> ContextActor:
        """The actor itself: one for all envs."""
        return self

    @property
    def model(self) -> UpperModel:
        """What it does, as a function of tensors."""
        return UpperModel(self.module)

    def saved(self, name: str, algorithm: str) -> SavedAgent:
        """What acts, to be kept by that name."""
        return kept(name, algorithm, form_of(self.module), self.module)

    def fitted(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> ContextActor:
        """The actor itself, if spaces have the shapes that it was trained for.

        Raises
        ------
        ValueError
            They have others.
        """
        first, *_, last = form_of(self.module).sizes
        wanted, trained = (observation_space.shape, action_space.shape), ((first,), (last,))
        if wanted != trained:
            raise ValueError(f"observations and actions must be {trained}, got {wanted}")
        return self

    def act(self, observation: FloatArray32) -> FloatArray:
        """Contexts ``(n_envs, k)`` for meta observations ``(n_envs, n_features)``."""
        with th.inference_mode():
            return to_simplex(self.module(th.from_numpy(observation)).numpy())

    def reset(self, mask: BoolArray | None = None) -> None:
        """Nothing is remembered."""

    def get_state(self) -> Tree:
        """Nothing moves."""
        return {}

    def set_state(self, state: Tree) -> None:
        """Nothing moves."""


def actor_of(saved: SavedAgent, algorithm: str) -> ContextActor:
    """An agent that was saved.

    Raises
    ------
    SettingError
        It was trained by another algorithm, its network is not what it says, or its actions stand for other contexts.
    """
    check_algorithm(saved, algorithm)
    return ContextActor(filled(unfilled(lambda: build(form_in(saved, ContextForm))), saved))
