"""What one arm shows, and what arms show against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypedDict

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.rules import MEASUREMENTS
from envs.core.spec import WorldSpec
from hierarchy.evidence.blocks import Blocks, block_effects, blocks_of, summed
from hierarchy.evidence.episodes import Episodes
from hierarchy.evidence.statistics import Comparison, Estimate, GapClosed, comparison, estimate, gap_closed

OURS, GATED, BEST_RULE = "learned", "gated", "best_rule"
BASE, ORACLE = "fixed_best", "delayed_oracle"
"""What `gap_closed` is measured between."""

Kind = Literal["learned", "gated", "mix", "oracle", "unmixed", "rule"]
"""Who sets the mix of an arm: a learned agent, that or a rule, the arm itself, an oracle; none is set, or nothing learns."""


class Facts(NamedTuple):
    """What is known of an arm before it runs."""

    kind: Kind
    algorithm: str | None = None  # that an agent of its own was trained by
    knows: str = MEASUREMENTS  # beside its settings


class Bounded(TypedDict):
    """A cost that is to stay within a bound: its mean over the steps of episodes."""

    cost: Estimate
    bound: float


class ArmResult(TypedDict):
    """One arm. `context` is the mean mix by reward term, None without a hierarchy; `algorithm` trained its own agent,
    `knows` is what it is told, and `blocks` are of its windows on a recording, None elsewhere.
    """

    kind: Kind
    algorithm: str | None
    knows: str
    objective: Estimate
    blocks: Blocks | None
    metrics: dict[str, float]
    constraints: dict[str, Bounded]
    context: dict[str, float] | None


Arms = Mapping[str, ArmResult | None]
"""The arms of a training seed by name."""


class Compared(Comparison):
    """One arm over another."""

    rival: str


def arm_result(episodes: Episodes, facts: Facts, spec: WorldSpec) -> ArmResult:
    """The figures of one arm; metrics are means over its seeds."""
    context, position = None, episodes.recorded_position
    if episodes.contexts is not None:
        mean = episodes.contexts.mean((0, 1))
        context = {name: float(weight) for name, weight in zip(spec.terms, mean, strict=True)}
    blocks = None if position is None else blocks_of(episodes.window_objective, position)
    return {
        "kind": facts.kind,
        "algorithm": facts.algorithm,
        "knows": facts.knows,
        "objective": estimate(episodes.objective[None], _effects([blocks])),
        "blocks": blocks,
        "metrics": {name: float(episodes.statistics[name].mean()) for name in spec.metrics},
        "constraints": {
            name: {"cost": estimate(costs[None]), "bound": episodes.bounds[name]} for name, costs in episodes.costs.items()
        },
        "context": context,
    }


def _per_seed(arms: Sequence[Arms], name: str) -> FloatArray:
    """The objective of an arm ``(n_training, n_evaluation)``."""
    return np.array([_arm(one, name)["objective"]["per_seed"] for one in arms])


def in_all(arms: Sequence[Arms]) -> list[str]:
    """The arms that there are for every training seed."""
    return [name for name in arms[0] if all(one.get(name) is not None for one in arms)]


def _effects(ours: Sequence[Blocks | None], *minus: Sequence[Blocks | None]) -> list[FloatArray] | None:
    """On a recording, what the objective of an arm varies with, or its difference to another; None elsewhere.

    Blocks are those of every training seed; all arms meet the same windows.
    """
    sums = [np.array([blocks["sums"] for blocks in arm if blocks is not None]) for arm in (ours, *minus)]
    if not sums[0].size:
        return None
    counts = np.array([blocks["counts"] for blocks in ours if blocks is not None])
    return block_effects(sums[0] - sum(sums[1:]), counts)


def _blocks(arms: Sequence[Arms], name: str) -> list[Blocks | None]:
    return [_arm(one, name)["blocks"] for one in arms]


def comparisons(arms: Sequence[Arms]) -> dict[str, Compared]:
    """The learned arm against the best rule and every other one, given the arms of every training seed.

    After them the gated arm against the best rule, the best of all on the evaluation seeds.
    """
    there = in_all(arms)
    if OURS not in there:
        return {}
    best = best_rule(arms)
    rivals = {name: name for name in there if name != OURS}
    against_best = {} if best is None else {BEST_RULE: best}
    pairs = [(OURS, {**against_best, **rivals}), (GATED, against_best if GATED in there else {})]
    return {f"{ours}_vs_{shown}": compared(arms, ours, rival) for ours, one in pairs for shown, rival in one.items()}


def compared(arms: Sequence[Arms], ours: str, rival: str) -> Compared:
    """One arm against another, given the arms of every training seed, which has both."""
    theirs = _blocks(arms, rival)
    effects, of_rival = _effects(_blocks(arms, ours), theirs), _effects(theirs)
    return {**comparison(_per_seed(arms, ours), _per_seed(arms, rival), effects, of_rival), "rival": rival}


def best_rule(arms: Sequence[Arms]) -> str | None:
    """The rule with the highest mean objective on evaluation seeds: hindsight, in favour of the rules; None without any.

    Bounds, which rules were tuned within, are not asked for again: seeds that nobody has met may have some more or less.
    """
    rules = [name for name in in_all(arms) if _arm(arms[0], name)["kind"] == "rule"]
    return max(rules, key=lambda name: _per_seed(arms, name).mean(), default=None)


def gap_closed_by(arms: Sequence[Arms]) -> GapClosed | None:
    """How much of the delayed oracle's gain over the best fixed mix the learned arm got.

    None where an arm that is told no regime is above the oracle: then the oracle is no measure of what is possible.
    """
    if not {OURS, BASE, ORACLE} <= set(in_all(arms)) or above_oracle(arms):
        return None
    return share_of_gap(arms, OURS, BASE, ORACLE)


def share_of_gap(arms: Sequence[Arms], ours: str, base: str, top: str) -> GapClosed | None:
    """How much of what one arm gains over another a third one gains; None where that gain is not told from 0."""
    of_gain, of_gap = (_effects(_blocks(arms, name), _blocks(arms, base)) for name in (ours, top))
    effects = None if of_gain is None or of_gap is None else [np.stack(pair) for pair in zip(of_gain, of_gap, strict=True)]
    return gap_closed(_per_seed(arms, ours), _per_seed(arms, base), _per_seed(arms, top), effects)


def above_oracle(arms: Sequence[Arms]) -> list[str]:
    """The arms that are told no regime and are above the delayed oracle, best first."""
    means = {name: _per_seed(arms, name).mean() for name in in_all(arms)}
    facts = {name: _arm(arms[0], name) for name in means}
    known_to_rules = {arm["knows"] for arm in facts.values() if arm["kind"] in ("rule", "gated")}
    told_none = [name for name, arm in facts.items() if arm["knows"] in {MEASUREMENTS, *known_to_rules}]
    above = [name for name in told_none if means[name] > means[ORACLE]]
    return sorted(above, key=lambda name: -means[name])


def combined_arm(arms: Sequence[Arms], name: str) -> ArmResult:
    """One arm of several training seeds, all of which have it; agents that guide other rules may know other things."""
    of_seeds, blocks = [_arm(one, name) for one in arms], _blocks(arms, name)
    return {
        **of_seeds[0],
        "knows": " or ".join(dict.fromkeys(one["knows"] for one in of_seeds)),
        "objective": estimate(_per_seed(arms, name), _effects(blocks)),
        "blocks": summed(blocks),
        "metrics": mean_of([one["metrics"] for one in of_seeds]),
        "constraints": {
            name: _bounded([one["constraints"][name] for one in of_seeds]) for name in of_seeds[0]["constraints"]
        },
        "context": mean_of([one["context"] for one in of_seeds]),
    }


def _bounded(of_seeds: Sequence[Bounded]) -> Bounded:
    """One constraint of several training seeds."""
    return {"cost": estimate(np.array([one["cost"]["per_seed"] for one in of_seeds])), "bound": of_seeds[0]["bound"]}


def _arm(arms: Arms, name: str) -> ArmResult:
    arm = arms[name]
    assert arm is not None
    return arm


def mean_of(parts: Sequence[Any]) -> Any:
    """The mean of dictionaries of figures, key by key; None where any of them is missing."""
    if any(part is None for part in parts):
        return None
    return {key: float(np.mean([part[key] for part in parts])) for key in parts[0]}
