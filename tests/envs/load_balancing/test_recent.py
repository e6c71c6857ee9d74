"""What is measured of late, against the same from the log of an episode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel import accounts
from envs.load_balancing.kernel.recent import SPANS_S
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.pools import advance, everyone, fail, inject, run, same_weights, servers, started, steady

N_ENVS, N_STEPS = 4, 160
MIN_BILLED_S = 3.0
UNANSWERED = [accounts.LOST, accounts.REJECTED]


def config_of(dt_s: float = 0.5, load: float = 1.0, **pool: object) -> LoadBalancingConfig:
    workload = replace(steady(load, interactive_share=0.6), retries=0.3)
    fields = {"max_flows": 4, "boot_s": 0.8, "min_billed_s": MIN_BILLED_S, **pool}
    return LoadBalancingConfig(pool=servers([2, 1, 1], **fields), workload=workload, dt_s=dt_s)


def any_weights(world: LoadBalancing, n_steps: int, seed: int = 0) -> np.ndarray:
    shape = (n_steps, *same_weights(world).shape)
    return np.random.default_rng(seed).choice([0.0, 0.0, 1.0, 2.0], shape)


# Moving means.


def logged(world: LoadBalancing, n_steps: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What each step added to the counts and to the latencies, under weights that change."""
    for weights in any_weights(world, n_steps):
        counts, times = world.state.counts.copy(), world.state.times.copy()
        advance(world, weights)
        yield world.state.counts - counts, (world.state.times - times)[..., accounts.LATENCY_S]


def weighted(steps: list[np.ndarray], span_s: float, dt_s: float) -> np.ndarray:
    """The mean over the steps of an episode, each the less heavy the longer ago it was."""
    age = np.arange(len(steps))[::-1]
    weights = np.exp(-age * dt_s / span_s)
    return np.tensordot(weights, np.array(steps, np.float64), 1) / weights.sum()


@pytest.mark.parametrize("dt_s", [0.25, 1.0, 8.0])
def test_moving_means_are_those_of_the_steps_so_far(dt_s: float) -> None:
    world = started(config_of(dt_s, failure_rate_hz=0.05, repair_s=2.0), N_ENVS)
    counts: list[np.ndarray] = []
    latencies_s: list[np.ndarray] = []
    for step_counts, step_latency_s in logged(world, N_STEPS):
        counts.append(step_counts)
        latencies_s.append(step_latency_s)
        recent = world.measurements
        for place, span_s in enumerate(SPANS_S):
            mean = weighted(counts, span_s, dt_s)
            answered, waited_s = mean[..., accounts.COMPLETED], weighted(latencies_s, span_s, dt_s)
            expected_s = np.divide(waited_s, answered, out=np.zeros_like(waited_s), where=answered > 0)
            assert recent.arrived_hz[..., place] == pytest.approx(mean[..., accounts.ARRIVED] / dt_s)
            assert recent.unanswered_hz[..., place] == pytest.approx(mean[..., UNANSWERED].sum(-1) / dt_s)
            assert recent.latency_s[..., place] == pytest.approx(expected_s)
    total = np.sum(counts, axis=0)
    assert (total[..., [accounts.COMPLETED, *UNANSWERED, accounts.RETRIED]].sum(0) > 0).all()


def test_the_first_step_is_the_mean_of_all_there_was() -> None:
    world = run(started(config_of(dt_s=0.1, load=4.0), 64), 1)
    arrived = world.state.counts[..., accounts.ARRIVED] / 0.1
    assert arrived.any()
    for place in range(len(SPANS_S)):
        assert world.measurements.arrived_hz[..., place] == pytest.approx(arrived)


def test_a_constant_rate_is_measured_over_every_span() -> None:
    """Over 64 envs the mean rate is that of the workload, whatever the span; the longer, the less it wavers."""
    config = config_of(load=0.9, max_flows=256)
    world = run(started(config, 64), 240)
    rate_hz = 0.9 * config.pool.capacity.sum() * np.array([0.6, 0.4])
    measured = world.measurements.arrived_hz.copy()
    error = measured.std(0, ddof=1) / np.sqrt(64)
    assert (np.abs(measured.mean(0) - rate_hz[:, None]) < 4 * error).all()
    assert (np.diff(error, axis=-1) < 0).all()


def test_what_was_is_forgotten_by_the_span() -> None:
    """After a busy time in which all are turned away nobody comes any more."""
    world = run(started(config_of(load=3.0), 8), 40, 0.0)
    before = [world.measurements.arrived_hz.copy(), world.measurements.unanswered_hz.copy()]
    weights = world.state.recent.weight.copy()
    world.state.source.time_s[:] = np.inf
    world.state.retries.n[:] = 0
    run(world, 6, 0.0)
    kept = np.exp(-6 * 0.5 / np.array(SPANS_S)) * (weights / world.state.recent.weight)[:, None, :]
    for was, now in zip(before, (world.measurements.arrived_hz, world.measurements.unanswered_hz), strict=True):
        assert now == pytest.approx(was * kept)


