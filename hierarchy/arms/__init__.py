"""What is compared: every arm by name. An arm is one file that an entry here names."""

from __future__ import annotations

from envs import EnvConfig
from hierarchy.arms import constant, distilled, fixed, flat, learned, oracles, random_mixes
from hierarchy.arms.arm import Arm
from hierarchy.arms.balancing import balancing_arms
from hierarchy.arms.found import Chosen, Found, dependencies_first
from hierarchy.arms.gated import gated_arm
from hierarchy.arms.start import Agents, Start
from hierarchy.evidence.arms import GATED
from hierarchy.evidence.gate import GATE

__all__ = ["ARMS", "Agents", "Arm", "Chosen", "Found", "Start", "arms_of"]

ARMS: dict[str, Arm] = {
    "fixed_equal": fixed.EQUAL,
    "fixed_best": fixed.BEST,
    "tuned_static": fixed.TUNED,
    "fixed_hindsight": fixed.HINDSIGHT,
    "fixed_custom": fixed.CUSTOM,
    "random": random_mixes.RANDOM,
    "learned": learned.LEARNED,
    "distilled": distilled.DISTILLED,
    "regime_oracle": oracles.ORACLE,
    "delayed_oracle": oracles.DELAYED,
    "flat": flat.FLAT,
    "best_constant": constant.BEST_CONSTANT,
}
"""The arms of all worlds."""


def arms_of(env: EnvConfig) -> dict[str, Arm]:
    """Those, the rules that one would run in a world without learning, and the choice between them and the learned pair.

    Raises
    ------
    ValueError
        A rule is called like one of those, or like what is found for them.
    """
    rules = balancing_arms(env)
    needs = dependencies_first(need for arm in ARMS.values() for need in arm.needs)
    names = dict.fromkeys([*ARMS, GATED, *(need.name for need in needs), GATE])
    taken = rules.keys() & names.keys()
    if taken:
        raise ValueError(f"rules of a world must have other names than {', '.join(names)}, got {', '.join(sorted(taken))}")
    return {**ARMS, GATED: gated_arm(rules), **rules}
