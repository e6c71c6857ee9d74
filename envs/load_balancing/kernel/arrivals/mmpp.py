"""Bursts: a Markov-modulated Poisson process that goes to and fro between a burst and calm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np

from envs.core.arrays import BoolArray, FloatArray
from envs.core.jit import inlined
from envs.core.rng import exponential
from envs.core.validation import setting
from envs.load_balancing.kernel.arrivals.source import ArrivalConfig, ArrivalSource, set_next


@dataclass(frozen=True)
class MMPP(ArrivalConfig):
    """Bursts, with the mean rate of the regime."""

    source: Literal["mmpp"] = "mmpp"
    """name of the arrival source"""
    burst_factor: float = setting(3.0, ge=1)
    """rate in a burst, as a multiple of the rate between bursts"""
    burst_s: float = setting(5.0, ge=1e-3)
    """mean seconds of a burst"""
    calm_s: float = setting(20.0, ge=1e-3)
    """mean seconds between bursts"""

    @property
    def peak(self) -> float:
        """Of the rate in a burst."""
        share = self.burst_s / (self.burst_s + self.calm_s)
        return self.burst_factor / (1.0 - share + share * self.burst_factor)


class Bursts(NamedTuple):
    """Where each env stands in its bursts."""

    bursting: Annotated[BoolArray, "n_envs"]
    until_s: Annotated[FloatArray, "n_envs"]
    rate_factor: Annotated[FloatArray, "n_envs"]  # of the regime's mean rate


@inlined
def _begin(params, bursts, env, bursting):
    """Begin a burst or calm; returns its mean length."""
    burst_share = params.burst_s / (params.burst_s + params.calm_s)
    calm_factor = 1.0 / (1.0 - burst_share + burst_share * params.burst_factor)
    bursts.bursting[env] = bursting
    bursts.rate_factor[env] = calm_factor * params.burst_factor if bursting else calm_factor
    return params.burst_s if bursting else params.calm_s


@inlined
def _start(params, bursts, source, stream, env, first, second):
    mean_s = _begin(params, bursts, env, first < params.burst_s / (params.burst_s + params.calm_s))
    bursts.until_s[env] = -mean_s * math.log(1.0 - second)


@inlined
def _change(params, bursts, source, stream, env):
    now_s = source.time_s[env]
    if now_s >= bursts.until_s[env]:
        mean_s = _begin(params, bursts, env, not bursts.bursting[env])
        bursts.until_s[env] = now_s + exponential(stream, mean_s)


@inlined
def _draw_next(params, bursts, source, stream, env, now_s):
    """Gaps are exponential; at the end of a stretch of constant rate they are drawn anew, as a Poisson process allows."""
    rate_hz = source.regime_rate_hz[env, source.regime[env]] * bursts.rate_factor[env]
    request_s = now_s + exponential(stream, 1.0 / rate_hz) if rate_hz > 0.0 else np.inf
    return set_next(source, env, request_s, min(source.stage_until_s[env], bursts.until_s[env]))


@inlined
def _redraw(params, bursts, source, stream, env, now_s):
    bursts.until_s[env] = now_s + exponential(stream, params.burst_s if bursts.bursting[env] else params.calm_s)


SOURCE = ArrivalSource(MMPP, _draw_next, memory=Bursts, start=_start, change=_change, redraw=_redraw)
