"""What a meter makes of looks and of requests that ended is what the simulator measures of the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

import envs
from envs.core.arrays import FloatArray
from envs.core.jit import Kernel
from envs.core.simulation import Simulation
from envs.haproxy.meter import Meter, compile_meter
from envs.load_balancing.config import (
    Diurnal,
    LoadBalancingConfig,
    Regimes,
    ServerPool,
    Telemetry,
    Workload,
    WorkloadClass,
)
from envs.load_balancing.kernel import metering
from envs.load_balancing.kernel.accounts import (
    ARRIVED,
    COMPLETED,
    IN_FLIGHT,
    LATE,
    LATENCY_S,
    LOST,
    ON_TIME,
    REJECTED,
)
from envs.load_balancing.kernel.arrivals.poisson import Poisson
from envs.load_balancing.kernel.dispatch.leastconn import LeastConn
from envs.load_balancing.kernel.metering import ANSWERED, Ended, Look
from envs.load_balancing.statistics import LoadStatistics

FINE_S, N_FINE = 2e-4, 1250
"""Fine steps in a step: of two requests none ends in the same one."""
N_STEPS = 80
CONFIG = LoadBalancingConfig(
    pool=ServerPool(
        cores=[4, 2, 1], speed=[2.0, 1.0, 1.0], price_usd_per_h=[0.4, 0.2, 0.1], memory_gb=[4.0] * 3, boot_s=0.0
    ),
    workload=Workload(
        arrivals=Poisson(),
        regimes=Regimes(loads=[0.7], interactive_shares=[0.6]),
        interactive=WorkloadClass(mean_work_s=0.2, deadline_s=0.3, value_usd=1e-5, penalty_usd=1e-5),
        batch=WorkloadClass(mean_work_s=0.8, deadline_s=60.0, value_usd=1e-5, penalty_usd=1e-6),
        retries=0.0,
    ),
    dispatch=LeastConn(),
    dt_s=N_FINE * FINE_S,
    episode_steps=10_000,
)


class Seen(NamedTuple):
    """What a balancer would say of a fine step."""

    now_s: float
    look: Look
    ended: Ended


def ended(*rows: tuple[float, int, int, int, float]) -> Ended:
    """Of (instant, class, server, outcome, latency), the latency being all service."""
    when, flow_class, server, outcome, latency = np.array(rows, np.float64).reshape(-1, 5).T
    return Ended(when, flow_class.astype(np.int64), server.astype(np.int64), outcome.astype(np.int64), latency, latency)


def seen(config: LoadBalancingConfig, weights: FloatArray, seed: int) -> Iterator[Seen]:
    """A simulation in fine steps."""
    simulation = envs.simulate(replace(config, dt_s=FINE_S, episode_steps=10**9), 1, seed, "evaluate")
    simulation.reset()
    now, number = simulation.measurements, 0
    before, on_servers = (now.counts[0].copy(), now.times[0].copy()), now.answered[0].copy()
    while True:
        number += 1
        simulation.advance(weights)
        new = now.counts[0, :, COMPLETED] - before[0][:, COMPLETED]
        assert new.sum() <= 1
        rows = []
        for flow_class in np.flatnonzero(new):
            latency_s = now.times[0, flow_class, LATENCY_S] - before[1][flow_class, LATENCY_S]
            server = int((now.answered[0] - on_servers).argmax())
            rows.append((number * FINE_S, int(flow_class), server, ANSWERED, float(latency_s)))
        look = Look(now.n_flows[0].copy(), np.zeros(2, np.int64), np.zeros(3, np.bool_))
        before, on_servers = (now.counts[0].copy(), now.times[0].copy()), now.answered[0].copy()
        yield Seen(number * FINE_S, look, ended(*rows))


def simulated(config: LoadBalancingConfig, seed: int) -> Simulation:
    simulation = envs.simulate(config, 1, seed, "evaluate")
    simulation.reset()
    return simulation


@pytest.mark.slow
@pytest.mark.parametrize("samples", [True, False])
def test_a_meter_measures_what_the_simulator_does(samples: bool) -> None:
    seed, weights, config = 5, np.ones((1, 2, 3)), replace(CONFIG, telemetry=Telemetry(samples=samples))
    simulation, meter = simulated(config, seed), Meter(config, seed)
    moments, observation = seen(config, weights, seed), simulation.world.observation_function
    everyone = np.ones(1, np.bool_)
    for _ in range(N_STEPS):
        simulation.advance(weights)
        for _, moment in zip(range(N_FINE), moments, strict=False):
            meter.look(moment.now_s, moment.look)
            meter.take_in(moment.ended)
        ours, theirs = meter.close(moment.now_s), simulation.measurements
        same = [name for name in range(8) if name != LATE]
        np.testing.assert_array_equal(ours.counts[..., same], theirs.counts[..., same])
        np.testing.assert_array_equal(ours.histogram, theirs.histogram)
        np.testing.assert_array_equal(ours.n_flows, theirs.n_flows)
        np.testing.assert_allclose(ours.times, theirs.times, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(ours.utilisation, theirs.utilisation, atol=2e-3)
        np.testing.assert_allclose(ours.sums, theirs.sums, rtol=2e-3)
        np.testing.assert_allclose(
            observation.extract(ours, everyone), observation.extract(theirs, everyone), rtol=1e-3, atol=1e-3
        )
    assert ours.counts[0, :, COMPLETED].min() > 100
    assert ours.answered.min() > 20


def look_of(n_interactive: int) -> Look:
    n_flows = np.zeros((2, 3), np.int64)
    n_flows[0, 0] = n_interactive
    return Look(n_flows, np.zeros(2, np.int64), np.zeros(3, np.bool_))


def test_requests_whose_end_is_never_logged_are_no_flood() -> None:
    """Ten a second come and are answered after half a second, so five are in flight; lines of ten seconds are lost."""
    meter, arrived, flow_seconds = Meter(CONFIG), [], []
    for step in range(1, 41):
        is_logged = not 10 <= step < 20
        for tenth in range(10):
            meter.look(step - 1 + tenth / 10, look_of(5))
            if is_logged:
                meter.take_in(ended((step - 1 + tenth / 10, 0, 0, ANSWERED, 0.5)))
        meter.look(step, look_of(5))
        measured = meter.close(step)
        counts = measured.counts[0]
        assert (counts[:, ARRIVED] == counts[:, [COMPLETED, LOST, REJECTED, IN_FLIGHT]].sum(1)).all()
        arrived.append(float(measured.step.arrived[0]))
        flow_seconds.append(float(measured.step.flow_seconds[0, 0]))
    assert min(arrived) >= 0
    assert max(arrived[1:]) <= 10
    assert arrived[20:] == [10.0] * 20, "what was lost is forgotten in the first step"
    assert np.allclose(flow_seconds[1:], 5.0)


def test_requests_that_went_unlogged_spend_no_time_once_nothing_is_in_flight() -> None:
    meter = Meter(CONFIG)
    meter.look(0.5, look_of(5))
    meter.close(1.0)
    for step in range(2, 6):
        meter.look(step - 0.5, look_of(0))
        meter.look(step, look_of(0))
        measured = meter.close(step)
    assert measured.counts[0, 0, IN_FLIGHT] == 5, "all that came are accounted for"
    assert meter.unlogged.tolist() == [5, 0]
    assert measured.step.flow_seconds[0, 0] == 0.0


def test_an_episode_is_settled_as_the_simulator_does() -> None:
    """What waits at the end must not be free: it is late, at its age, however soon it ends then."""
    seed, weights = 7, np.ones((1, 2, 3))
    simulation, meter, moments = simulated(CONFIG, seed), Meter(CONFIG, seed), seen(CONFIG, weights, seed)
    for _ in range(4):
        simulation.advance(weights)
        for _, moment in zip(range(N_FINE), moments, strict=False):
            meter.look(moment.now_s, moment.look)
            meter.take_in(moment.ended)
        ours, theirs = meter.close(moment.now_s), simulation.measurements
    in_flight, on_time, sums = ours.in_flight.sum(), ours.counts[..., ON_TIME].copy(), ours.sums.copy()
    assert in_flight > 1
    simulation.dynamics.settle(np.ones(1, np.bool_))
    for _, moment in zip(range(100 * N_FINE), moments, strict=False):
        meter.settle(moment.ended)
        if ours.histogram.sum() == theirs.histogram.sum():
            break
    np.testing.assert_array_equal(ours.counts, theirs.counts)
    np.testing.assert_allclose(ours.times, theirs.times, rtol=1e-3, atol=1e-3)
    assert np.abs(np.cumsum(ours.histogram - theirs.histogram, -1)).max() <= 1  # an age may lie at an edge
    np.testing.assert_array_equal(ours.counts[..., ON_TIME], on_time)
    np.testing.assert_array_equal(ours.sums, sums)
    before = ours.counts.copy()
    for _ in range(N_FINE):
        meter.settle(next(moments).ended)  # what has come since is of no concern
    np.testing.assert_array_equal(ours.counts, before)


def test_the_time_of_day_goes_on_from_the_first_one() -> None:
    workload = replace(CONFIG.workload, arrivals=Diurnal(period_s=10.0))
    meter = Meter(replace(CONFIG, workload=workload))
    meter.reset(time_of_day=0.75)
    look = Look(np.zeros((2, 3), np.int64), np.zeros(2, np.int64), np.zeros(3, np.bool_))
    seen = []
    for now_s in (1.0, 4.0):
        meter.look(now_s, look)
        seen.append(float(meter.close(now_s).time_of_day[0]))
    assert seen == pytest.approx([0.85, 0.15])


def test_figures_of_a_step_that_took_longer_count_for_as_long() -> None:
    meter, busy = Meter(CONFIG), Look(np.array([[4, 0, 0], [0, 0, 0]]), np.zeros(2, np.int64), np.zeros(3, np.bool_))
    dt_s = CONFIG.dt_s
    meter.look(0.0, busy)
    for now_s in (dt_s, 5 * dt_s):
        meter.look(now_s, busy)
        measured = meter.close(now_s)
    since = LoadStatistics(CONFIG).since(measured, None)
    assert since["duration_h"][0] == pytest.approx(5 * dt_s / 3600.0)
    assert since["utilisation"][0] == pytest.approx(8.0 / 11.0)  # of the capacity, that of the first server
    assert since["servers_on"][0] == pytest.approx(3.0)


def test_nothing_is_left_to_compile_once_a_meter_was_compiled() -> None:
    """What is first called in the loop that steers would hold it for as long as compiling takes."""
    own = {name: one for name, one in vars(metering).items() if isinstance(one, Kernel) and not name.startswith("_")}
    kernels = {name: one for name, one in own.items() if one.__module__ == metering.__name__}

    def compiled() -> dict[str, int]:
        return {name: len(one._entry.signatures) for name, one in kernels.items()}

    compile_meter(CONFIG)
    before = compiled()
    assert min(before.values()) > 0
    meter = Meter(CONFIG)
    for step in (1.0, 2.0, 3.0):
        meter.put_in_force(np.full((2, 3), step / 4), step - 0.5)
        meter.look(step, look_of(int(step)))
        rows = np.array([(step, 0, 1, ANSWERED, 0.5, 0.5)], np.float64).T.copy()
        when, flow_class, server, outcome, latency_s, duration_s = rows
        whole = (column.astype(np.int64) for column in (flow_class, server, outcome))
        meter.take_in(Ended(when, *whole, latency_s, duration_s))
        meter.close(step)
    assert compiled() == before
