"""Arrival sources: where requests come from.

Instants, classes and work of requests are drawn from the stream `arrivals`, regimes and bursts from `regime`. No action
touches either: two arms of an ablation with the same seed get the same requests.
"""

from __future__ import annotations

from envs.load_balancing.kernel.arrivals import diurnal, mmpp, poisson, trace
from envs.load_balancing.kernel.arrivals.source import ArrivalConfig, ArrivalSource

SOURCES: dict[str, ArrivalSource] = {
    "poisson": poisson.SOURCE,
    "mmpp": mmpp.SOURCE,
    "diurnal": diurnal.SOURCE,
    "trace": trace.SOURCE,
}
"""Every arrival source by name."""

ARRIVALS: dict[str, type[ArrivalConfig]] = {name: source.config for name, source in SOURCES.items()}
"""The settings of each."""
