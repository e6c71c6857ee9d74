"""The default world is as it is told, held-out worlds differ in what they say, scenarios know one kind of request."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import envs
from envs.load_balancing.actions import nominal_action
from envs.load_balancing.config import LoadBalancingConfig, Regimes, Workload
from envs.load_balancing.stories import HELD_OUT, SCENARIOS, on_trace

DEFAULT = LoadBalancingConfig()
CHANGES = {
    "other_pool": {"pool.cores", "pool.speed", "pool.price_usd_per_h"},
    "other_levels": {"workload.regimes.loads", "workload.regimes.interactive_shares"},
    "short_dwell": {"workload.regimes.mean_dwell_s"},
}


BURSTS = {f"workload.arrivals.{name}" for name in ("source", "burst_factor", "burst_s", "calm_s")}


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in tree.items():
        out |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return out


def changes(one: LoadBalancingConfig, other: LoadBalancingConfig) -> set[str]:
    """The settings in which two worlds differ."""
    ours, theirs = flat(asdict(one)), flat(asdict(other))
    return {name for name in ours | theirs if ours.get(name) != theirs.get(name)}


# The default world.


def test_only_monitors_are_worth_the_fast_server() -> None:
    pool, workload = DEFAULT.pool, DEFAULT.workload
    price = np.array(pool.price_usd_per_h) / pool.capacity
    monitors, meters = (3600 * one.value_usd / one.mean_work_s for one in workload.classes)
    assert meters < price[0] < monitors
    assert price[2:].max() < meters
    assert pool.capacity[0] == pool.capacity.sum() / 2


def test_losing_a_request_costs_twice_what_an_answer_is_worth_and_more_than_being_late() -> None:
    for one in DEFAULT.workload.classes:
        assert one.loss_usd == pytest.approx(2.0 * one.value_usd)
        assert one.loss_usd > one.penalty_usd


# Held-out worlds.


@pytest.mark.parametrize(
    "base", [DEFAULT, replace(DEFAULT, dt_s=0.5, workload=Workload(regimes=Regimes(mean_dwell_s=10.0)))]
)
@pytest.mark.parametrize("name", HELD_OUT)
def test_a_held_out_world_differs_in_what_it_says_and_nothing_else(name: str, base: LoadBalancingConfig) -> None:
    assert changes(base, HELD_OUT[name](base)) == CHANGES[name]


def test_another_pool_has_the_same_order_of_cost_per_capacity() -> None:
    def cost(config: LoadBalancingConfig) -> np.ndarray:
        return np.array(config.pool.price_usd_per_h) / config.pool.capacity

    before, after = cost(DEFAULT), cost(HELD_OUT["other_pool"](DEFAULT))
    assert len(before) == len(after)
    assert (np.diff(before)[1:] <= 0).all()
    assert (np.diff(after) < 0).all()


def test_other_levels_lie_between_those_that_were_trained_on() -> None:
    ours, theirs = DEFAULT.workload.regimes, HELD_OUT["other_levels"](DEFAULT).workload.regimes
    for name in ("loads", "interactive_shares"):
        trained, held_out = getattr(ours, name), getattr(theirs, name)
        assert all(min(trained) < value < max(trained) for value in held_out)
        assert not set(trained) & set(held_out)


def test_a_short_dwell_is_a_quarter_of_the_one_trained_on() -> None:
    assert HELD_OUT["short_dwell"](DEFAULT).workload.regimes.mean_dwell_s == DEFAULT.workload.regimes.mean_dwell_s / 4


@pytest.mark.parametrize("name", HELD_OUT)
def test_an_agent_of_the_default_world_fits_every_held_out_one(name: str) -> None:
    ours, theirs = envs.make(DEFAULT, 1), envs.make(HELD_OUT[name](DEFAULT), 1)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space


# Scenarios.


@pytest.fixture(params=[*SCENARIOS, "trace"])
def scenario(request: pytest.FixtureRequest, tmp_path: Path) -> LoadBalancingConfig:
    if request.param != "trace":
        return SCENARIOS[request.param]
    path = tmp_path / "counts.txt"
    path.write_text("\n".join(["20"] * 200) + "\n", encoding="utf-8")
    return on_trace(str(path))


def test_a_scenario_has_one_kind_of_request_and_one_load(scenario: LoadBalancingConfig) -> None:
    workload = scenario.workload
    assert workload.interactive == workload.batch
    assert workload.regimes.n_regimes == 1


def test_a_scenario_is_a_world_that_runs(scenario: LoadBalancingConfig) -> None:
    batch = envs.make(replace(scenario, episode_steps=40), 2)
    batch.reset()
    for _ in range(40):
        _, reward, *_ = batch.step(np.tile(nominal_action(scenario), (2, 1)))
        assert np.isfinite(reward).all()
    figures = batch.simulation.statistics()
    assert (figures["arrival_rate_hz"] > 0).all()
    assert (figures["throughput_hz"] > 0).all()


def test_scenarios_differ_in_their_load_and_what_their_name_says() -> None:
    steady = SCENARIOS["steady_unequal"]
    load = "workload.regimes.loads"
    assert changes(steady, SCENARIOS["drift"]) == {"pool.slowdown_rate_hz", load}
    assert changes(steady, SCENARIOS["failures"]) == {"pool.failure_rate_hz", "pool.repair_s", load}
    assert changes(steady, SCENARIOS["bursts"]) == {*BURSTS, load}
    of_servers = {"pool.cores", "pool.speed", "pool.price_usd_per_h", "pool.memory_gb"}
    assert changes(steady, SCENARIOS["steady_equal"]) == of_servers


def test_equal_servers_are_equal_and_unequal_ones_are_not() -> None:
    equal, unequal = SCENARIOS["steady_equal"].pool, SCENARIOS["steady_unequal"].pool
    for name in ("cores", "speed", "price_usd_per_h", "memory_gb"):
        assert len(set(getattr(equal, name))) == 1
    assert len(set(unequal.capacity)) > 1
    assert equal.capacity.sum() == unequal.capacity.sum()
