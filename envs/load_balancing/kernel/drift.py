"""Slow swings: speeds of servers and shares of classes that move as sines, from step to step.

A swing at time t is ``sin(2 pi (t / period + phase))``: its mean over a period is 0, and so it is over phases, which are
uniform. Phases are keyed by where an env's stream of worlds stands as its episode begins: nothing moves on for them, and
what is drawn of anything else stays what it is.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from envs.core.arrays import FloatArray
from envs.core.jit import kernel
from envs.core.rng import WORLD, keyed_uniform
from envs.load_balancing.kernel.servers.clock import schedule, sync


class Drift(NamedTuple):
    """Where each env stands in its swings."""

    phase: Annotated[FloatArray, "n_envs n_swings"]  # in [0, 1); that of each server, then that of the mix
    speed: Annotated[FloatArray, "n_envs n_servers"]  # in the middle of its swing, as the one below
    interactive_share: Annotated[FloatArray, "n_envs n_regimes"]


@kernel
def draw_phases(drift, streams, mask):
    """Where the swings of the episodes that begin in ``mask (n_envs,)`` stand."""
    for env in range(mask.shape[0]):
        if mask[env]:
            for swing in range(drift.phase.shape[1]):
                drift.phase[env, swing] = keyed_uniform(streams[env, WORLD, 0], swing, 0)


@kernel
def swing_speeds(numbers, drift, servers, now_s, running):
    """Speeds at ``now_s (n_envs,)`` where ``running (n_envs,)`` is set; what is in service goes on at the new ones."""
    for env in range(running.shape[0]):
        if not running[env]:
            continue
        for server in range(servers.present.shape[1]):
            turn = now_s[env] / numbers.period_s + drift.phase[env, server]
            sync(servers, env, server, now_s[env])
            factor = 1.0 + numbers.speed * math.sin(2.0 * math.pi * turn)
            servers.speed[env, server] = factor * drift.speed[env, server]
            schedule(servers, env, server)
