"""What happened of late, per lane: moving means over several spans, as a proxy keeps them.

A span of ``s`` seconds forgets by ``exp(-dt / s)`` a step. Means are divided by the weight of the steps so far, so that a
young mean is that of the time since the reset and not pulled towards zero.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from envs.core.arrays import FloatArray, IntArray
from envs.core.jit import inlined
from envs.load_balancing.kernel.accounts import ARRIVED, COMPLETED, LATENCY_S, LOST, REJECTED

SPANS_S: tuple[float, ...] = (1.0, 5.0, 30.0)
"""Time constants of the moving means."""
_TINY = 1e-250


class Spans(NamedTuple):
    """The moving means as the kernel reads their settings."""

    dt_s: float
    keep: tuple[float, ...]  # share of a mean that a step keeps


def spans(dt_s: float) -> Spans:
    """The kernel's view of the time constants."""
    return Spans(float(dt_s), tuple(math.exp(-dt_s / span_s) for span_s in SPANS_S))


class Recent(NamedTuple):
    """Moving means, and the sums that they are made of."""

    arrived_hz: Annotated[FloatArray, "n_envs n_lanes n_spans"]
    latency_s: Annotated[FloatArray, "n_envs n_lanes n_spans"]  # mean of the flows completed of late, 0 before the first
    unanswered_hz: Annotated[FloatArray, "n_envs n_lanes n_spans"]  # lost and rejected
    arrived: Annotated[FloatArray, "n_envs n_lanes n_spans"]
    completed: Annotated[FloatArray, "n_envs n_lanes n_spans"]
    waited_s: Annotated[FloatArray, "n_envs n_lanes n_spans"]
    unanswered: Annotated[FloatArray, "n_envs n_lanes n_spans"]
    weight: Annotated[FloatArray, "n_envs n_spans"]  # of the steps so far
    counts_before: Annotated[IntArray, "n_envs n_lanes n_counts"]  # the totals at the last step
    latency_before_s: Annotated[FloatArray, "n_envs n_lanes"]


@inlined
def clear_recent(recent, env):
    """Forget an env: nothing has happened yet."""
    for part in (recent.arrived_hz, recent.latency_s, recent.unanswered_hz):
        part[env] = 0.0
    for part in (recent.arrived, recent.completed, recent.waited_s, recent.unanswered):
        part[env] = 0.0
    recent.latency_before_s[env] = 0.0
    recent.weight[env] = 0.0
    recent.counts_before[env] = 0


@inlined
def _average(part, keep, env, lane, span, value):
    moved = part[env, lane, span] * keep + (1.0 - keep) * value
    part[env, lane, span] = moved
    return moved


@inlined
def take_in_step(params, recent, counts, times, env):
    """Take a step into the means, the difference of ``counts`` and ``times`` to those at the step before."""
    for span in range(len(params.keep)):
        recent.weight[env, span] = recent.weight[env, span] * params.keep[span] + (1.0 - params.keep[span])
    for lane in range(counts.shape[1]):
        now, before = counts[env, lane], recent.counts_before[env, lane]
        n_arrived = now[ARRIVED] - before[ARRIVED]
        n_completed = now[COMPLETED] - before[COMPLETED]
        n_unanswered = now[LOST] + now[REJECTED] - before[LOST] - before[REJECTED]
        step_s = times[env, lane, LATENCY_S] - recent.latency_before_s[env, lane]
        for count in range(counts.shape[2]):
            before[count] = now[count]
        recent.latency_before_s[env, lane] = times[env, lane, LATENCY_S]
        for span in range(len(params.keep)):
            keep, over_s = params.keep[span], recent.weight[env, span] * params.dt_s
            arrived = _average(recent.arrived, keep, env, lane, span, n_arrived)
            unanswered = _average(recent.unanswered, keep, env, lane, span, n_unanswered)
            completed = _average(recent.completed, keep, env, lane, span, n_completed)
            waited_s = _average(recent.waited_s, keep, env, lane, span, step_s)
            recent.arrived_hz[env, lane, span] = arrived / over_s
            recent.unanswered_hz[env, lane, span] = unanswered / over_s
            recent.latency_s[env, lane, span] = waited_s / completed if completed > _TINY else 0.0
