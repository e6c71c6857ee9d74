"""A server at random with probability proportional to its weight (WCMP: ECMP with weights)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envs.core.jit import kernel
from envs.core.rng import uniform
from envs.load_balancing.kernel.dispatch.eligible import eligible
from envs.load_balancing.kernel.dispatch.rule import DispatchConfig, Rule


@dataclass(frozen=True)
class WeightedRandom(DispatchConfig):
    """A server at random, by weight."""

    rule: Literal["weighted_random"] = "weighted_random"
    """name of the dispatch rule"""


@kernel
def _choose(params, memory, servers, stream, env, backend, t):
    total = 0.0
    for server in range(servers.weight.shape[2]):
        if eligible(servers, env, backend, server):
            total += servers.weight[env, backend, server]
    left = uniform(stream) * total
    last = -1
    for server in range(servers.weight.shape[2]):
        if eligible(servers, env, backend, server):
            last = server
            left -= servers.weight[env, backend, server]
            if left < 0.0:
                break
    return last


RULE = Rule(WeightedRandom, _choose)
