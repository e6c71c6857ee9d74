"""An arm for every rule that one would run in a world without learning, with numbers by search if it has any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import envs
from envs import EnvConfig
from envs.core.rules import Controller, Numbers, Rule, Trial
from envs.core.spec import WorldSpec
from hierarchy.arms.arm import Arm
from hierarchy.arms.found import Chosen, Found
from hierarchy.arms.scores import Scores
from hierarchy.arms.selection import CANDIDATES, Selection
from hierarchy.arms.start import Start
from hierarchy.arms.tuning import n_search_steps, tuned
from hierarchy.config import ExperimentConfig


def configured(name: str, env: EnvConfig) -> EnvConfig:
    """The world as the rule has it."""
    changed: EnvConfig = envs.rules(env)[name].configured(env)
    return changed


def configured_arm(name: str, env: EnvConfig, found: Mapping[str, Any]) -> EnvConfig:
    """The same, whatever was found."""
    return configured(name, env)


def start_balancing(name: str, start: Start) -> Controller:
    """The rule with the numbers that were found for it, which sets what the world is set to."""
    best: Chosen | None = start.found.get(name)
    return start_rule(name, () if best is None else [best.numbers], start)


def start_candidates(name: str, start: Start) -> Controller:
    """The rule with other numbers in every env."""
    return start_rule(name, start.found[CANDIDATES].tolist(), start)


def start_rule(name: str, values: Sequence[Numbers], start: Start) -> Controller:
    """The rule with numbers for all envs or for each, or with none if it has none."""
    env = start.config.env
    return envs.rules(env)[name].start(configured(name, env), start.simulation.n_envs, values)


def find_numbers(name: str, selection: Selection, found: Mapping[str, Any]) -> Chosen:
    """The best numbers of a search, in the world as the rule has it."""
    rule, world = envs.rules(selection.config.env)[name], configured(name, selection.config.env)

    def score(candidates: Sequence[Numbers], seeds: Sequence[int]) -> Scores:
        return selection.scores_of(partial(start_candidates, name), candidates, selection.batch(seeds, world))

    def suggest(trial: Trial) -> dict[str, Any]:
        return rule.suggest(trial, world)

    return tuned(selection, score, suggest, rule.first(world))


def wants_rules(config: ExperimentConfig, spec: WorldSpec) -> bool:
    """They can be left out."""
    return config.ablation.heuristics


def balancing_arms(env: EnvConfig) -> dict[str, Arm]:
    """The rules of a world as arms, by name; the numbers of a rule are found under its name."""
    return {name: _arm(name, rule) for name, rule in envs.rules(env).items()}


def _arm(name: str, rule: Rule) -> Arm:
    numbers = Found(name, partial(find_numbers, name), n_search_steps, one_job=True)
    needs, start = (numbers,) if rule.has_numbers else (), partial(start_balancing, name)
    return Arm(
        "oracle" if rule.is_oracle else "rule",
        start,
        wants_rules,
        needs=needs,
        configured=partial(configured_arm, name),
        knows=rule.knows,
    )
