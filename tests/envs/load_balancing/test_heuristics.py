"""The nine rules that balance without learning."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from envs.load_balancing.config import LoadBalancingConfig, ServerPool
from envs.load_balancing.kernel import accounts
from envs.load_balancing.rules import HEURISTICS, RUNS, Capacity, Equal, Telemetry, configured
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.pools import count, held, servers, started, steady

NAMES = ("wrr", "wcmp", "lsq", "sed", "leastconn", "power_of_two", "peak_ewma", "telemetry_wrr", "prequal")


def played(name: str, config: LoadBalancingConfig, n_steps: int, n_envs: int = 4, seed: int = 0) -> LoadBalancing:
    episode = RUNS[name](config, range(n_envs), seed, "evaluate")
    episode.run(n_steps // 2, last=False)
    episode.run(n_steps - n_steps // 2, last=True)
    return episode.world


def uneven(load: float, **pool: object) -> LoadBalancingConfig:
    return LoadBalancingConfig(
        pool=servers([4, 4, 2, 4], [2.0, 1.0, 1.0, 0.5], max_flows=256, **pool), workload=steady(load)
    )


def test_there_are_nine() -> None:
    assert sorted(HEURISTICS) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_heuristic_runs_conserves_and_uses_all_servers(name: str) -> None:
    pool = ServerPool(failure_rate_hz=0.01, repair_s=5.0, slowdown_rate_hz=0.02)
    world = played(name, LoadBalancingConfig(pool=pool), 400)
    arrived, completed, lost, rejected, on_time, late, in_flight = np.moveaxis(world.state.counts, -1, 0)
    assert np.array_equal(arrived, completed + lost + rejected + in_flight)
    assert np.array_equal(arrived, on_time + late)
    assert np.array_equal(in_flight.sum(-1), held(world).sum(-1))
    assert (world.state.answered.sum(0) > 0).all()
    assert (world.state.servers.weight > 0).all()
    assert world.state.n_starts.sum() == 0


def test_all_heuristics_see_the_same_requests() -> None:
    arrived = [count(played(name, uneven(0.6), 100), accounts.ARRIVED) for name in NAMES]
    assert all(np.array_equal(arrived[0], other) for other in arrived[1:])


@pytest.mark.parametrize("other", ["lsq", "wcmp", "power_of_two"])
def test_shortest_expected_delay_beats_rules_that_know_less_in_an_uneven_pool(other: str) -> None:
    latency = {name: played(name, uneven(0.7), 1200, n_envs=24).statistics()["latency_mean_ms"] for name in ("sed", other)}
    gain = latency[other] - latency["sed"]
    assert gain.mean() > 4 * gain.std(ddof=1) / np.sqrt(len(gain))


@pytest.mark.parametrize("name", ["sed", "leastconn", "power_of_two", "prequal", "peak_ewma"])
def test_rules_that_look_at_the_queues_beat_those_that_do_not(name: str) -> None:
    """In an even pool, where the weights of the latter are right."""
    config = LoadBalancingConfig(pool=servers([1] * 4, max_flows=512), workload=steady(0.85))
    latency = {key: played(key, config, 1600, n_envs=24).statistics()["latency_mean_ms"] for key in (name, "wcmp")}
    gain = latency["wcmp"] - latency[name]
    assert gain.mean() > 4 * gain.std(ddof=1) / np.sqrt(len(gain))


@pytest.mark.parametrize("name", ["peak_ewma", "prequal", "telemetry_wrr"])
def test_rules_that_measure_give_a_slow_server_less_than_a_fast_one(name: str) -> None:
    config = LoadBalancingConfig(pool=servers([4, 4], speed=[2.0, 0.5], max_flows=512), workload=steady(0.7))
    answered = played(name, config, 1600).state.answered.sum(0)
    assert answered[0] > 1.5 * answered[1]


def test_capacity_is_cores_times_speed_and_never_zero() -> None:
    world = started(LoadBalancingConfig(pool=servers([2, 3], speed=[1.5, 0.0])), 2)
    weights = Capacity()(world)
    assert weights[:, 0].tolist() == [3.0, 3.0]
    assert (weights[:, 1] > 0).all()
    assert (Equal()(world) == 1.0).all()


def test_configured_sets_the_rule_and_nothing_else() -> None:
    config = configured("prequal", uneven(0.5))
    assert config.dispatch.rule == "prequal"
    assert config.pool == uneven(0.5).pool
    assert config.workload == uneven(0.5).workload


def test_an_unknown_heuristic_is_refused() -> None:
    with pytest.raises(ValueError, match=r"heuristic must be one of wrr, .*prequal, got 'best'"):
        configured("best", LoadBalancingConfig())


# Weighted round robin from telemetry, on a hand-made world


class Reports:
    """What `Telemetry` reads of a world with three servers, one report a second."""

    def __init__(self, dt_s: float = 0.5) -> None:
        self.n_envs = 1
        self.config = LoadBalancingConfig(pool=servers([1, 1, 1]), dt_s=dt_s)
        self.utilisation = np.zeros((1, 3))
        counts = np.zeros((1, 2, len(accounts.CLASS_COUNTS)))
        present = SimpleNamespace(present=np.ones((1, 3), np.bool_))
        self.state = SimpleNamespace(answered=np.zeros((1, 3)), counts=counts, servers=present)
        self.telemetry = Telemetry(self)  # type: ignore[arg-type]
        self.steps_per_s = round(1 / dt_s)

    def weights(self) -> np.ndarray:
        return self.telemetry(self)[0]  # type: ignore[arg-type]

    def second(self, qps: list[float], utilisation: list[float], lost: float = 0.0) -> np.ndarray:
        """One second with these reports; the weights at its end."""
        for _ in range(self.steps_per_s):
            self.state.answered += np.array(qps) / self.steps_per_s
            self.state.counts[0, 0, accounts.LOST] += lost / self.steps_per_s
            self.utilisation = np.array([utilisation])
            weights = self.weights()
        return weights


def test_telemetry_weights_are_queries_over_utilisation() -> None:
    reports = Reports()
    reports.weights()
    for _ in range(12):
        weights = reports.second([10.0, 30.0, 8.0], [0.5, 0.5, 0.1])
    assert weights == pytest.approx([20.0, 60.0, 80.0])


def test_telemetry_weights_are_lowered_by_errors_per_query() -> None:
    reports = Reports()
    reports.weights()
    for _ in range(12):
        weights = reports.second([10.0, 20.0, 40.0], [0.5, 0.5, 0.5], lost=6.0)
    eps = 6.0 / 3
    assert weights == pytest.approx([qps / (0.5 + eps / qps) for qps in (10.0, 20.0, 40.0)])


def test_telemetry_weights_are_equal_until_the_blackout_is_over() -> None:
    reports = Reports()
    assert reports.weights().tolist() == [1.0, 1.0, 1.0]
    seen = [reports.second([10.0, 30.0, 8.0], [0.5, 0.5, 0.1]).tolist() for _ in range(12)]
    assert all(weights == [1.0, 1.0, 1.0] for weights in seen[:10])
    assert seen[11] == pytest.approx([20.0, 60.0, 80.0])


def test_a_server_without_reports_weighs_the_mean_of_the_others() -> None:
    reports = Reports()
    reports.weights()
    for _ in range(12):
        weights = reports.second([10.0, 30.0, 0.0], [0.5, 0.5, 0.0])
    assert weights == pytest.approx([20.0, 60.0, 40.0])


def test_a_report_stands_until_it_expires() -> None:
    reports = Reports()
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