def test_nothing_is_remembered_of_the_episode_before() -> None:
    world, fresh = run(started(config_of(), 2), 50), started(config_of(), 2)
    world.reset_dynamics(np.array([True, False]))
    names = ("arrived_hz", "latency_s", "unanswered_hz", "since_switch_s", "still_billed_s")
    for name in names:
        assert (getattr(world.measurements, name)[0] == 0.0).all(), name
    fresh.streams[:] = world.streams
    world.reset_dynamics(everyone(world))
    fresh.reset_dynamics(everyone(fresh))
    for weights in any_weights(world, 30):
        advance(world, weights)
        advance(fresh, weights)
    for name in names:
        assert np.array_equal(getattr(world.measurements, name), getattr(fresh.measurements, name)), name


# Since a server was switched.


def test_time_since_switching_is_that_of_the_log() -> None:
    """A server is switched when the first backend gives it weight, or the last one takes it away."""
    world = started(config_of(), N_ENVS)
    on, since_s = np.ones((N_ENVS, 3), np.bool_), np.zeros((N_ENVS, 3))
    n_switches = np.zeros((N_ENVS, 3), np.int64)
    for weights in any_weights(world, N_STEPS):
        wanted = (weights > 0).any(1)
        since_s = np.where(wanted != on, 0.0, since_s) + world.config.dt_s
        n_switches += wanted != on
        on = wanted
        advance(world, weights)
        assert world.measurements.since_switch_s == pytest.approx(since_s)
    assert (n_switches > 20).all()


@pytest.mark.parametrize("dt_s", [0.25, 0.7, 4.0])
def test_what_is_still_billed_is_that_of_the_log(dt_s: float) -> None:
    """Idle servers stop as soon as nobody wants them, so each time that they are wanted again is a start."""
    world = started(config_of(dt_s, load=0.0), N_ENVS)
    on, ends_s = np.ones((N_ENVS, 3), np.bool_), np.zeros((N_ENVS, 3))
    assert (world.measurements.still_billed_s == 0.0).all()
    for step, weights in enumerate(any_weights(world, N_STEPS)):
        wanted = (weights > 0).any(1)
        ends_s = np.where(wanted & ~on, step * dt_s + MIN_BILLED_S, ends_s)
        on = wanted
        advance(world, weights)
        left_s = np.maximum(ends_s - (step + 1) * dt_s, 0.0)
        assert world.measurements.still_billed_s == pytest.approx(left_s)


def test_a_server_that_is_wanted_again_while_it_drains_was_not_started() -> None:
    world = started(config_of(load=0.0), 1)
    inject(world, 0, 50.0)
    run(world, 2, [0.0, 1.0, 1.0])
    run(world, 1, [1.0, 1.0, 1.0])
    assert world.measurements.since_switch_s[0].tolist() == [0.5, 1.5, 1.5]
    assert world.measurements.still_billed_s[0].tolist() == [0.0, 0.0, 0.0]
    assert world.state.n_starts[0] == 0


def test_a_failure_ends_what_was_still_to_be_billed() -> None:
    world = started(config_of(load=0.0, failure_rate_hz=1e-12, repair_s=1e12), 1)
    run(world, 1, [0.0, 1.0, 1.0])
    run(world, 1, [1.0, 1.0, 1.0])
    assert world.measurements.still_billed_s[0].tolist() == [MIN_BILLED_S - 0.5, 0.0, 0.0]
    fail(world, 0, after_s=0.25)
    run(world, 1, [1.0, 1.0, 1.0])
    assert world.measurements.still_billed_s[0].tolist() == [0.0, 0.0, 0.0]


def test_requests_on_servers_are_counted_by_class() -> None:
    """As flows that a test gives to servers, and takes away again by finishing them."""
    world = started(config_of(load=0.0), 2)
    for server, flow_class, work_s in ((0, 0, 9.0), (0, 1, 9.0), (0, 1, 0.2), (2, 0, 0.2), (1, 1, 9.0)):
        inject(world, server, work_s, flow_class)
    assert world.measurements.n_flows[0].tolist() == [[1, 0, 1], [2, 1, 0]]
    run(world, 2)
    assert world.measurements.n_flows[0].tolist() == [[1, 0, 0], [1, 1, 0]]
    assert np.array_equal(world.measurements.n_flows[0], world.measurements.n_flows[1])
