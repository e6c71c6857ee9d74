"""Smooth weighted round robin, as in nginx: ``cw += w`` for all, the largest ``cw`` serves, minus ``sum(w)``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.jit import inlined, kernel
from envs.core.rng import integer
from envs.load_balancing.kernel.dispatch.eligible import eligible
from envs.load_balancing.kernel.dispatch.rule import DispatchConfig, Rule


@dataclass(frozen=True)
class Wrr(DispatchConfig):
    """Smooth weighted round robin."""

    rule: Literal["wrr"] = "wrr"
    """name of the dispatch rule"""


class Turns(NamedTuple):
    """What each server has saved up."""

    current: Annotated[FloatArray, "n_envs n_backends n_servers"]


@inlined
def _clear(params, turns, env):
    turns.current[env] = 0.0


@kernel
def _choose(params, turns, servers, stream, env, backend, t):
    best, largest, total, n_ties = -1, -np.inf, 0.0, 0
    for server in range(servers.weight.shape[2]):
        if not eligible(servers, env, backend, server):
            continue
        weight = servers.weight[env, backend, server]
        total += weight
        turns.current[env, backend, server] += weight
        if turns.current[env, backend, server] > largest:
            best, largest, n_ties = server, turns.current[env, backend, server], 1
        elif turns.current[env, backend, server] == largest:
            n_ties += 1
            if integer(stream, n_ties) == 0:
                best = server
    if best >= 0:
        turns.current[env, backend, best] -= total
    return best


RULE = Rule(Wrr, _choose, memory=Turns, clear=_clear)
