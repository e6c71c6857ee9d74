"""Requests that were rejected and come back: each decides by draws that are keyed by its number, not by the order of events.

So two arms that reject the same request see the same of it, and fresh requests never depend on what was done. Those that
wait to come back are a heap by the instant at which they do; where as many wait as there is room for, a request gives up.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from envs.core.arrays import FloatArray, IntArray, IntArray32, StreamArray
from envs.core.jit import inlined, kernel
from envs.core.rng import RETRY, exponential, keyed_uniform, next_u64
from envs.load_balancing.kernel.heap import heap_pop, heap_push
from envs.load_balancing.kernel.servers.state import NEVER

MAX_WAITING = 1024
"""Requests of an env that wait to come back."""


class RetryNumbers(NamedTuple):
    """Settings of retries as the kernel reads them."""

    probability: float  # that a rejected request comes back
    pause_s: float  # mean time until it does


class Retries(NamedTuple):
    """Requests that wait to come back, each in a slot."""

    key: Annotated[StreamArray, "n_envs"]  # of an episode's draws
    n_fresh: Annotated[IntArray, "n_envs"]  # requests that came for the first time: the number of the next
    n: Annotated[IntArray, "n_envs"]
    due_s: Annotated[FloatArray, "n_envs n_waiting"]  # a binary heap
    slot: Annotated[IntArray32, "n_envs n_waiting"]
    free: Annotated[IntArray32, "n_envs n_waiting"]  # stack of free slots
    work_s: Annotated[FloatArray, "n_envs n_waiting"]
    lane: Annotated[IntArray32, "n_envs n_waiting"]
    number: Annotated[IntArray, "n_envs n_waiting"]
    attempt: Annotated[IntArray, "n_envs n_waiting"]  # times that it came already


@kernel
def clear_retries(retries, streams, env):
    """Begin an episode: nobody waits."""
    retries.key[env] = next_u64(streams[env, RETRY])
    retries.n_fresh[env] = 0
    retries.n[env] = 0
    n_slots = retries.free.shape[1]
    for slot in range(n_slots):
        retries.free[env, slot] = n_slots - 1 - slot


@kernel
def redraw_retries(params, retries, streams, env, now_s):
    """Draw anew who comes back after ``now_s``, and when those do that wait already: pauses are exponential."""
    retries.key[env] = next_u64(streams[env, RETRY])
    due_s, slot = retries.due_s[env], retries.slot[env]
    for i in range(retries.n[env]):
        heap_push(due_s, slot, i, now_s + exponential(streams[env, RETRY], params.pause_s), slot[i])


@inlined
def next_retry_s(retries, env):
    """When the next request comes back."""
    return retries.due_s[env, 0] if retries.n[env] > 0 else NEVER


@inlined
def pop_retry(retries, env):
    """Take out the request that comes back next; returns its slot, still readable."""
    slot = heap_pop(retries.due_s[env], retries.slot[env], retries.n[env])
    retries.n[env] -= 1
    retries.free[env, retries.free.shape[1] - 1 - retries.n[env]] = slot
    return slot


@kernel
def perhaps_come_back(params, retries, env, t, work_s, lane, number, attempt):
    """A request was rejected at ``t`` for the ``attempt``-th time (from 0): let it wait to come back, or give up."""
    n = retries.n[env]
    if n == retries.free.shape[1]:
        return
    if keyed_uniform(retries.key[env], number, 2 * attempt) >= params.probability:
        return
    pause_s = -params.pause_s * math.log(1.0 - keyed_uniform(retries.key[env], number, 2 * attempt + 1))
    slot = retries.free[env, retries.free.shape[1] - 1 - n]
    retries.work_s[env, slot] = work_s
    retries.lane[env, slot] = lane
    retries.number[env, slot] = number
    retries.attempt[env, slot] = attempt + 1
    heap_push(retries.due_s[env], retries.slot[env], n, t + pause_s, slot)
    retries.n[env] = n + 1
