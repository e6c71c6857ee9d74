"""The nine rules that balance without learning."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import envs
from envs.load_balancing.config import LoadBalancingConfig, ServerPool
from envs.load_balancing.kernel import accounts
from envs.load_balancing.rules import RULES
from envs.load_balancing.rules.balancing import BALANCING, Capacity, Equal, LoadReports
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.pools import copied, count, figures_of, held, servers, started, steady

NAMES = ("wrr", "wcmp", "lsq", "sed", "leastconn", "power_of_two", "peak_ewma", "telemetry_wrr", "prequal")


def played(name: str, config: LoadBalancingConfig, n_steps: int, n_envs: int = 4, seed: int = 0) -> LoadBalancing:
    """The world at the end of an episode of `n_steps` under a rule."""
    configured = RULES[name].configured(replace(config, episode_steps=n_steps))
    simulation = envs.simulate(configured, n_envs, seed, "evaluate")
    simulation.reset()
    controller = RULES[name].start(configured, n_envs)
    while not simulation.ended.all():
        simulation.advance(controller.decide(simulation.measurements))
    world = simulation.dynamics
    assert isinstance(world, LoadBalancing)
    return world


def uneven(load: float, **pool: object) -> LoadBalancingConfig:
    return LoadBalancingConfig(
        pool=servers([4, 4, 2, 4], [2.0, 1.0, 1.0, 0.5], max_flows=256, **pool), workload=steady(load)
    )


def test_there_are_nine() -> None:
    assert sorted(BALANCING) == sorted(NAMES)
    assert BALANCING.items() <= envs.rules(LoadBalancingConfig()).items()


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_runs_conserves_and_uses_all_servers(name: str) -> None:
    pool = ServerPool(max_flows=64, failure_rate_hz=0.01, repair_s=5.0, slowdown_rate_hz=0.02)
    world = played(name, LoadBalancingConfig(pool=pool), 400)
    arrived, completed, lost, rejected, on_time, late, in_flight, _ = np.moveaxis(world.state.counts, -1, 0)
    assert np.array_equal(arrived, completed + lost + rejected + in_flight)
    assert np.array_equal(arrived, on_time + late)
    assert np.array_equal(in_flight.sum(-1), held(world).sum(-1))
    assert (world.state.answered.sum(0) > 0).all()
    assert (world.state.servers.weight > 0).all()
    assert world.state.n_starts.sum() == 0


def test_all_rules_meet_the_same_requests() -> None:
    arrived = [count(played(name, uneven(0.6), 100), accounts.ARRIVED) for name in NAMES]
    assert all(np.array_equal(arrived[0], other) for other in arrived[1:])


@pytest.mark.parametrize("other", ["lsq", "wcmp", "power_of_two"])
def test_shortest_expected_delay_beats_rules_that_know_less_in_an_uneven_pool(other: str) -> None:
    latency = {name: figures_of(played(name, uneven(0.7), 1200, n_envs=24))["latency_mean_ms"] for name in ("sed", other)}
    gain = latency[other] - latency["sed"]
    assert gain.mean() > 4 * gain.std(ddof=1) / np.sqrt(len(gain))


@pytest.mark.parametrize("name", ["sed", "leastconn", "power_of_two", "prequal", "peak_ewma"])
def test_rules_that_look_at_the_queues_beat_those_that_do_not(name: str) -> None:
    """In an even pool, where the weights of the latter are right."""
    config = LoadBalancingConfig(pool=servers([1] * 4, max_flows=512), workload=steady(0.85))
    latency = {key: figures_of(played(key, config, 1600, n_envs=24))["latency_mean_ms"] for key in (name, "wcmp")}
    gain = latency["wcmp"] - latency[name]
    assert gain.mean() > 4 * gain.std(ddof=1) / np.sqrt(len(gain))


@pytest.mark.parametrize("name", ["peak_ewma", "prequal", "telemetry_wrr"])
def test_rules_that_measure_give_a_slow_server_less_than_a_fast_one(name: str) -> None:
    config = LoadBalancingConfig(pool=servers([4, 4], speed=[2.0, 0.5], max_flows=512), workload=steady(0.7))
    answered = played(name, config, 1600).state.answered.sum(0)
    assert answered[0] > 1.5 * answered[1]


def test_capacity_is_cores_times_speed_and_never_zero() -> None:
    config = LoadBalancingConfig(pool=servers([2, 3], speed=[1.5, 0.0]))
    measurements = started(config, 2).measurements
    weights = Capacity(config, 2).decide(measurements)
    assert weights.shape == (2, 1, 2)
    assert weights[:, 0, 0].tolist() == [3.0, 3.0]
    assert (weights[:, 0, 1] > 0).all()
    assert (Equal(config, 2).decide(measurements) == 1.0).all()


def test_configured_sets_the_rule_and_one_backend_without_samples() -> None:
    config = RULES["prequal"].configured(uneven(0.5))
    assert config.dispatch.rule == "prequal"
    assert config.backends == "joint"
    assert not config.telemetry.samples
    assert config.pool == uneven(0.5).pool
    assert config.workload == uneven(0.5).workload


def test_a_rule_starts_anew_every_time() -> None:
    config = uneven(0.5)
    rule, measurements = RULES["telemetry_wrr"], started(config).measurements
    first = rule.start(config, 1)
    for _ in range(200):
        weights = first.decide(measurements)
    assert np.array_equal(rule.start(config, 1).decide(measurements), np.ones_like(weights))


# Weighted round robin from telemetry, on a hand-made world


class Reporting:
    """Three servers that report once a second, and the rule that weighs them."""

    def __init__(self, dt_s: float = 0.5) -> None:
        config = LoadBalancingConfig(pool=servers([1, 1, 1]), dt_s=dt_s)
        self.measurements = copied(started(config).measurements)
        self.rule = LoadReports(config, 1)
        self.steps_per_s = round(1 / dt_s)
        self.answered, self.lost = np.zeros(3), 0.0

    def weights(self) -> np.ndarray:
        return self.rule.decide(self.measurements)[0, 0]

    def second(self, qps: list[float], utilisation: list[float], lost: float = 0.0) -> np.ndarray:
        """One second with these reports; the weights at its end."""
        for _ in range(self.steps_per_s):
            self.answered += np.array(qps) / self.steps_per_s
            self.lost += lost / self.steps_per_s
            self.measurements.answered[0] = self.answered
            self.measurements.counts[0, 0, accounts.LOST] = self.lost
            self.measurements.utilisation[0] = utilisation
            weights = self.weights()
        return weights


def test_telemetry_weights_are_queries_over_utilisation() -> None:
    reports = Reporting()
    reports.weights()
    for _ in range(12):
        weights = reports.second([10.0, 30.0, 8.0], [0.5, 0.5, 0.1])
    assert weights == pytest.approx([20.0, 60.0, 80.0])


def test_telemetry_weights_are_lowered_by_errors_per_query() -> None:
    reports = Reporting()
    reports.weights()
    for _ in range(12):
        weights = reports.second([10.0, 20.0, 40.0], [0.5, 0.5, 0.5], lost=6.0)
    eps = 6.0 / 3
    assert weights == pytest.approx([qps / (0.5 + eps / qps) for qps in (10.0, 20.0, 40.0)])


def test_telemetry_weights_are_equal_until_the_blackout_is_over() -> None:
    reports = Reporting()
    assert reports.weights().tolist() == [1.0, 1.0, 1.0]
    seen = [reports.second([10.0, 30.0, 8.0], [0.5, 0.5, 0.1]).tolist() for _ in range(12)]
    assert all(weights == [1.0, 1.0, 1.0] for weights in seen[:10])
    assert seen[11] == pytest.approx([20.0, 60.0, 80.0])


def test_a_server_without_reports_weighs_the_mean_of_the_others() -> None:
    reports = Reporting()
    reports.weights()
    for _ in range(12):
        weights = reports.second([10.0, 30.0, 0.0], [0.5, 0.5, 0.0])
    assert weights == pytest.approx([20.0, 60.0, 40.0])


def test_a_report_stands_until_it_expires() -> None:
    reports = Reporting()
    reports.weights()
    for _ in range(12):
        reports.second([10.0, 30.0, 8.0], [0.5, 0.5, 0.1])
    for _ in range(170):
        weights = reports.second([10.0, 30.0, 0.0], [0.5, 0.5, 0.0])
    assert weights == pytest.approx([20.0, 60.0, 80.0])
    for _ in range(15):
        weights = reports.second([10.0, 30.0, 0.0], [0.5, 0.5, 0.0])
    assert weights == pytest.approx([20.0, 60.0, 40.0])
    for _ in range(5):
        weights = reports.second([10.0, 30.0, 8.0], [0.5, 0.5, 0.1])
    assert weights == pytest.approx([20.0, 60.0, 40.0])
