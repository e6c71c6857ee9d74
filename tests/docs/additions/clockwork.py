"""Requests at equal distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envs.core.jit import inlined
from envs.core.validation import setting
from envs.load_balancing.kernel.arrivals.source import ArrivalConfig, ArrivalSource, set_next


@dataclass(frozen=True)
class Clockwork(ArrivalConfig):
    """A request every so often."""

    source: Literal["clockwork"] = "clockwork"
    """name of the arrival source"""
    slow_down: float = setting(1.0, ge=1)
    """factor on the distance"""


@inlined
def _draw_next(params, memory, source, stream, env, now_s):
    gap_s = params.slow_down / source.regime_rate_hz[env, source.regime[env]]
    return set_next(source, env, now_s + gap_s, source.stage_until_s[env])


SOURCE = ArrivalSource(Clockwork, _draw_next)
