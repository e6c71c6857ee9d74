"""A server at random with probability proportional to its weight (WCMP: ECMP with weights)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envs.core.jit import kernel
from envs.load_balancing.kernel.dispatch.eligible import by_weight
from envs.load_balancing.kernel.dispatch.rule import DispatchConfig, Rule


@dataclass(frozen=True)
class WeightedRandom(DispatchConfig):
    """A server at random, by weight."""

    rule: Literal["weighted_random"] = "weighted_random"
    """name of the dispatch rule"""


@kernel
def _choose(params, memory, servers, stream, env, backend, t):
    return by_weight(servers, stream, env, backend)


RULE = Rule(WeightedRandom, _choose)
