"""The arm that is to be no worse than the rules: the learned pair or a rule, whichever is best on fresh selection seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

import envs
from envs import EnvConfig
from envs.core.rules import Controller, Numbers
from envs.core.spec import WorldSpec
from hierarchy.arms.arm import Arm
from hierarchy.arms.balancing import configured, start_rule
from hierarchy.arms.found import Chosen, Found, dependencies_first
from hierarchy.arms.learned import start_learned
from hierarchy.arms.racing import standard_error
from hierarchy.arms.scores import Scores, ranking
from hierarchy.arms.selection import Selection
from hierarchy.arms.start import Start
from hierarchy.arms.tuning import n_seeds_met
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.arms import OURS
from hierarchy.evidence.gate import GATE

NO_CANDIDATES = np.zeros((1, 0))
"""One candidate that is known already."""


@dataclass(frozen=True)
class Taken:
    """Which arm was taken among several that had been found before.

    Attributes
    ----------
    name
        Of the arm that was taken.
    numbers
        Of that arm, if it is a rule that has any.
    means, standard_errors
        Objective of every arm on the same selection seeds, and error of the mean, by name; None after one seed.
    n_seeds
        How many seeds all of them met.
    n_lower_steps
        Env steps that the choice took.
    beyond
        What mean costs exceed their bounds by, of every arm, by name.
    """

    name: str
    numbers: Numbers
    means: Mapping[str, float]
    standard_errors: Mapping[str, float | None]
    n_seeds: int
    n_lower_steps: int
    beyond: Mapping[str, float] = field(default_factory=dict)


def names_of(env: EnvConfig) -> list[str]:
    """What there is to choose from; of equals the first is taken."""
    return [OURS, *(name for name, rule in envs.rules(env).items() if not rule.is_oracle)]


def seeds_of(config: ExperimentConfig) -> range:
    """Selection seeds that neither a search for numbers nor the race among mixes has met."""
    first = max(n_seeds_met(config), config.ablation.n_select_seeds)
    return range(first, first + config.ablation.n_select_seeds)


def world_of(name: str, env: EnvConfig) -> EnvConfig:
    """The world as an arm has it."""
    return env if name == OURS else configured(name, env)


def start_named(name: str, numbers: Numbers, start: Start) -> Controller:
    """The learned pair, or a rule with its numbers if it has any."""
    return start_learned(start) if name == OURS else start_rule(name, [numbers] if numbers else [], start)


def find_taken(selection: Selection, found: Mapping[str, Any]) -> Taken:
    """The arm with the best mean, within bounds if there are any; all meet the same seeds, each in its world."""
    env, before, seeds = selection.config.env, selection.n_steps, seeds_of(selection.config)
    chosen: dict[str, Chosen | None] = {name: found.get(name) for name in names_of(env)}
    numbers = {name: one.numbers if one else {} for name, one in chosen.items()}
    scores = {name: _scores(selection, name, numbers[name], seeds) for name in numbers}
    means = {name: one.mean for name, one in scores.items()}
    errors = {name: standard_error(one.objective) if len(seeds) > 1 else None for name, one in scores.items()}
    best = [*scores][ranking([*scores.values()])[0]]
    beyond = {name: one.beyond for name, one in scores.items()}
    return Taken(best, numbers[best], means, errors, len(seeds), selection.n_steps - before, beyond)


def _scores(selection: Selection, name: str, numbers: Numbers, seeds: Sequence[int]) -> Scores:
    batch = selection.batch(seeds, world_of(name, selection.config.env))
    return selection.scores_of(partial(start_named, name, numbers), NO_CANDIDATES, batch).each[0]


def n_gate_steps(config: ExperimentConfig, spec: WorldSpec) -> int:
    """Env steps of all that there is to choose from."""
    return len(names_of(config.env)) * Selection.steps_per_candidate(config)


def configured_taken(env: EnvConfig, found: Mapping[str, Any]) -> EnvConfig:
    """The world as that has it which was taken."""
    return world_of(found[GATE].name, env)


def start_taken(start: Start) -> Controller:
    """What was taken."""
    taken: Taken = start.found[GATE]
    return start_named(taken.name, taken.numbers, start)


def wants_gate(config: ExperimentConfig, spec: WorldSpec) -> bool:
    """There are rules to choose from."""
    return config.ablation.heuristics and len(envs.rules(config.env)) > 0


def _is_there(names: Sequence[str], taken: Taken, spec: WorldSpec) -> bool:
    """A rule that a world doesn't have can't run there."""
    return taken.name in names


def gated_arm(rules: Mapping[str, Arm]) -> Arm:
    """The choice between the learned pair and the rules of a world, all numbers of which are found before."""
    needs = tuple(dependencies_first(need for arm in rules.values() for need in arm.needs))
    fits = partial(_is_there, (OURS, *rules))
    gate = Found(GATE, find_taken, n_gate_steps, needs=needs, fits=fits, record=Taken)
    return Arm("gated", start_taken, wants_gate, needs=(gate,), configured=configured_taken, knows="as what it took")
