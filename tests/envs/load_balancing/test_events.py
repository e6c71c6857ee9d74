"""Settings under which a step would hardly end are refused; what is just allowed ends."""

from __future__ import annotations

import re
from typing import Any

import pytest

from envs.core.validation import SettingError, build
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.config.events import MAX_EVENTS_PER_STEP
from envs.load_balancing.kernel import accounts
from tests.envs.load_balancing.pools import count, run, started

ONE_REGIME = {"loads": [1.0], "interactive_shares": [1.0]}
THREE_LEVELS = {"loads": [0.2, 0.6, 0.85], "interactive_shares": [0.95, 0.5, 0.05]}
PLAIN: dict[str, Any] = {"arrivals": "poisson", "regimes": THREE_LEVELS, "retries": 0.0}
"""Without what multiplies requests."""
ENDLESS: list[tuple[dict[str, Any], str]] = [
    (
        {"workload": {**PLAIN, "rate_hz": 1e18}},
        "env.workload.rate_hz must be <= 1.424e+06, for 1,000,000 arrivals in a step",
    ),
    (
        {"workload": {**PLAIN, "rate_hz": 4e6, "regimes": ONE_REGIME}, "dt_s": 0.5},
        "env.workload.rate_hz must be <= 2e+06, for",
    ),
    ({"workload": {**PLAIN, "rate_hz": 9e5, "arrivals": "mmpp"}}, "env.workload.rate_hz must be <= 6.643e+05, for"),
    ({"workload": {**PLAIN, "regimes": {"loads": [1e5]}}}, "env.workload.regimes.loads must be <= 1.2e+04, for"),
    ({"workload": PLAIN, "randomise": {"load": [1.0, 1e9]}}, "env.workload.regimes.loads must be <= 1.2e-05, for"),
    (
        {"workload": {**PLAIN, "rate_hz": 4e6, "regimes": ONE_REGIME, "retries": 0.75}},
        "env.workload.rate_hz must be <= 1e+06, for",
    ),
    ({"pool": {"failure_rate_hz": 1000.0}, "dt_s": 3600.0}, "env.pool.failure_rate_hz must be <= 34.72, for"),
    ({"pool": {"slowdown_rate_hz": 1000.0}, "dt_s": 3600.0}, "env.pool.slowdown_rate_hz must be <= 34.72, for"),
]


@pytest.mark.parametrize(("settings", "message"), ENDLESS)
def test_a_step_without_an_end_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=f"^{re.escape(message)}"):
        build(LoadBalancingConfig, settings, "env")


def test_the_most_that_is_allowed_ends() -> None:
    settings = {"workload": {**PLAIN, "rate_hz": 0.99 * MAX_EVENTS_PER_STEP / 0.25, "regimes": ONE_REGIME}}
    world = run(started(build(LoadBalancingConfig, settings)), 1)
    assert count(world, accounts.ARRIVED).sum() == pytest.approx(0.99 * MAX_EVENTS_PER_STEP, rel=0.01)
