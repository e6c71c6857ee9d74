"""A rule for one balancer, followed by each of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from envs.core.arrays import Array
from envs.core.rules import Controller, Numbers
from envs.core.state import Tree, restore, state_of
from envs.load_balancing.config import BalancersConfig, LoadBalancingConfig

Begin = Callable[[LoadBalancingConfig, int, Sequence[Numbers]], Controller]
"""What starts a rule of one balancer: settings, number of envs, its numbers."""


def alone(config: LoadBalancingConfig) -> LoadBalancingConfig:
    """The world as one of its balancers has it."""
    return config if config.balancers.n == 1 else replace(config, balancers=BalancersConfig())


def start_each(begin: Begin, config: LoadBalancingConfig, n_envs: int, values: Sequence[Numbers]) -> Controller:
    """What a rule is for one balancer, for all of them: ``values`` are numbers for all envs, or for each."""
    n = config.balancers.n
    if n == 1:
        return begin(config, n_envs, values)
    each = values if len(values) <= 1 else [numbers for numbers in values for _ in range(n)]
    return Each(begin(alone(config), n_envs * n, each), n)


def together(weights: Array, n_balancers: int) -> Array:
    """Weights ``(n_envs * n_balancers, n_backends, n_servers)`` as the pool has them, the backends of all in one axis."""
    return weights.reshape(len(weights) // n_balancers, -1, weights.shape[2])


class Each:
    """A rule that every balancer follows, by what it measures itself.

    Parameters
    ----------
    rule
        For as many envs as there are balancers in all.
    n_balancers
        In each env.
    """

    def __init__(self, rule: Controller, n_balancers: int) -> None:
        self._rule, self._n = rule, n_balancers

    def decide(self, measurements: Any) -> Array:
        """Dispatch weights ``(n_envs, n_balancers * n_backends, n_servers)``."""
        return together(self._rule.decide(measurements.local), self._n)

    def get_state(self) -> Tree:
        """What the rule remembers."""
        return state_of(self._rule)

    def set_state(self, state: Tree) -> None:
        """Go back to a state of :meth:`get_state`."""
        restore(self._rule, state)
