"""The acting half of an upper agent, of plain torch: statistics of a window to the numbers that a mix is projected from."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from torch import nn

from envs.core.simplex import SCALE
from envs.core.validation import SettingError, check, setting


@dataclass(frozen=True)
class ContextForm:
    """What the network is, apart from its parameters."""

    action_scale: float
    """that the numbers are stretched by before they are projected, see :func:`envs.core.simplex.to_simplex`"""
    sizes: list[int] = setting(ge=1, le=1e7, n_min=2)
    """width of the observation, of every layer, and of all contexts side by side"""
    n_contexts: int = setting(1, ge=1, le=1e4)
    """one for all agents of an env, or one for each"""

    def __post_init__(self) -> None:
        check(self)
        if self.sizes[-1] % self.n_contexts:
            raise SettingError("n_contexts", f"a divisor of the last of sizes ({self.sizes[-1]})", self.n_contexts)
        if self.action_scale != SCALE:
            allowed = f"{SCALE}, at which actions are projected now: train it again"
            raise SettingError("action_scale", allowed, self.action_scale)


def build(form: ContextForm) -> nn.Sequential:
    """A network whose parameters are still to be filled in; it ends in tanh."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(form.sizes):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Tanh())


def form_of(network: nn.Sequential, n_contexts: int) -> ContextForm:
    """The form of a network that sets so many contexts."""
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    return ContextForm(SCALE, [linear[0].in_features, *(layer.out_features for layer in linear)], n_contexts)
