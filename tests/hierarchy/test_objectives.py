"""Objectives by hand, and that nothing is gained by letting flows wait."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose

import envs
from envs.core.reports import Reports
from envs.load_balancing.config import LoadBalancingConfig
from hierarchy.config import ExperimentConfig
from hierarchy.objectives import OBJECTIVES, objective
from hierarchy.upper.td3 import TD3Config

FloatArray = np.ndarray


def paid(name: str, **statistics: float) -> float:
    """The objective of one env with these statistics, under the default prices."""
    settings = TD3Config(objective=name, slo_ms=500.0, slo_price_usd_per_h=5.0)
    return float(objective({key: np.array([value]) for key, value in statistics.items()}, settings, Reports())[0])


def test_profit_is_what_was_earned_less_what_was_owed_per_hour() -> None:
    earned = paid("profit", revenue_usd=3.0, penalty_usd=0.5, server_cost_usd=1.0, duration_h=0.5)
    assert earned == pytest.approx(3.0)


def test_profit_of_no_time_is_finite() -> None:
    assert paid("profit", revenue_usd=0.0, penalty_usd=0.0, server_cost_usd=0.0, duration_h=0.0) == 0.0


@pytest.mark.parametrize(("waiting_ms", "cost", "expected"), [(0.0, 0.0, 1000.0), (99.0, 2.0, 9.8), (999.0, 10.0, 0.0)])
def test_satisfaction_falls_with_waiting_and_cost(waiting_ms: float, cost: float, expected: float) -> None:
    assert paid("satisfaction", waiting_mean_ms=waiting_ms, cost_usd_per_h=cost) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("p95_ms", "waiting_ms", "expected"),
    [(400.0, 100.0, -2.0), (500.0, 500.0, -2.0), (750.0, 100.0, -4.5), (100.0, 1000.0, -7.0)],
)
def test_slo_is_cost_and_a_price_for_what_exceeds_the_bound(p95_ms: float, waiting_ms: float, expected: float) -> None:
    assert paid("slo", latency_p95_ms=p95_ms, waiting_mean_ms=waiting_ms, cost_usd_per_h=2.0) == pytest.approx(expected)


def test_envs_are_paid_one_by_one() -> None:
    statistics = {"waiting_mean_ms": np.array([9.0, 99.0]), "cost_usd_per_h": np.array([0.0, 10.0])}
    assert_allclose(objective(statistics, TD3Config(objective="satisfaction"), Reports()), [100.0, 9.0])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_statistic_that_the_world_lacks_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=rf"upper\.objective.*unrelated.*'{name}'"):
        paid(name, unrelated=1.0)


def test_the_world_s_own_objective_is_paid_unless_another_one_is_named() -> None:
    statistics = {"waiting_mean_ms": np.array([9.0]), "cost_usd_per_h": np.array([0.0])}
    world = Reports()
    world.objective = "satisfaction"
    assert objective(statistics, TD3Config(), world) == [100.0]
    world.objective = lambda found: -found["waiting_mean_ms"]
    assert objective(statistics, TD3Config(), world) == [-9.0]
    assert objective(statistics, TD3Config(objective="satisfaction"), world) == [100.0]


def served_at(config: LoadBalancingConfig, speed: float, n_steps: int = 40) -> dict[str, FloatArray]:
    """Statistics in the midst of an episode, all servers on; arrivals do not depend on the speed."""
    workload = dataclasses.replace(config.workload, rate_hz=4.0)
    pool = dataclasses.replace(config.pool, speed=[speed] * config.pool.n_servers)
    batch = envs.make(dataclasses.replace(config, pool=pool, workload=workload, episode_steps=1000), 2, 3)
    batch.reset()
    for _ in range(n_steps):
        batch.step(np.full((2, config.pool.n_servers), 3))
    return batch.reports.statistics()


def test_flows_that_are_never_answered_are_no_gain(tiny_config: ExperimentConfig) -> None:
    served, hoarded = served_at(tiny_config.env, 1.0), served_at(tiny_config.env, 1e-6)
    assert_allclose(hoarded["arrival_rate_hz"], served["arrival_rate_hz"])
    assert not hoarded["throughput_hz"].any(), "the slow pool must answer nothing for this to be a test"
    assert (hoarded["waiting_mean_ms"] > 2 * served["waiting_mean_ms"]).all()
    for name in OBJECTIVES:
        settings = TD3Config(objective=name)
        assert (objective(hoarded, settings, Reports()) < objective(served, settings, Reports())).all(), name
