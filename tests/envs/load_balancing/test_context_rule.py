"""The hand-written rule: latency-first exactly where a class misses its deadline, cost-first elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.load_balancing.config import LoadBalancingConfig, Regimes, Workload, WorkloadClass
from envs.load_balancing.rewards import TERMS
from envs.load_balancing.world import LoadBalancing, urgency_rule
from tests.envs.load_balancing.pools import PROPERTY, figures_of, run, servers, started, steady

TERM_NAMES = tuple(TERMS)
LATENCY_FIRST, COST_FIRST = [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]
DEADLINES_MS = (200.0, 5000.0)


def world_of(n_envs: int) -> LoadBalancing:
    """Two classes with deadlines far apart."""
    interactive, batch = (
        WorkloadClass(mean_work_s=0.1, deadline_s=ms / 1e3, value_usd=1.0, penalty_usd=1.0) for ms in DEADLINES_MS
    )
    regimes = Regimes(loads=[0.5], interactive_shares=[0.5])
    workload = Workload(regimes=regimes, interactive=interactive, batch=batch)
    return started(LoadBalancingConfig(pool=servers([2, 1]), workload=workload), n_envs)


WORLD = world_of(1)


@PROPERTY
@given(st.floats(0.0, 2.0), st.floats(0.0, 2.0))
def test_latency_comes_first_exactly_where_a_class_misses_its_deadline(interactive: float, batch: float) -> None:
    p95_ms = [share * deadline for share, deadline in zip((interactive, batch), DEADLINES_MS, strict=True)]
    measured = {f"latency_p95_ms_{name}": np.array([ms]) for name, ms in zip(("interactive", "batch"), p95_ms, strict=True)}
    missed = any(ms > deadline for ms, deadline in zip(p95_ms, DEADLINES_MS, strict=True))
    assert urgency_rule(WORLD.measurements, measured, TERM_NAMES).tolist() == [LATENCY_FIRST if missed else COST_FIRST]


@pytest.mark.parametrize(
    ("interactive", "batch", "expected"),
    [(199.0, 4999.0, COST_FIRST), (201.0, 0.0, LATENCY_FIRST), (0.0, 5001.0, LATENCY_FIRST), (0.0, 0.0, COST_FIRST)],
)
def test_either_class_is_held_against_its_own_deadline(interactive: float, batch: float, expected: list[float]) -> None:
    measured = {"latency_p95_ms_interactive": np.array([interactive]), "latency_p95_ms_batch": np.array([batch])}
    assert urgency_rule(WORLD.measurements, measured, TERM_NAMES).tolist() == [expected]


def test_envs_are_judged_one_by_one() -> None:
    measured = {
        "latency_p95_ms_interactive": np.array([100.0, 300.0, 100.0]),
        "latency_p95_ms_batch": np.array([100.0, 100.0, 9000.0]),
    }
    assert urgency_rule(world_of(3).measurements, measured, TERM_NAMES).tolist() == [
        COST_FIRST,
        LATENCY_FIRST,
        LATENCY_FIRST,
    ]


@pytest.mark.parametrize(("load", "expected"), [(0.0, COST_FIRST), (5.0, LATENCY_FIRST)])
def test_the_rule_goes_by_what_a_window_measures(load: float, expected: list[float]) -> None:
    world = started(LoadBalancingConfig(pool=servers([2, 1]), workload=steady(load, deadline_s=2.0)), 2)
    run(world, 80)
    assert urgency_rule(world.measurements, figures_of(world), TERM_NAMES).tolist() == [expected] * 2
