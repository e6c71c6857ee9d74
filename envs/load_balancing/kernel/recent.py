"""What happened of late, per class of requests: moving means over several spans, as a proxy keeps them.

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

    arrived_hz: Annotated[FloatArray, "n_envs n_classes n_spans"]
    latency_s: Annotated[FloatArray, "n_envs n_classes n_spans"]  # mean of the flows completed of late, 0 before the first
    unanswered_hz: Annotated[FloatArray, "n_envs n_classes n_spans"]  # lost and rejected
    arrived: Annotated[FloatArray, "n_envs n_classes n_spans"]
    completed: Annotated[FloatArray, "n_envs n_classes n_spans"]
    waited_s: Annotated[FloatArray, "n_envs n_classes n_spans"]
    unanswered: Annotated[FloatArray, "n_envs n_classes n_spans"]
    weight: Annotated[FloatArray, "n_envs n_spans"]  # of the steps so far
    counts_before: Annotated[IntArray, "n_envs n_classes n_counts"]  # the totals at the last step
    times_before: Annotated[FloatArray, "n_envs n_classes n_times"]


@inlined
def clear_recent(recent, env):
    """Forget an env: nothing has happened yet."""
    for part in recent:
        part[env] = 0


@inlined
def take_in_step(params, recent, counts, times, env):
    """Take a step into the means, the difference of ``counts`` and ``times`` to those at the step before."""
    for span in range(len(params.keep)):
        keep = params.keep[span]
        weight = recent.weight[env, span] * keep + (1.0 - keep)
        recent.weight[env, span] = weight
        for flow_class in range(counts.shape[1]):
            now, before = counts[env, flow_class], recent.counts_before[env, flow_class]
            waited_s = times[env, flow_class, LATENCY_S] - recent.times_before[env, flow_class, LATENCY_S]
            unanswered = now[LOST] + now[REJECTED] - before[LOST] - before[REJECTED]
            at = env, flow_class, span
            recent.arrived[at] = recent.arrived[at] * keep + (1.0 - keep) * (now[ARRIVED] - before[ARRIVED])
            recent.completed[at] = recent.completed[at] * keep + (1.0 - keep) * (now[COMPLETED] - before[COMPLETED])
            recent.waited_s[at] = recent.waited_s[at] * keep + (1.0 - keep) * waited_s
            recent.unanswered[at] = recent.unanswered[at] * keep + (1.0 - keep) * unanswered
            recent.arrived_hz[at] = recent.arrived[at] / (weight * params.dt_s)
            recent.unanswered_hz[at] = recent.unanswered[at] / (weight * params.dt_s)
            recent.latency_s[at] = recent.waited_s[at] / recent.completed[at] if recent.completed[at] > _TINY else 0.0
    for flow_class in range(counts.shape[1]):
        recent.counts_before[env, flow_class] = counts[env, flow_class]
        recent.times_before[env, flow_class] = times[env, flow_class]
