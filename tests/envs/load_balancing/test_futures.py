"""Futures of one past: the past is kept to the bit, what comes is drawn anew, and distributed as it would have been."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import envs
from envs.core.futures import branch
from envs.core.simulation import Simulation
from envs.core.state import flatten
from envs.load_balancing.config import (
    MMPP,
    ArrivalConfig,
    Diurnal,
    LoadBalancingConfig,
    Poisson,
    Regimes,
    Telemetry,
    Trace,
    Workload,
)
from envs.load_balancing.kernel import accounts
from envs.load_balancing.kernel.accounts import Step
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.pools import everyone, same_bits, same_weights, servers
from tests.envs.load_balancing.recordings import loops, written

N_FUTURES = 2000
DWELL_S, N_STAGES = 30.0, 3
SOURCES: dict[str, ArrivalConfig] = {
    "poisson": Poisson(),
    "mmpp": MMPP(burst_s=3.0, calm_s=6.0),
    "diurnal": Diurnal(period_s=40.0, amplitude=0.8, batch_swing=-1.0),
}


def config_of(arrivals: ArrivalConfig, **fields: Any) -> LoadBalancingConfig:
    """Small queues, faults and retries, and telemetry that has luck of its own."""
    pool = servers([2, 1], max_flows=3, failure_rate_hz=0.02, repair_s=5.0, slowdown_rate_hz=0.05, slowdown_s=4.0)
    regimes = Regimes(loads=[0.4, 0.9], interactive_shares=[0.7, 0.2], mean_dwell_s=DWELL_S, n_stages=N_STAGES)
    workload = Workload(arrivals=arrivals, regimes=regimes, retries=0.5, retry_pause_s=2.0)
    telemetry = Telemetry(noise=0.1, loss=0.1)
    return LoadBalancingConfig(pool=pool, workload=workload, telemetry=telemetry, dt_s=0.5, **fields)


@pytest.fixture(params=[*SOURCES, "trace"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> LoadBalancingConfig:
    if request.param != "trace":
        return config_of(SOURCES[request.param])
    return config_of(Trace(path=str(written(tmp_path, loops(2000)))))


def world_of(simulation: Simulation) -> LoadBalancing:
    world = simulation.dynamics
    assert isinstance(world, LoadBalancing)
    return world


def weights_of(simulation: Simulation, step: int, seed: int = 0) -> np.ndarray:
    shape = same_weights(world_of(simulation)).shape
    return np.random.default_rng([seed, step]).choice([0.0, 1.0, 1.0, 2.0], shape)


def played(config: LoadBalancingConfig, n_envs: int = 3, n_steps: int = 40) -> Simulation:
    """A batch in the middle of its episode."""
    simulation = envs.simulate(config, n_envs, 5)
    simulation.reset()
    for step in range(n_steps):
        simulation.advance(weights_of(simulation, step))
    return simulation


def futures_of(simulation: Simulation, rows: Any, names: Any, seed: int = 9) -> Simulation:
    config = world_of(simulation).config
    into = envs.simulate(config, len(rows), 77)
    branch(simulation, into, np.asarray(rows), list(names), seed)
    return into


def measured(measurements: Measurements) -> dict[str, np.ndarray]:
    """All that can be measured, by name."""
    arrays = measurements._asdict()
    step: Step = arrays.pop("step")
    return arrays | {f"step/{name}": part for name, part in step._asdict().items()}


def assert_measured_alike(one: Simulation, rows: Any, other: Simulation) -> None:
    here, there = measured(one.measurements), measured(other.measurements)
    for name in here:
        assert np.array_equal(here[name][rows], there[name]), name


def goes_on(simulation: Simulation, n_steps: int, seed: int) -> np.ndarray:
    """Fresh requests of each class by step ``(n_steps, n_envs, n_classes)``, under weights by a seed."""
    seen = []
    for step in range(n_steps):
        simulation.advance(weights_of(simulation, step, seed))
        counts = simulation.measurements.counts
        seen.append(counts[..., accounts.ARRIVED] - counts[..., accounts.RETRIED])
    return np.array(seen)


# The past.


def test_all_futures_have_the_same_past_to_the_bit(config: LoadBalancingConfig) -> None:
    simulation, rows = played(config), np.array([2, 0, 0, 1, 2])
    before = flatten(simulation.get_state())
    into = futures_of(simulation, rows, range(5))
    assert_measured_alike(simulation, rows, into)
    assert np.array_equal(into.elapsed, simulation.elapsed[rows])
    state, past = world_of(into).state, world_of(simulation).state
    moved = {"next_s", "fault_s", "slow_s"}
    for name, part in state.servers._asdict().items():
        if name not in moved:
            assert np.array_equal(part, getattr(past.servers, name)[rows]), name
    assert same_bits(state.in_flight, type(past.in_flight)(*(part[rows] for part in past.in_flight)))
    after = flatten(simulation.get_state())
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_a_branch_goes_on_as_a_batch_of_its_own(config: LoadBalancingConfig) -> None:
    """What is done to futures changes nothing in the batch that they came from."""
    simulation, twin = played(config), played(config)
    goes_on(futures_of(simulation, [0, 1], [3, 4]), 20, seed=1)
    assert np.array_equal(goes_on(simulation, 20, seed=2), goes_on(twin, 20, seed=2))
    assert same_bits(world_of(simulation).state, world_of(twin).state)


# What comes.


def test_the_same_future_brings_the_same_whatever_is_done(config: LoadBalancingConfig) -> None:
    simulation = played(config)
    one, other = (futures_of(simulation, [0, 1, 2, 0], [7, 7, 8, 8]) for _ in range(2))
    fresh = goes_on(one, 80, seed=1)
    assert np.array_equal(fresh, goes_on(other, 80, seed=2))
    assert (fresh[-1] - fresh[0]).any()
    a, b = world_of(one).state, world_of(other).state
    assert same_bits(a.source, b.source)
    for name in ("fault_s", "slow", "slow_s", "known_down"):
        assert np.array_equal(getattr(a.servers, name), getattr(b.servers, name)), name
    assert not np.array_equal(one.measurements.counts, other.measurements.counts)


def test_a_future_is_the_same_in_every_batch(config: LoadBalancingConfig) -> None:
    simulation = played(config)
    many, alone = futures_of(simulation, [0, 1, 2, 1], [5, 6, 7, 8]), futures_of(simulation, [1], [8])
    for _ in range(60):
        many.advance(same_weights(world_of(many)))
        alone.advance(same_weights(world_of(alone)))
        assert_measured_alike(many, [3], alone)


def test_other_futures_differ_and_so_do_other_seeds(config: LoadBalancingConfig) -> None:
    simulation = played(config)
    arrivals = [
        *np.moveaxis(goes_on(futures_of(simulation, [1] * 4, range(4)), 60, seed=1), 1, 0),
        *np.moveaxis(goes_on(futures_of(simulation, [1] * 2, range(2), seed=10), 60, seed=1), 1, 0),
        *np.moveaxis(goes_on(simulation, 60, seed=1), 1, 0)[1:2],
    ]
    assert len({one.tobytes() for one in arrivals}) == len(arrivals)


# How it is distributed.


def left_s(config: LoadBalancingConfig) -> tuple[LoadBalancing, np.ndarray]:
    """A past in many futures, and the instant of the branch."""
    world = world_of(futures_of(played(config), [1] * N_FUTURES, range(N_FUTURES)))
    return world, world.state.clock_s


def quiet(config: LoadBalancingConfig) -> LoadBalancingConfig:
    """With regimes that never end."""
    regimes = replace(config.workload.regimes, mean_dwell_s=1e12)
    return replace(config, workload=replace(config.workload, regimes=regimes))


def test_the_next_request_comes_after_an_exponential_time() -> None:
    world, now_s = left_s(quiet(config_of(Poisson())))
    source = world.state.source
    rate_hz = source.regime_rate_hz[0, source.regime[0]]
    assert source.is_request.all()
    assert stats.kstest(source.time_s - now_s, stats.expon(scale=1 / rate_hz).cdf).pvalue > 1e-4
    share = source.interactive_share[0, source.regime[0]]
    assert stats.binomtest(int((source.flow_class == 0).sum()), N_FUTURES, share).pvalue > 1e-4


def test_by_night_and_by_day_the_next_request_comes_at_the_rate_of_the_hour() -> None:
    """In the time that the mean rate tells, the time to the next request is exponential."""
    config = quiet(config_of(SOURCES["diurnal"]))
    world, now_s = left_s(config)
    source, phase = world.state.source, float(world.measurements.time_of_day[0])
    assert (world.measurements.time_of_day == phase).all()
    share, rate_hz = source.interactive_share[0, source.regime[0]], source.regime_rate_hz[0, source.regime[0]]
    swing = 0.8 * (share - (1 - share))
    days = (source.time_s - now_s) / 40.0
    wave = (np.cos(2 * np.pi * phase) - np.cos(2 * np.pi * (phase + days))) / (2 * np.pi)
    assert stats.kstest(rate_hz * 40.0 * (days + swing * wave), stats.expon.cdf).pvalue > 1e-4


def test_the_stage_of_a_regime_lasts_as_long_again_whatever_was_drawn_before() -> None:
    """So an observation that held what is left of it would differ between futures; none does."""
    config = config_of(Poisson())
    simulation = played(config)
    into = futures_of(simulation, [1] * N_FUTURES, range(N_FUTURES))
    past, futures = world_of(simulation).state, world_of(into).state
    for name in ("regime", "stage"):
        assert np.array_equal(getattr(futures.source, name), np.repeat(getattr(past.source, name)[1], N_FUTURES))
    until_s = futures.source.stage_until_s
    assert stats.kstest(until_s - futures.clock_s, stats.expon(scale=DWELL_S / N_STAGES).cdf).pvalue > 1e-4
    assert len(np.unique([*until_s, past.source.stage_until_s[1]])) == N_FUTURES + 1
    shown = [one.world.observation_function.extract(one.measurements, everyone(one)) for one in (simulation, into)]
    statistics = [one.world.statistics.observed(one.statistics()) for one in (simulation, into)]
    for here, there in (shown, statistics):
        assert np.array_equal(np.broadcast_to(here[1], there.shape), there)


def test_a_burst_lasts_as_long_again() -> None:
    world, now_s = left_s(quiet(config_of(SOURCES["mmpp"])))
    bursts: Any = world.state.source.memories[world.params.traffic.source]
    assert len(np.unique(bursts.bursting)) == 1
    mean_s = 3.0 if bursts.bursting[0] else 6.0
    assert stats.kstest(bursts.until_s - now_s, stats.expon(scale=mean_s).cdf).pvalue > 1e-4


def test_failures_and_slow_downs_come_after_an_exponential_time() -> None:
    world, now_s = left_s(config_of(Poisson()))
    sv = world.state.servers
    for server in range(2):
        failed, slow = sv.status[0, server] == 3, sv.slow[0, server] != 1.0
        for timer_s, mean_s in ((sv.fault_s, 5.0 if failed else 50.0), (sv.slow_s, 4.0 if slow else 20.0)):
            left = timer_s[:, server] - now_s
            assert stats.kstest(left, stats.expon(scale=mean_s).cdf).pvalue > 1e-4


def test_a_timer_that_comes_first_in_a_future_is_known_to_do_so(config: LoadBalancingConfig) -> None:
    """The earliest timer of all servers is kept up: nothing that is due in a step is left for the next one."""
    into = futures_of(played(config), [0, 1, 2] * 30, range(90))
    state = world_of(into).state
    timers = ("departure_s", "ready_s", "fault_s", "detection_s", "slow_s")
    earliest = np.min([getattr(state.servers, name).reshape(90, -1) for name in timers], axis=0).min(-1)
    assert np.array_equal(state.servers.next_s[:, 1], earliest)
    for step in range(40):
        into.advance(weights_of(into, step))
        for name in timers:
            assert (getattr(state.servers, name).reshape(90, -1) > state.clock_s[:, None]).all(), name


# On a recording.


def test_a_recording_goes_on_with_a_request_of_the_same_regime(tmp_path: Path) -> None:
    config = config_of(Trace(path=str(written(tmp_path, loops(2000)))))
    simulation = played(replace(config, workload=replace(config.workload, rate_hz=5.0)), n_envs=8)
    rows = np.repeat(np.arange(8), 60)
    into = futures_of(simulation, rows, range(len(rows)))
    past, futures = world_of(simulation).state, world_of(into).state
    assert len(np.unique(past.source.regime)) > 2
    assert np.array_equal(futures.source.regime, past.source.regime[rows])
    replay: Any = world_of(into).params.traffic.sources[world_of(into).params.traffic.source]
    place: Any = futures.source.memories[world_of(into).params.traffic.source]
    current = (place.next - 1) % len(replay.time_s)
    assert np.array_equal(replay.regime[current], futures.source.regime)
    assert np.array_equal(replay.work_s[current], futures.source.work_s)
    assert len(np.unique(current[rows == 0])) > 30
    gap_s = np.diff(replay.time_s, prepend=replay.time_s[-1] - replay.period_s)[current] * futures.source.stretch
    left = (futures.source.time_s - futures.clock_s) / np.maximum(gap_s, 1e-12)
    assert ((left >= 0) & (left <= 1)).all()
    assert stats.kstest(left[gap_s > 0], "uniform").pvalue > 1e-4


def test_what_is_in_flight_and_not_late_counts_as_in_time_where_a_future_ends() -> None:
    """Of ten that came three were in time, one was answered late, two were rejected, and of four in flight one is late."""
    simulation = envs.simulate(LoadBalancingConfig(), 1)
    counts = simulation.measurements.counts
    of_class = counts[0, 0]
    of_class[[accounts.ARRIVED, accounts.COMPLETED, accounts.REJECTED]] = [10, 4, 2]
    of_class[[accounts.ON_TIME, accounts.LATE, accounts.IN_FLIGHT]] = [3, 4, 4]
    simulation.dynamics.credit()
    assert of_class[accounts.ON_TIME] == 6
    assert of_class[[accounts.COMPLETED, accounts.REJECTED, accounts.LATE, accounts.IN_FLIGHT]].tolist() == [4, 2, 4, 4]
    assert not counts[0, 1].any()
