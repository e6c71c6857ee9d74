"""Days: a rate that swings around its mean as a sine, thinned from its peak."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from envs.core.jit import inlined
from envs.core.rng import exponential, uniform
from envs.core.validation import setting
from envs.load_balancing.kernel.arrivals.source import ArrivalConfig, ArrivalSource, set_next


@dataclass(frozen=True)
class Diurnal(ArrivalConfig):
    """A sine over the day around the mean rate of the regime."""

    source: Literal["diurnal"] = "diurnal"
    """name of the arrival source"""
    period_s: float = setting(600.0, ge=1e-3)
    """length of a day"""
    amplitude: float = setting(0.5, ge=0, le=1)
    """swing of the rate around its mean, as a share of it"""

    @property
    def peak(self) -> float:
        """Of the rate at its highest."""
        return 1.0 + self.amplitude


@inlined
def _factor(params, t):
    return 1.0 + params.amplitude * math.sin(2.0 * math.pi * t / params.period_s)


@inlined
def _draw_next(params, memory, source, stream, env, now_s):
    rate_hz = source.regime_rate_hz[env, source.regime[env]]
    until_s = source.regime_until_s[env]
    peak = 1.0 + params.amplitude
    t = now_s
    while True:
        t = t + exponential(stream, 1.0 / (rate_hz * peak)) if rate_hz > 0.0 else np.inf
        if t >= until_s or uniform(stream) * peak < _factor(params, t):
            break
    return set_next(source, env, t, until_s)


SOURCE = ArrivalSource(Diurnal, _draw_next)
