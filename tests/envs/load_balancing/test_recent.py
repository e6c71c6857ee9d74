"""What happened of late, against a slow reference: moving means, and what is known of switches and bills."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel import accounts
from envs.load_balancing.kernel.recent import SPANS_S
from envs.load_balancing.kernel.servers.state import OFF
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.pools import advance, inject, run, servers, started, steady
from tests.envs.load_balancing.randomised import TROUBLED
from tests.envs.load_balancing.servers.lives import quiet

N_ENVS, N_STEPS = 3, 120


def random_weights(world: LoadBalancing, seed: int = 0) -> np.ndarray:
    """Weights ``(N_STEPS, n_envs, n_backends, n_servers)``, 0 more often than not."""
    shape = (N_STEPS, *world.state.servers.weight.shape)
    return np.random.default_rng(seed).choice([0.0, 0.0, 0.0, 0.5, 2.0], shape)


class Diary:
    """The differences of every step, all of which are kept."""

    def __init__(self, world: LoadBalancing) -> None:
        self.world = world
        self.arrived: list[np.ndarray] = []
        self.completed: list[np.ndarray] = []
        self.unanswered: list[np.ndarray] = []
        self.waited_s: list[np.ndarray] = []

    def step(self, weights: np.ndarray) -> None:
        state = self.world.state
        counts, waited_s = state.counts.copy(), state.times[..., accounts.LATENCY_S].copy()
        advance(self.world, weights)
        now = state.counts - counts
        self.arrived.append(now[..., accounts.ARRIVED])
        self.completed.append(now[..., accounts.COMPLETED])
        self.unanswered.append(now[..., accounts.LOST] + now[..., accounts.REJECTED])
        self.waited_s.append(state.times[..., accounts.LATENCY_S] - waited_s)

    def faded(self, steps: list[np.ndarray]) -> np.ndarray:
        """The sum of what the steps brought, each weighed by its age, ``(n_envs, n_classes, n_spans)``."""
        age_s = self.world.config.dt_s * np.arange(len(steps))[::-1]
        return sum(np.multiply.outer(step, np.exp(-age / np.array(SPANS_S))) for age, step in zip(age_s, steps, strict=True))

    def rate_hz(self, steps: list[np.ndarray]) -> np.ndarray:
        dt_s = self.world.config.dt_s
        return self.faded(steps) / self.faded([np.full_like(step, dt_s, np.float64) for step in steps])


def test_moving_means_are_those_of_all_steps_so_far_weighed_by_their_age() -> None:
    world = started(replace(TROUBLED, dt_s=0.5), N_ENVS)
    diary = Diary(world)
    for weights in random_weights(world):
        diary.step(weights)
        measured, completed = world.measurements, diary.faded(diary.completed)
        assert measured.arrived_hz == pytest.approx(diary.rate_hz(diary.arrived), rel=1e-9)
        assert measured.unanswered_hz == pytest.approx(diary.rate_hz(diary.unanswered), rel=1e-9)
        latency_s = np.where(completed > 0, diary.faded(diary.waited_s) / np.maximum(completed, 1e-300), 0.0)
        assert measured.latency_s == pytest.approx(latency_s, rel=1e-6)
    assert all(np.sum(steps) > 100 for steps in (diary.arrived, diary.completed, diary.unanswered))


def test_a_young_mean_is_that_of_the_time_so_far() -> None:
    """After one step it is what the step brought, whatever the span; nothing pulls it to 0."""
    world = run(started(TROUBLED, N_ENVS), 1)
    arrived = world.state.counts[..., accounts.ARRIVED]
    assert arrived.sum() > 10
    assert world.measurements.arrived_hz == pytest.approx(np.repeat(arrived[..., None] / 0.25, len(SPANS_S), -1))


def test_the_latency_of_late_is_that_of_completed_requests_by_class() -> None:
    world = quiet(servers([4]), dt_s=1.0)
    inject(world, 0, 0.1)
    inject(world, 0, 0.3)
    inject(world, 0, 0.5, flow_class=1)
    inject(world, 0, 50.0)
    run(world, 1)
    assert world.measurements.latency_s[0] == pytest.approx(np.array([[0.2] * 3, [0.5] * 3]))
    run(world, 3)
    assert world.measurements.latency_s[0] == pytest.approx(np.array([[0.2] * 3, [0.5] * 3]))


def test_the_past_is_forgotten_by_the_span() -> None:
    """Of a single step's arrivals a share of ``exp(-t / span)`` is left in the sum of all that was seen."""
    world = quiet(servers([4]), dt_s=1.0)
    inject(world, 0, 0.5)
    run(world, 3)
    ages_s = np.array([0.0, 1.0, 2.0])[:, None]
    expected = np.exp(-2.0 / np.array(SPANS_S)) / np.exp(-ages_s / np.array(SPANS_S)).sum(0)
    assert world.measurements.arrived_hz[0, 0] == pytest.approx(expected)


