"""Power of two choices: of two servers drawn at random the one with fewer flows per weight (Mitzenmacher 2001)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envs.core.jit import inlined, kernel
from envs.load_balancing.kernel.balancers import flows_of_backend
from envs.load_balancing.kernel.dispatch.eligible import two_eligible
from envs.load_balancing.kernel.dispatch.rule import DispatchConfig, Rule
from envs.load_balancing.kernel.servers.state import in_flight


@dataclass(frozen=True)
class PowerOfTwo(DispatchConfig):
    """The better of two servers drawn at random."""

    rule: Literal["power_of_two"] = "power_of_two"
    """name of the dispatch rule"""
    asks: bool = False
    """whether both are asked for all requests that they hold, in place of those of this backend that a balancer counts"""


@inlined
def _delay(params, servers, env, backend, server):
    held = in_flight(servers, env, server) if params.asks else flows_of_backend(servers, env, backend, server)
    return (held + 1.0) / servers.weight[env, backend, server]


@kernel
def _choose(params, memory, servers, stream, env, backend, t):
    a, b = two_eligible(servers, stream, env, backend)
    if b < 0:
        return a
    return a if _delay(params, servers, env, backend, a) <= _delay(params, servers, env, backend, b) else b


RULE = Rule(PowerOfTwo, _choose)
