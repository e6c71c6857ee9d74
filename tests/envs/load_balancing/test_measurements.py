"""Measurements that nobody simulated, such as a real balancer's, are all that a world's functions and its weighting need."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import envs
from envs.core.histogram import N_BINS
from envs.load_balancing.config import CLASSES, LoadBalancingConfig, Telemetry
from envs.load_balancing.kernel.accounts import ARRIVED, CLASS_COUNTS, CLASS_TIMES, IN_FLIGHT, STEP_SUMS, Step
from envs.load_balancing.kernel.recent import SPANS_S
from envs.load_balancing.kernel.reservoir import FEATURES
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.objectives import Budget
from envs.load_balancing.observation import feature_names, shared_names
from envs.load_balancing.rules import RULES
from tests.envs.load_balancing.numbers import numbers_of
from tests.envs.load_balancing.pools import servers

CONFIG = LoadBalancingConfig(pool=servers([4, 2], [1.0, 2.0], [3.0, 1.0]), telemetry=Telemetry(ground_truth=True), dt_s=1.0)
ALL = np.ones(1, np.bool_)


def measured() -> Measurements:
    """A second in which ten requests came, six of them are in flight on the first server, and the second is down."""
    features = np.zeros((1, 2, len(FEATURES)), np.float32)
    features[0, 0, [FEATURES.index("n_flow_on"), FEATURES.index("fct_mean")]] = 6.0, 0.3
    counts = np.zeros((1, len(CLASSES), len(CLASS_COUNTS)), np.int64)
    counts[0, 0, [ARRIVED, IN_FLIGHT]] = 10, 6
    sums = dict.fromkeys(STEP_SUMS, 0.0) | {"steps": 1.0, "arrived_squared": 100.0, "cost_usd": 0.001, "servers_on": 1.0}
    return Measurements(
        present=np.ones((1, 2), np.bool_),
        known_down=np.array([[False, True]]),
        cores=np.array([[4, 2]]),
        capacity=np.array([[4.0, 4.0]]),
        price_usd_per_h=np.array([[3.0, 1.0]]),
        utilisation=np.array([[0.75, 0.0]]),
        answered=np.array([[4, 0]]),
        features=features,
        reports=features,
        n_flows=np.array([[[4, 0], [2, 0]]]),
        since_switch_s=np.array([[5.0, 0.0]]),
        still_billed_s=np.array([[0.0, 55.0]]),
        arrived_hz=np.full((1, len(CLASSES), len(SPANS_S)), 10.0),
        latency_s=np.full((1, len(CLASSES), len(SPANS_S)), 0.3),
        unanswered_hz=np.zeros((1, len(CLASSES), len(SPANS_S))),
        time_of_day=np.array([0.25]),
        deadline_s=np.array([[0.5, 2.0]]),
        counts=counts,
        times=np.zeros((1, len(CLASSES), len(CLASS_TIMES))),
        histogram=np.zeros((1, len(CLASSES), N_BINS), np.int64),
        sums=np.array([list(sums.values())]),
        n_starts=np.zeros(1, np.int64),
        step=Step(
            flow_seconds=np.array([[5.0, 0.0]]),
            unanswered=np.zeros((1, 2)),
            late=np.zeros((1, 2)),
            arrived=np.array([10.0]),
            arrivals_per_step=np.array([10.0]),
            all_arrived_squared=np.array([100.0]),
            utilisation=np.array([[0.75, 0.0]]),
            cost_usd=np.array([0.001]),
        ),
    )


def test_an_agent_can_act_on_measurements_that_nobody_simulated() -> None:
    world = envs.make(CONFIG, 1).world
    world.actuator.reset(measured(), ALL)
    weights, projected = world.actuator.apply(np.array([[2, 3, 4, 0]]), measured(), ALL)
    assert weights.tolist() == [[[0.25 * 4.0, 1.0 * 4.0], [0.5 * 4.0, 0.0]]]
    assert projected.tolist() == [False]
    names, (observation,) = feature_names(CONFIG), world.observation_function.extract(measured(), ALL)
    rows, of_all = observation[: 2 * len(names)].reshape(2, -1), observation[2 * len(names) :]
    first, second = (dict(zip(names, row.tolist(), strict=True)) for row in rows)
    shared = dict(zip(shared_names(CONFIG), of_all.tolist(), strict=True))
    assert first["n_flow_on"] == pytest.approx(np.log1p(6.0))
    assert first["fct_mean"] == pytest.approx(np.log1p(3.0))
    assert (first["utilisation"], first["active"], second["active"]) == (0.75, 1.0, 0.0)
    assert (first["weight_interactive"], second["weight_interactive"]) == (0.25, 1.0)
    assert (first["weight_batch"], second["weight_batch"]) == (0.5, 0.0)
    assert (first["n_flow_on_interactive"], first["n_flow_on_batch"]) == pytest.approx((np.log1p(4), np.log1p(2)))
    assert (first["since_switch"], second["still_billed"]) == pytest.approx((np.log1p(1.0), np.log1p(11.0)))
    assert shared["arrived_batch_30s"] == pytest.approx(np.log1p(1.0))
    assert shared["latency_interactive_1s"] == pytest.approx(np.log1p(3.0))
    assert (shared["day_sin"], shared["day_cos"]) == pytest.approx((1.0, 0.0), abs=1e-6)


def test_the_last_server_that_is_up_keeps_a_weight_whatever_is_asked() -> None:
    world = envs.make(CONFIG, 1).world
    world.actuator.reset(measured(), ALL)
    weights, projected = world.actuator.apply(np.array([[0, 3, 4, 0]]), measured(), ALL)
    assert (weights > 0).tolist() == [[[True, True], [True, False]]]
    assert projected.tolist() == [True]


def test_terms_and_statistics_are_made_of_measurements_that_nobody_simulated() -> None:
    world = envs.make(CONFIG, 1).world
    terms = {name: float(term.extract(measured(), ALL)[0]) for name, term in world.reward_terms.items()}  # type: ignore[union-attr]
    assert terms["cost"] == pytest.approx(0.001 * 3600 / 4.0)
    assert terms["latency"] == pytest.approx(np.log1p(4 * 1.0) / np.log1p(80.0))
    assert terms["fairness"] == 0.0
    figures = world.statistics.since(measured())
    assert figures["arrival_rate_hz"].tolist() == [10.0]
    assert figures["cost_usd_per_h"] == pytest.approx([3.6])
    assert figures["in_flight_interactive"].tolist() == [6.0]
    assert np.isfinite(world.statistics.observed(figures)).all()


@pytest.mark.parametrize("name", RULES)
def test_every_rule_decides_from_measurements_that_nobody_simulated(name: str) -> None:
    rule = RULES[name]
    config = rule.configured(replace(CONFIG, objective=Budget()))
    controller = rule.start(config, 1, [numbers_of(rule, config)] if rule.has_numbers else ())
    for _ in range(30):
        weights = controller.decide(measured())
        assert weights.shape == (1, config.n_backends, 2)
        assert (weights > 0).any(-1).all()
