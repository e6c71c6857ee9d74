"""HAProxy's leastconn (`lb_fwlc.c`): as the shortest expected delay, but an idle server counts 0 whatever its weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envs.core.jit import inlined
from envs.load_balancing.kernel.balancers import flows_of_backend
from envs.load_balancing.kernel.dispatch.eligible import eligible
from envs.load_balancing.kernel.dispatch.rule import DispatchConfig, Rule
from envs.load_balancing.kernel.dispatch.tournament import Tournament, draw_least, enter


@dataclass(frozen=True)
class LeastConn(DispatchConfig):
    """The fewest flows per weight; among idle servers any."""

    rule: Literal["leastconn"] = "leastconn"
    """name of the dispatch rule"""


@inlined
def _rank(params, tournament, servers, env, backend, server):
    held = flows_of_backend(servers, env, backend, server)
    delay = 0.0 if held == 0 else (held + 1.0) / servers.weight[env, backend, server]
    enter(tournament, env, backend, server, eligible(servers, env, backend, server), delay)


@inlined
def _choose(params, tournament, servers, stream, env, backend, t):
    return draw_least(tournament, stream, env, backend)


RULE = Rule(LeastConn, _choose, memory=Tournament, rank=_rank)
