"""A balancing rule in the place of an agent: its weights as actions of the world.

The world stays as it is: the rule's weights hold in every backend, and requests are dispatched as the world has it.
"""

from __future__ import annotations

import numpy as np

from envs.core.arrays import Array
from envs.core.rules import Controller
from envs.core.validation import SettingError
from envs.load_balancing.actions import expressed
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.rules.balancing import BALANCING

MODES = ("levels", "weights")
"""Of actions that set weights themselves."""


class ActingRule:
    """Actions ``(n_envs, n_servers * n_backends)`` of a balancing rule.

    Raises
    ------
    SettingError
        There is no such rule, it dispatches otherwise than the world, or actions set no weights, or those of one of several
        balancers.
    """

    def __init__(self, config: LoadBalancingConfig, rule: str, n_envs: int) -> None:
        if config.actions.mode not in MODES or config.balancers.n > 1:
            allowed = f"nominal unless actions.mode is {' or '.join(MODES)}, and balancers.n 1"
            raise SettingError("rule", allowed, rule)
        alike = [name for name, one in BALANCING.items() if one.dispatch == config.dispatch.rule]
        if rule not in alike:
            allowed = f"one of {', '.join(('nominal', *alike))} where dispatch.rule is {config.dispatch.rule}"
            raise SettingError("rule", allowed, rule)
        self._config, self._rule = config, rule
        self._controller: Controller = BALANCING[rule].start(config, n_envs)

    def decide(self, measurements: Measurements) -> Array:
        """What an agent would do that set the rule's weights.

        Raises
        ------
        SettingError
            No action asks for these.
        """
        weights = self._controller.decide(measurements)
        if self._config.actions.scale_by_capacity:
            weights = weights / np.maximum(measurements.capacity, np.finfo(np.float64).tiny)[:, None, :]
        relative = np.where(measurements.present[:, None, :], weights, 0.0)
        actions, exact = expressed(self._config, relative.repeat(self._config.n_backends, axis=1))
        if not exact.all():
            has = f"levels {self._config.actions.levels}" if self._config.actions.mode == "levels" else "weights"
            raise SettingError("rule", f"one whose weights are among the world's {has}", self._rule)
        return actions


def acting_rule(config: LoadBalancingConfig, rule: str, n_envs: int) -> ActingRule:
    """See :func:`envs.families.acting_rule`."""
    return ActingRule(config, rule, n_envs)
