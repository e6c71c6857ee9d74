"""Measurements with a demand that a test sets, and switching rules that act on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from envs.load_balancing.config import LoadBalancingConfig, Workload, WorkloadClass
from envs.load_balancing.kernel.accounts import IN_FLIGHT, STEPS
from envs.load_balancing.kernel.recent import SPANS_S
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.rules import RULES
from envs.load_balancing.rules.autoscale import Switching
from envs.load_balancing.rules.demand import SIGNALS, Signal
from tests.envs.load_balancing.pools import copied, servers, started

SWITCHING = ("autoscale", "autoscale_class", "autoscale_pools", "autoscale_forecast", "autoscale_shifts")
CORES, SPEED, PRICE = [4, 1, 2, 3], [2.0, 1.0, 1.0, 1.0], [4.0, 0.2, 1.2, 0.9]
"""Four servers of capacity 8, 1, 2 and 3, at 0.5, 0.2, 0.6 and 0.3 $/h each unit of it."""
BY_PRICE = [1, 3, 0, 2]
DEMANDS = st.lists(st.tuples(st.floats(0.0, 30.0), st.floats(0.0, 30.0)), min_size=1, max_size=30)
"""Demand of both classes, step by step."""


def config_of(dt_s: float = 1.0, **fields: Any) -> LoadBalancingConfig:
    interactive = WorkloadClass(mean_work_s=0.1, deadline_s=1.0, value_usd=1.0, penalty_usd=1.0)
    batch = WorkloadClass(mean_work_s=0.5, deadline_s=60.0, value_usd=1.0, penalty_usd=1.0)
    workload = Workload(interactive=interactive, batch=batch)
    return LoadBalancingConfig(pool=servers(CORES, SPEED, PRICE, boot_s=5.0), workload=workload, dt_s=dt_s, **fields)


def band(
    up: float = 1.0,
    down_share: float = 0.5,
    signal: Signal = "in_flight",
    hold_on_s: float = 0.0,
    hold_off_s: float = 0.0,
    least: int = 1,
    more: int = 3,
    skip: int = 0,
    span_s: float = SPANS_S[0],
    group: int = 0,
) -> dict[str, Any]:
    """Numbers of one group, as :meth:`Autoscale.suggest` draws them."""
    numbers = {
        "signal": signal,
        "up": up,
        "span_s": span_s,
        "down_share": down_share,
        "hold_on_s": hold_on_s,
        "hold_off_s": hold_off_s,
        "least": least,
        "more": more,
        "skip": skip,
    }
    return {f"{name}_{group}": value for name, value in numbers.items()}


SEEING: Mapping[str, Any] = {
    "ahead_s": 5.0,
    "foresight": 0.0,
    "foresight_down": 0.0,
    "trust": 1.0,
    "level_s": 5.0,
    "trend_s": 1e4,
    "season": 0.0,
    "swing_interactive": 0.0,
    "swing_batch": 0.0,
}
"""Numbers of forecasts that change nothing."""


def bands(name: str, **fields: Any) -> dict[str, Any]:
    """The same numbers for every group of a rule."""
    n_groups = len(RULES[name].groups)  # type: ignore[attr-defined]
    of_groups = {key: value for group in range(n_groups) for key, value in band(group=group, **fields).items()}
    return of_groups | dict(SEEING)


def controller_of(
    name: str, config: LoadBalancingConfig, n_envs: int = 1, values: Sequence[Mapping[str, Any]] = (), **fields: Any
) -> Switching:
    """A switching rule at the beginning of its episodes."""
    rule = RULES[name]
    controller = rule.start(rule.configured(config), n_envs, values or [bands(name, **fields)])
    assert isinstance(controller, Switching)
    return controller


def measured(config: LoadBalancingConfig, n_envs: int = 1) -> Measurements:
    """Measurements of an idle pool, for a test to write into."""
    return copied(started(config, n_envs).measurements)


def demand(measurements: Measurements, interactive: Any, batch: Any = 0.0) -> Measurements:
    """The same a step later, with so much demand of each class: requests in flight, offered work and use.

    Measured by class are ``interactive`` and ``batch`` requests in flight, and seconds of work that come in a second; use is
    the sum of both, spread over all capacity.
    """
    measurements.sums[:, STEPS] += 1
    both = np.broadcast_to(np.stack(np.broadcast_arrays(interactive, batch), axis=-1), measurements.in_flight.shape)
    measurements.counts[..., IN_FLIGHT] = both
    measurements.arrived_hz[:] = (both / [0.1, 0.5])[..., None]
    measurements.utilisation[:] = (both.sum(-1) / measurements.capacity.sum(-1))[:, None]
    return measurements


def on(weights: np.ndarray) -> np.ndarray:
    """Servers with weight in any backend ``(n_envs, n_servers)``."""
    return (weights > 0).any(1)


@st.composite
def numbers(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """Any numbers of a rule for a pool of four."""
    drawn: dict[str, Any] = {}
    for group in range(len(RULES[name].groups)):  # type: ignore[attr-defined]
        drawn |= band(
            up=draw(st.floats(0.05, 10.0)),
            down_share=draw(st.floats(0.01, 0.95)),
            signal=draw(st.sampled_from(SIGNALS)),
            hold_on_s=draw(st.sampled_from([0.0, 1.0, 3.0, 10.0])),
            hold_off_s=draw(st.sampled_from([0.0, 1.0, 3.0, 10.0])),
            least=draw(st.integers(1, 4)),
            more=draw(st.integers(0, 3)),
            skip=draw(st.integers(0, 3)),
            span_s=draw(st.sampled_from(SPANS_S)),
            group=group,
        )
    seeing = {name: draw(st.floats(low, high)) for name, (low, high) in FORESEEING.items()}
    return drawn | seeing


FORESEEING = {
    "ahead_s": (0.0, 60.0),
    "foresight": (0.0, 1.5),
    "foresight_down": (0.0, 1.5),
    "trust": (0.01, 1.0),
    "level_s": (1.0, 60.0),
    "trend_s": (10.0, 1e4),
    "season": (0.0, 0.5),
    "swing_interactive": (-1.0, 1.0),
    "swing_batch": (-1.0, 1.0),
}
