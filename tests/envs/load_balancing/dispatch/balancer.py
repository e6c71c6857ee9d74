"""One dispatcher before servers whose weights and flows in flight a test sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from envs.core.arrays import new_arrays
from envs.core.rng import streams
from envs.load_balancing.config import DISPATCH_RULES
from envs.load_balancing.kernel.dispatch.dispatcher import Dispatch, choose, dispatch, learn, new_dispatcher, rank
from envs.load_balancing.kernel.servers.state import ON, Servers, n_nodes

MAX_FLOWS = 64
WEIGHTS = st.one_of(st.just(0.0), st.floats(0.1, 8.0))
LOADED = st.lists(st.tuples(WEIGHTS, st.integers(0, 6)), min_size=1, max_size=7)
"""Weight and flows in flight of every server."""


class Balancer:
    """One dispatcher before servers whose weights and flows in flight a test sets."""

    def __init__(self, name: str, weights: Sequence[float], flows: Sequence[int] = (), **settings: Any) -> None:
        n = len(weights)
        config = DISPATCH_RULES[name](**settings)
        self.params: Dispatch = dispatch(config)
        self.dispatcher = new_dispatcher(config, 1, 1, n)
        self.memory = self.dispatcher[self.params.rule]
        alone = {"n_envs": 1, "n_balancers": 1, "n_backends": 1, "n_lanes": 2}
        self.servers = new_arrays(Servers, {**alone, "n_servers": n, "n_nodes": n_nodes(n), "max_flows": MAX_FLOWS})
        self.servers.status[:] = ON
        self.servers.weight[0, 0] = weights
        self.servers.n_running[0] = list(flows) or [0] * n
        self.streams = streams(0, "train", [0])

    def pick(self, t: float = 0.0) -> int:
        for server in range(self.servers.present.shape[1]):
            rank(self.params, self.dispatcher, self.servers, 0, 0, server)
        return int(choose(self.params, self.dispatcher, self.servers, self.streams, 0, 0, t))

    def pick_many(self, n: int) -> np.ndarray:
        return np.array([self.pick() for _ in range(n)])

    def answer(self, server: int, t: float, latency_s: float) -> None:
        learn(self.params, self.dispatcher, 0, 0, server, t, latency_s)


def lowest(scores: dict[int, float]) -> set[int]:
    return {server for server, score in scores.items() if score == min(scores.values())}
