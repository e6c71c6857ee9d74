"""Plans: which servers each backend has on, to be held for a while in place of what a rule does.

Servers stand in order of price per capacity, the cheapest first, in tiers of neighbours. The dearest class of requests (the
first) has any stretch of tiers, the others the cheapest ones, in all combinations.
"""

from __future__ import annotations

import itertools

import numpy as np

from envs.core.arrays import BoolArray, IntArray

N_TIERS = 4
"""At most; of more servers neighbours are switched together."""


def plans(n_servers: int, n_backends: int) -> BoolArray:
    """Whether a server is on, by its place in that order, ``(n_plans, n_backends, n_servers)``."""
    tier = np.concatenate([np.full(len(part), at) for at, part in enumerate(_tiers(n_servers))])
    n = int(tier[-1]) + 1
    stretches = [(tier >= first) & (tier < last) for first in range(n) for last in range(first + 1, n + 1)]
    cheapest = [tier < last for last in range(1, n + 1)]
    of_backends = [stretches, *[cheapest] * (n_backends - 1)]
    return np.array(list(itertools.product(*of_backends)))


def _tiers(n_servers: int) -> list[IntArray]:
    return np.array_split(np.arange(n_servers), min(n_servers, N_TIERS))


def placed(plan: BoolArray, order: IntArray) -> BoolArray:
    """Plans ``(n, n_backends, n_servers)`` by server instead of by place, given the order of each ``(n, n_servers)``."""
    place = np.argsort(order, axis=-1)
    return np.take_along_axis(plan, place[:, None, :], -1)
