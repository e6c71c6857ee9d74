"""Requests that are sent to real servers are those that come in the simulator, to the bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import envs
from envs.core.rng import Role
from envs.core.validation import SettingError
from envs.load_balancing.config import (
    MMPP,
    ArrivalConfig,
    Diurnal,
    LoadBalancingConfig,
    Poisson,
    Randomisation,
    Regimes,
    Trace,
    Workload,
)
from envs.load_balancing.world import LoadBalancing
from runs.testbed import requests
from runs.testbed.requests import Schedule, ScheduleConfig, check_schedule, draw_schedule, time_of_day
from tests.envs.load_balancing.pools import everyone, run
from tests.envs.load_balancing.recordings import loops, written
from tests.runs.testbed.beds import pool_of

NOBODY_LEAVES = 1e-12
"""A speed at which whatever comes is still there at the end."""
SOURCES = [Poisson(), MMPP(burst_s=2.0, calm_s=3.0), Diurnal(period_s=20.0, batch_swing=-1.0), None]


def config_of(arrivals: ArrivalConfig, **fields: Any) -> LoadBalancingConfig:
    pool = pool_of([1], [NOBODY_LEAVES], max_flows=8192)
    regimes = Regimes(loads=[0.2, 0.6], interactive_shares=[0.9, 0.2], mean_dwell_s=3.0)
    return LoadBalancingConfig(pool=pool, workload=Workload(arrivals=arrivals, rate_hz=40.0, regimes=regimes), **fields)


def simulated(config: LoadBalancingConfig, seconds: float, seed: int, role: Role, env_id: int) -> Schedule:
    """What comes in the simulator, as its only server keeps it: slots are given in order of arrival."""
    world = LoadBalancing(config, [env_id], seed, role)
    world.reset_dynamics(everyone(world))
    run(world, round(seconds / config.dt_s))
    servers = world.state.servers
    n = int(servers.n_running[0, 0] + servers.n_waiting[0, 0])
    held = (servers.flow_arrival_s, servers.flow_lane, servers.flow_work_s)
    return Schedule(*(values[0, 0, :n].copy() for values in held))


def same(a: Schedule, b: Schedule) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.fixture(params=SOURCES, ids=lambda source: "trace" if source is None else source.source)
def arrivals(request: pytest.FixtureRequest, tmp_path: Path) -> ArrivalConfig:
    """Every source; the recording is shorter than the load, so it is replayed in a loop."""
    recorded = Trace(path=str(written(tmp_path, loops(1200))))
    source: ArrivalConfig = recorded if request.param is None else request.param
    return source


@pytest.mark.parametrize(("seed", "role", "env_id"), [(0, "evaluate", 0), (3, "train", 7)])
def test_requests_are_those_of_the_simulator(arrivals: ArrivalConfig, seed: int, role: Role, env_id: int) -> None:
    config = config_of(arrivals)
    drawn = draw_schedule(config, ScheduleConfig(60.0, seed, role, env_id))
    assert drawn.n > 500
    assert set(drawn.flow_class) == {0, 1}
    assert same(drawn, simulated(config, 60.0, seed, role, env_id))
    check_schedule(drawn)


def test_a_drawn_world_has_its_own_requests_in_both() -> None:
    drawn = Randomisation(interactive_share=[-0.2, 0.2], work=[0.5, 2.0])
    config = config_of(Poisson(), randomise=drawn)
    mine = draw_schedule(config, ScheduleConfig(20.0))
    assert same(mine, simulated(config, 20.0, 0, "evaluate", 0))
    assert not same(mine, draw_schedule(replace(config, randomise=Randomisation()), ScheduleConfig(20.0)))


def test_a_longer_load_begins_with_the_shorter_one(monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(Diurnal(period_s=20.0))
    long = draw_schedule(config, ScheduleConfig(30.0))
    monkeypatch.setattr(requests, "N_AT_ONCE", 7)
    assert same(long, draw_schedule(config, ScheduleConfig(30.0)))
    short = draw_schedule(config, ScheduleConfig(10.0))
    assert same(short, long.first(short.n))
    assert short.last_s <= 10.0 < long.time_s[short.n]


def test_too_many_requests_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_REQUESTS", 100)
    with pytest.raises(SettingError, match=r"seconds must be such that at most 100 requests come, got 60"):
        draw_schedule(config_of(Poisson()), ScheduleConfig(60.0))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"seconds": 0.0}, "seconds must be > 0"),
        ({"seconds": float("nan")}, "seconds must be > 0"),
        ({"seconds": 1e9}, "<= 3600"),
        ({"seed": -1}, "seed must be >= 0"),
        ({"role": "test"}, "role must be one of train, select, evaluate"),
        ({"env_id": -1}, "env_id must be >= 0"),
    ],
)
def test_a_load_that_is_none_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        ScheduleConfig(**fields)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (([0.0, 1.0], [0], [1.0, 1.0]), "schedule must be arrays of one length"),
        (([1.0, 0.5], [0, 0], [1.0, 1.0]), r"schedule.time_s\[1\] must be finite and ascending from 0, got 0.5"),
        (([-1.0, 0.5], [0, 0], [1.0, 1.0]), r"schedule.time_s\[0\]"),
        (([0.0, np.inf], [0, 0], [1.0, 1.0]), r"schedule.time_s\[1\]"),
        (([0.0, 0.5], [0, 2], [1.0, 1.0]), r"schedule.flow_class\[1\] must be from 0 to 1, got 2"),
        (([0.0, 0.5], [0, 0], [np.nan, 1.0]), r"schedule.work_s\[0\] must be finite and >= 0, got nan"),
    ],
)
def test_a_schedule_that_can_not_be_sent_is_refused(values: tuple[list[Any], ...], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        check_schedule(Schedule(*map(np.array, values)))


def test_the_time_of_day_is_that_of_the_simulator() -> None:
    config = LoadBalancingConfig()
    simulation = envs.simulate(config, 3, 7, "evaluate")
    simulation.reset()
    seen = [time_of_day(config, ScheduleConfig(seed=7, env_id=env_id)) for env_id in range(3)]
    assert len(set(seen)) == 3
    simulation.advance(np.ones((3, 2, 4)))
    day_s = config.workload.arrivals.period_s  # type: ignore[attr-defined]
    np.testing.assert_allclose(simulation.measurements.time_of_day, (np.array(seen) + config.dt_s / day_s) % 1.0)
