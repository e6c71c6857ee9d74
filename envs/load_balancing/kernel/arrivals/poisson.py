"""Poisson arrivals at the rate of the regime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from envs.core.jit import inlined
from envs.core.rng import exponential
from envs.load_balancing.kernel.arrivals.source import ArrivalConfig, ArrivalSource, set_next


@dataclass(frozen=True)
class Poisson(ArrivalConfig):
    """Poisson arrivals."""

    source: Literal["poisson"] = "poisson"
    """name of the arrival source"""


@inlined
def _draw_next(params, memory, source, stream, env, now_s):
    rate_hz = source.regime_rate_hz[env, source.regime[env]]
    request_s = now_s + exponential(stream, 1.0 / rate_hz) if rate_hz > 0.0 else np.inf
    return set_next(source, env, request_s, source.stage_until_s[env])


SOURCE = ArrivalSource(Poisson, _draw_next)
