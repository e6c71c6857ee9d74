"""Days: rates of both classes that swing around their means as a sine, thinned from their peak."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.jit import inlined
from envs.core.rng import exponential, uniform
from envs.core.validation import setting
from envs.load_balancing.kernel.arrivals.source import ArrivalConfig, ArrivalSource, set_next


@dataclass(frozen=True)
class Diurnal(ArrivalConfig):
    """A sine over the day around the mean rate of the regime; half a day later it is night."""

    source: Literal["diurnal"] = "diurnal"
    """name of the arrival source"""
    period_s: float = setting(600.0, ge=1e-3)
    """length of a day"""
    amplitude: float = setting(0.5, ge=0, le=1)
    """swing of the rate of interactive requests around its mean, as a share of it"""
    batch_swing: float = setting(1.0, ge=-1, le=1)
    """swing of the rate of batch requests, as a multiple of that: -1 has them come by night, 0 at all times alike"""
    random_phase: bool = True
    """whether an episode begins at a time of day of its own, or all at the same"""

    @property
    def peak(self) -> float:
        """Of the rate at its highest."""
        return 1.0 + self.amplitude


class Days(NamedTuple):
    """Where each env began in its day."""

    phase: Annotated[FloatArray, "n_envs"]  # in [0, 1)


@inlined
def _start(params, days, source, stream, env, first, second):
    days.phase[env] = first if params.random_phase else 0.0


@inlined
def _time_of_day(params, days, source, env, now_s):
    return (days.phase[env] + now_s / params.period_s) % 1.0


@inlined
def _draw_next(params, days, source, stream, env, now_s):
    regime = source.regime[env]
    rate_hz, share = source.regime_rate_hz[env, regime], source.interactive_share[env, regime]
    until_s = source.stage_until_s[env]
    peak = 1.0 + params.amplitude
    both = share + (1.0 - share) * params.batch_swing
    t, swing = now_s, 0.0
    while True:
        t = t + exponential(stream, 1.0 / (rate_hz * peak)) if rate_hz > 0.0 else np.inf
        if t >= until_s:
            break
        swing = params.amplitude * math.sin(2.0 * math.pi * _time_of_day(params, days, source, env, t))
        if uniform(stream) * peak < 1.0 + swing * both:
            break
    source.odds[env] = (1.0 + swing) / max(1.0 + swing * params.batch_swing, 1e-9)
    return set_next(source, env, t, until_s)


SOURCE = ArrivalSource(Diurnal, _draw_next, memory=Days, start=_start, time_of_day=_time_of_day)
