"""Power of two choices: of two servers drawn at random the one with fewer flows per weight (Mitzenmacher 2001)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envs.core.jit import inlined, kernel
from envs.load_balancing.kernel.dispatch.eligible import two_eligible
from envs.load_balancing.kernel.dispatch.rule import DispatchConfig, Rule
from envs.load_balancing.kernel.servers.state import in_flight


@dataclass(frozen=True)
class PowerOfTwo(DispatchConfig):
    """The better of two servers drawn at random."""

    rule: Literal["power_of_two"] = "power_of_two"
    """name of the dispatch rule"""


@inlined
def _delay(servers, env, server):
    return (in_flight(servers, env, server) + 1.0) / servers.weight[env, server]


@kernel
def _choose(params, memory, servers, stream, env, t):
    a, b = two_eligible(servers, stream, env)
    if b < 0:
        return a
    return a if _delay(servers, env, a) <= _delay(servers, env, b) else b


RULE = Rule(PowerOfTwo, _choose)
