"""Power of two choices: of two servers drawn at random the one with fewer flows per weight (Mitzenmacher 2001)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envs.core.jit import inlined, kernel
from envs.load_balancing.kernel.balancers import flows_of_backend
from envs.load_balancing.kernel.dispatch.eligible import two_eligible
from envs.load_balancing.kernel.dispatch.rule import DispatchConfig, Rule


@dataclass(frozen=True)
class PowerOfTwo(DispatchConfig):
    """The better of two servers drawn at random."""

    rule: Literal["power_of_two"] = "power_of_two"
    """name of the dispatch rule"""


@inlined
def _delay(servers, env, backend, server):
    return (flows_of_backend(servers, env, backend, server) + 1.0) / servers.weight[env, backend, server]


@kernel
def _choose(params, memory, servers, stream, env, backend, t):
    a, b = two_eligible(servers, stream, env, backend)
    if b < 0:
        return a
    return a if _delay(servers, env, backend, a) <= _delay(servers, env, backend, b) else b


RULE = Rule(PowerOfTwo, _choose)
