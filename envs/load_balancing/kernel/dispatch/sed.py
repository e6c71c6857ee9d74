"""Shortest expected delay: argmin ``(n + 1) / w``, with ``n`` flows on a server of weight ``w`` (MARLLB's `node.c`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envs.core.jit import inlined
from envs.load_balancing.kernel.balancers import flows_of_backend
from envs.load_balancing.kernel.dispatch.eligible import eligible
from envs.load_balancing.kernel.dispatch.rule import DispatchConfig, Rule
from envs.load_balancing.kernel.dispatch.tournament import Tournament, draw_least, enter


@dataclass(frozen=True)
class Sed(DispatchConfig):
    """Shortest expected delay: the fewest flows per weight, the new one included."""

    rule: Literal["sed"] = "sed"
    """name of the dispatch rule"""


@inlined
def _rank(params, tournament, servers, env, backend, server):
    delay = (flows_of_backend(servers, env, backend, server) + 1.0) / servers.weight[env, backend, server]
    enter(tournament, env, backend, server, eligible(servers, env, backend, server), delay)


@inlined
def _choose(params, tournament, servers, stream, env, backend, t):
    return draw_least(tournament, stream, env, backend)


RULE = Rule(Sed, _choose, memory=Tournament, rank=_rank)
