"""HAProxy's leastconn (`lb_fwlc.c`): as the shortest expected delay, but an idle server counts 0 whatever its weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envs.core.jit import inlined
from envs.load_balancing.kernel.dispatch.eligible import eligible
from envs.load_balancing.kernel.dispatch.rule import DispatchConfig, Rule
from envs.load_balancing.kernel.dispatch.tournament import Tournament, draw_least, enter
from envs.load_balancing.kernel.servers.state import in_flight


@dataclass(frozen=True)
class LeastConn(DispatchConfig):
    """The fewest flows per weight; among idle servers any."""

    rule: Literal["leastconn"] = "leastconn"
    """name of the dispatch rule"""


@inlined
def _rank(params, tournament, servers, env, server):
    held = in_flight(servers, env, server)
    delay = 0.0 if held == 0 else (held + 1.0) / servers.weight[env, server]
    enter(tournament, env, server, eligible(servers, env, server), delay)


@inlined
def _choose(params, tournament, servers, stream, env, t):
    return draw_least(tournament, stream, env)


RULE = Rule(LeastConn, _choose, memory=Tournament, rank=_rank)
