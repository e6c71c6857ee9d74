"""HAProxy's random (`get_server_rnd` in `backend.c`): of servers drawn by weight the one with the fewest flows per weight.

A server may be drawn more than once; of equals the later one is taken. HAProxy draws from a consistent hash, in which shares
differ from weights by some percent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envs.core.jit import inlined, kernel
from envs.core.validation import setting
from envs.load_balancing.kernel.balancers import flows_of_backend
from envs.load_balancing.kernel.dispatch.eligible import by_weight
from envs.load_balancing.kernel.dispatch.rule import DispatchConfig, Rule


@dataclass(frozen=True)
class RandomDraws(DispatchConfig):
    """The best of some servers drawn at random by weight."""

    rule: Literal["random"] = "random"
    """name of the dispatch rule"""
    draws: int = setting(2, ge=1, le=100)
    """how many are drawn"""


@inlined
def _flows_per_weight(servers, env, backend, server):
    return flows_of_backend(servers, env, backend, server) / servers.weight[env, backend, server]


@kernel
def _choose(params, memory, servers, stream, env, backend, t):
    best = by_weight(servers, stream, env, backend)
    for _ in range(1, params.draws):
        drawn = by_weight(servers, stream, env, backend)
        if drawn >= 0 and _flows_per_weight(servers, env, backend, drawn) <= _flows_per_weight(servers, env, backend, best):
            best = drawn
    return best


RULE = Rule(RandomDraws, _choose)
