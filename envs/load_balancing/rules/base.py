"""The switching rule that agents start from, where they do."""

from __future__ import annotations

from dataclasses import replace

from envs.core.rules import Enqueued, Numbers
from envs.core.validation import SettingError
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.rules import RULES
from envs.load_balancing.rules.autoscale import Autoscale
from envs.load_balancing.rules.foreseeing import LookingAhead

AHEAD_S = (0.0, 15.0, 30.0, 60.0)
"""How far ahead agents are shown what a rule with foresight expects."""


def base_rule(config: LoadBalancingConfig) -> Autoscale:
    """The rule of `actions.rule`.

    Raises
    ------
    SettingError
        There is no switching rule of that name, or it has nothing to go by in the world.
    """
    switching = {name: rule for name, rule in RULES.items() if isinstance(rule, Autoscale) and rule.suits(config)}
    if config.actions.rule not in switching:
        raise SettingError("actions.rule", f"one of {', '.join(switching)} in this world", config.actions.rule)
    return switching[config.actions.rule]


def foresees(config: LoadBalancingConfig) -> bool:
    """Whether that rule expects anything of what is to come."""
    return isinstance(base_rule(config), LookingAhead)


def numbers_of(config: LoadBalancingConfig) -> Numbers:
    """Its numbers: those of the settings, or else what an engineer would try first.

    Raises
    ------
    SettingError
        The settings have numbers of another rule.
    """
    rule, given = base_rule(config), config.actions.numbers
    first = rule.suggest(Enqueued(rule.first(config)[0]), config)
    if given and given.keys() != first.keys():
        allowed = f"{{}} or the numbers of {config.actions.rule} ({', '.join(first)})"
        raise SettingError("actions.numbers", allowed, ", ".join(given))
    return given or first


def base_rule_of(config: LoadBalancingConfig) -> tuple[str, Numbers] | None:
    """The rule that agents start from and its numbers, as far as settings say; None where actions are no offsets.

    Raises
    ------
    SettingError
        See :func:`base_rule`.
    """
    if config.actions.mode != "offsets":
        return None
    base_rule(config)
    return config.actions.rule, config.actions.numbers


def with_numbers(config: LoadBalancingConfig, numbers: Numbers) -> LoadBalancingConfig:
    """A world with other numbers of that rule."""
    return replace(config, actions=replace(config.actions, numbers=dict(numbers)))