def test_an_episode_begins_without_a_past_and_leaves_that_of_others() -> None:
    world = run(started(TROUBLED, 2), 40)
    before = [part.copy() for part in (world.measurements.arrived_hz, world.measurements.latency_s)]
    world.reset_dynamics(np.array([True, False]))
    measured = world.measurements
    for part in (measured.arrived_hz, measured.latency_s, measured.unanswered_hz, measured.since_switch_s):
        assert not part[0].any()
    assert np.array_equal(measured.arrived_hz[1], before[0][1])
    assert np.array_equal(measured.latency_s[1], before[1][1])
    run(world, 1)
    arrived = world.state.counts[0, :, accounts.ARRIVED]
    assert measured.arrived_hz[0] == pytest.approx(np.repeat(arrived[:, None] / 0.25, len(SPANS_S), -1))


@pytest.mark.parametrize("backends", ["class", "joint"])
def test_times_since_switches_and_what_is_still_billed_are_those_of_a_log(backends: str) -> None:
    pool = servers([2, 1, 1], max_flows=16, boot_s=0.7, min_billed_s=2.3)
    config = replace(TROUBLED, pool=pool, backends=backends, randomise=replace(TROUBLED.randomise, n_servers=[], cores=[]))
    world = started(config, N_ENVS)
    status, dt_s = world.state.servers.status, config.dt_s
    shape = status.shape
    wanted, switched_s, billed_until_s = np.ones(shape, np.bool_), np.zeros(shape), np.zeros(shape)
    n_starts = np.zeros(N_ENVS, np.int64)
    for step, weights in enumerate(random_weights(world)):
        wanted_now = (weights > 0).any(1)
        starts = wanted_now & (status == OFF)
        switched_s[wanted_now != wanted] = step * dt_s
        billed_until_s[starts] = step * dt_s + 2.3
        wanted, n_starts = wanted_now, n_starts + starts.sum(-1)
        advance(world, weights)
        end_s = (step + 1) * dt_s
        assert world.measurements.since_switch_s == pytest.approx(end_s - switched_s)
        assert world.measurements.still_billed_s == pytest.approx(np.maximum(billed_until_s - end_s, 0.0))
        assert np.array_equal(world.measurements.n_starts, n_starts)
    assert n_starts.min() > 5


def test_a_server_that_fails_is_billed_no_longer_and_was_not_switched() -> None:
    pool = servers([1, 1], failure_rate_hz=0.5, repair_s=1.0, min_billed_s=1e6, boot_s=0.0)
    config = LoadBalancingConfig(pool=pool, workload=steady(0.5))
    world = started(config, N_ENVS)
    run(world, 1, [0.0, 1.0])
    run(world, 1)
    assert (world.measurements.still_billed_s[:, 0] > 0).all()
    for _ in range(200):
        run(world, 1)
    assert not world.measurements.still_billed_s[:, 0].any()
    assert world.measurements.since_switch_s[:, 0] == pytest.approx(201 * config.dt_s)
