"""The switching rule that agents start from, where they do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from envs.core.rules import BaseRule, Enqueued, Given, Numbers
from envs.core.validation import SettingError
from envs.load_balancing.config import BEST, LoadBalancingConfig
from envs.load_balancing.rules import RULES, SHIFTS
from envs.load_balancing.rules.autoscale import Autoscale

AHEAD_S = (0.0, 15.0, 30.0, 60.0)
"""How far ahead agents are shown what the timetable lets one expect."""


def candidates(config: LoadBalancingConfig) -> Mapping[str, Autoscale]:
    """The switching rules that agents may start from, by name: those that fit the world and have its backends."""
    switching = {name: rule for name, rule in RULES.items() if isinstance(rule, Autoscale) and rule.suits(config)}
    return {name: rule for name, rule in switching.items() if rule.backends == config.backends}


def base_rule(config: LoadBalancingConfig) -> Autoscale:
    """The rule of `actions.rule`; the first of the candidates as long as nobody knows which one is best.

    Raises
    ------
    SettingError
        None of them has that name.
    """
    rules = candidates(config)
    if config.actions.rule == BEST:
        return next(iter(rules.values()))
    if config.actions.rule not in rules:
        allowed = f"one of {', '.join((BEST, *rules))} with these backends and arrivals"
        raise SettingError("actions.rule", allowed, config.actions.rule)
    return rules[config.actions.rule]


def foresees(config: LoadBalancingConfig) -> bool:
    """Whether agents are shown what the timetable of shifts lets one expect: where there is one."""
    return SHIFTS.suits(config)


def numbers_of(config: LoadBalancingConfig) -> Numbers:
    """The numbers of that rule: those of the settings, or else what an engineer would try first.

    Raises
    ------
    SettingError
        The settings have numbers of another rule, or of no rule by name.
    """
    rule, given = base_rule(config), config.actions.numbers
    first = rule.suggest(Enqueued(rule.first(config)[0]), config)
    if given and config.actions.rule == BEST:
        raise SettingError("actions.numbers", f"{{}} where actions.rule is {BEST}", ", ".join(given))
    if given and given.keys() != first.keys():
        allowed = f"{{}} or the numbers of {config.actions.rule} ({', '.join(first)})"
        raise SettingError("actions.numbers", allowed, ", ".join(given))
    if given:
        held = Given(given)
        rule.suggest(held, config)
        held.check_rest()
    return given or first


def base_rule_of(config: LoadBalancingConfig) -> BaseRule | None:
    """The rule that agents start from, as far as settings say; None where they guide none.

    Raises
    ------
    SettingError
        See :func:`base_rule`.
    """
    if config.actions.mode != "guided":
        return None
    rule, name = base_rule(config), config.actions.rule
    names = tuple(candidates(config)) if name == BEST else (name,)
    return BaseRule(names, config.actions.numbers, SHIFTS.knows if foresees(config) else rule.knows)


def with_numbers(config: LoadBalancingConfig, rule: str, numbers: Numbers) -> LoadBalancingConfig:
    """A world whose agents start from that rule with other numbers."""
    return replace(config, actions=replace(config.actions, rule=rule, numbers=dict(numbers)))
