"""The least of a figure of each server, kept up as one server changes at a time; ties are broken at random."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from envs.core.arrays import FloatArray, IntArray
from envs.core.jit import inlined
from envs.core.rng import integer


class Tournament(NamedTuple):
    """A binary tree over the servers for every backend; node 1 is the least of all."""

    least: Annotated[FloatArray, "n_envs n_backends n_nodes", np.inf]
    n_ties: Annotated[IntArray, "n_envs n_backends n_nodes"]  # servers under a node that tie at it


@inlined
def enter(tournament, env, backend, server, takes_part, figure):
    """Enter the figure of a server; one that takes no part has none."""
    least, n_ties = tournament.least[env, backend], tournament.n_ties[env, backend]
    node = least.shape[0] // 2 + server
    least[node] = figure if takes_part else np.inf
    n_ties[node] = 1 if takes_part else 0
    while node > 1:
        node //= 2
        left, right = least[2 * node], least[2 * node + 1]
        least[node] = min(left, right)
        n_ties[node] = (n_ties[2 * node] if left <= right else 0) + (n_ties[2 * node + 1] if right <= left else 0)


@inlined
def draw_least(tournament, stream, env, backend):
    """One of the servers that tie at the least, each as likely; -1 when none takes part."""
    least, n_ties = tournament.least[env, backend], tournament.n_ties[env, backend]
    if n_ties[1] == 0:
        return -1
    left_out = integer(stream, n_ties[1]) if n_ties[1] > 1 else 0
    node, n_leaves = 1, least.shape[0] // 2
    while node < n_leaves:
        node *= 2
        n_left = n_ties[node] if least[node] <= least[node + 1] else 0
        if left_out >= n_left:
            left_out -= n_left
            node += 1
    return node - n_leaves
