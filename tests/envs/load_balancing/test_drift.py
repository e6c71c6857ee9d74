"""A world drifts slowly around what is configured: all else is drawn as before, requests are kept, nobody is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs.core.state import rows_of
from envs.core.validation import SettingError
from envs.load_balancing.config import DriftConfig, LoadBalancingConfig, Randomisation, Regimes, Trace, Workload
from envs.load_balancing.kernel.accounts import ARRIVED, COMPLETED, IN_FLIGHT, LOST, REJECTED
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.pools import (
    PROPERTY,
    advance,
    count,
    everyone,
    leaves,
    run,
    same_bits,
    same_weights,
    servers,
    standard_errors,
    started,
    steady,
)
from tests.envs.load_balancing.randomised import TROUBLED

DRIFT = DriftConfig(speed=0.6, interactive_share=0.4, period_s=20.0)
SETTLED = LoadBalancingConfig(
    pool=servers([2, 1, 3], [1.0, 2.0, 0.5]),
    workload=replace(steady(0.6), regimes=Regimes(loads=[0.3, 0.8], interactive_shares=[0.9, 0.2], mean_dwell_s=5.0)),
)


def drifting(config: LoadBalancingConfig = SETTLED, **changes: Any) -> LoadBalancingConfig:
    return replace(config, drift=replace(DRIFT, **changes))


def speeds(config: LoadBalancingConfig, n_envs: int, n_steps: int) -> np.ndarray:
    """Of servers, in every step ``(n_steps, n_envs, n_servers)``."""
    world = started(config, n_envs)
    found = []
    for _ in range(n_steps):
        run(world, 1)
        found.append(world.state.servers.speed.copy())
    return np.stack(found)


def test_nothing_moves_unless_it_is_asked_for() -> None:
    """To the bit, whatever the period, and nothing is added to a state."""
    plain, other = started(TROUBLED, 3), started(replace(TROUBLED, drift=DriftConfig(period_s=5.0)), 3)
    for world in (plain, other):
        run(world, 40)
        world.reset_dynamics(everyone(world))
        run(world, 40)
    assert same_bits(plain.state, other.state)
    assert plain.get_state().keys() == other.get_state().keys() == {"kernel", "reports"}


def test_speeds_that_swing_leave_requests_and_worlds_as_they_are() -> None:
    """Over episodes: what comes, which servers there are and when they fail is that of a world without drift."""
    config = replace(TROUBLED, workload=replace(TROUBLED.workload, retries=0.0))
    plain, moving = started(config, 4), started(replace(config, drift=DriftConfig(speed=0.8, period_s=7.0)), 4)
    for _ in range(3):
        for _ in range(20):
            run(plain, 1)
            run(moving, 1)
            assert_array_equal(count(plain, ARRIVED), count(moving, ARRIVED))
            for name in ("capacity", "cores", "present", "price_usd_per_h"):
                assert_array_equal(getattr(plain.measurements, name), getattr(moving.measurements, name))
            there = plain.state.servers.present
            assert (plain.state.servers.speed != moving.state.servers.speed)[there].all()
        assert (count(plain, COMPLETED) != count(moving, COMPLETED)).any()
        for world in (plain, moving):
            world.reset_dynamics(everyone(world))
    assert_array_equal(plain.streams[:, 7], moving.streams[:, 7])  # that of worlds


def test_mix_swings_whatever_is_done() -> None:
    """Under other weights the same requests come, of the same classes."""
    one, other = started(drifting(), 3), started(drifting(), 3)
    for _ in range(80):
        advance(one, same_weights(one, 1.0))
        advance(other, same_weights(other, [0.0, 0.0, 1.0]))
        assert_array_equal(one.state.source.interactive_share, other.state.source.interactive_share)
        assert_array_equal(one.state.servers.speed, other.state.servers.speed)
        assert_array_equal(one.state.source.time_s, other.state.source.time_s)
        assert_array_equal(count(one, ARRIVED), count(other, ARRIVED))
    assert (count(one, COMPLETED) != count(other, COMPLETED)).any()


def test_an_env_drifts_alike_in_any_batch_and_otherwise_in_the_next_episode() -> None:
    batch, alone = LoadBalancing(drifting(), [4, 5, 6], 1, "evaluate"), LoadBalancing(drifting(), [5], 1, "evaluate")
    seen = []
    for _ in range(2):
        for world in (batch, alone):
            world.reset_dynamics(everyone(world))
            run(world, 30)
        assert_array_equal(batch.state.servers.speed[1], alone.state.servers.speed[0])
        assert_array_equal(batch.state.source.interactive_share[1], alone.state.source.interactive_share[0])
        assert_array_equal(batch.state.counts[1], alone.state.counts[0])
        seen.append(batch.state.servers.speed.copy())
    assert len(np.unique(seen[0])) == 9, "servers and envs swing each by itself"
    assert not np.isin(seen[1], seen[0]).any()


def test_a_server_swings_around_its_speed_by_as_much_as_is_said() -> None:
    """Over a period the mean is the speed that is configured, and nearly all of the swing is met."""
    n_steps = round(DRIFT.period_s / SETTLED.dt_s)
    found = speeds(drifting(), 5, n_steps)
    assert_allclose(found.mean(0), np.tile(SETTLED.pool.speed, (5, 1)), rtol=1e-9)
    relative = found / SETTLED.pool.speed
    assert_allclose(relative.max(0), 1.6, atol=0.01)
    assert_allclose(relative.min(0), 0.4, atol=0.01)
    assert np.abs(np.diff(relative, axis=0)).max() <= 0.6 * 2 * np.pi / n_steps, "slowly"


def test_phases_are_uniform_so_that_no_drift_is_to_be_expected() -> None:
    world = started(drifting(), 4_000)
    relative = world.state.servers.speed / SETTLED.pool.speed
    assert standard_errors(relative.ravel(), 1.0) < 4
    turns = world._drifting._drift.phase  # type: ignore[union-attr]
    assert_allclose(np.quantile(turns, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.02)
    assert np.abs(np.corrcoef(turns.T) - np.eye(4)).max() < 0.06


def test_a_server_does_as_much_work_as_its_speed_lets_it() -> None:
    """One that is never idle: work done is the speed summed over time, step by step."""
    pool = servers([1], [1.0], service="fcfs", max_flows=10_000)
    config = LoadBalancingConfig(pool=pool, workload=steady(3.0), dt_s=0.5, drift=DriftConfig(speed=0.9, period_s=40.0))
    world, begun = started(config, 200), 4
    run(world, begun)
    completed, expected = count(world, COMPLETED).sum(-1), np.zeros(200)
    halves = np.zeros((2, 200))
    for _ in range(80):
        before = count(world, COMPLETED).sum(-1)
        run(world, 1)
        speed = world.state.servers.speed[:, 0]
        expected += speed * config.dt_s
        done = count(world, COMPLETED).sum(-1) - before
        halves[(speed > 1.0).astype(int), np.arange(200)] += done
    assert (world.state.servers.n_running > 0).all()
    done = count(world, COMPLETED).sum(-1) - completed
    assert standard_errors(done - expected, 0.0) < 4
    assert halves[1].mean() / halves[0].mean() == pytest.approx((1 + 1.8 / np.pi) / (1 - 1.8 / np.pi), rel=0.1)


def test_shares_move_and_loads_stay() -> None:
    """Whatever the share, rate times mean work is the load of the regime; shares are cut off at 0 and 1."""
    workload = replace(SETTLED.workload, interactive=replace(SETTLED.workload.interactive, mean_work_s=0.1))
    world, low, high = started(drifting(replace(SETTLED, workload=workload), speed=0.0), 4), 1.0, 0.0
    source, regimes = world.state.source, workload.regimes
    for _ in range(80):
        run(world, 1)
        share = source.interactive_share
        mean_work_s = share * 0.1 + (1.0 - share) * 1.0
        offered = np.broadcast_to(regimes.load * SETTLED.pool.capacity.sum(), share.shape)
        assert_allclose(source.regime_rate_hz * mean_work_s, offered)
        apart = share - regimes.interactive_share
        assert_allclose(apart[:, 0].clip(max=0.1), apart[:, 2].clip(max=0.1))
        low, high = min(low, share.min()), max(high, share.max())
        assert (np.abs(apart) <= 0.4 + 1e-12).all()
    assert (low, high) == (0.0, 1.0)
    assert_array_equal(world.state.servers.speed, np.tile(SETTLED.pool.speed, (4, 1)))


def test_classes_come_by_the_share_of_now() -> None:
    config = replace(SETTLED, workload=steady(8.0, interactive_share=0.5), dt_s=0.5)
    world = started(drifting(config, speed=0.0, period_s=60.0), 100)
    expected, came = np.zeros((2, 100)), np.zeros((2, 100))
    for _ in range(120):
        before = count(world, ARRIVED)
        run(world, 1)
        arrived = count(world, ARRIVED) - before
        share = world.state.source.interactive_share[:, 0]
        at = (share > 0.5).astype(int), np.arange(100)
        expected[at] += share * arrived.sum(-1)
        came[at] += arrived[:, 0]
    for half in range(2):
        assert standard_errors(came[half] - expected[half], 0.0) < 4
    assert came[1].sum() > 2 * came[0].sum()


@PROPERTY
@given(
    st.floats(0.0, 0.95),
    st.floats(0.0, 1.0),
    st.sampled_from([1.0, 3.0, 1e4]),
    st.integers(0, 1_000),
)
def test_no_request_is_lost_sight_of(speed: float, share: float, period_s: float, seed: int) -> None:
    """In a world of failures, slow-downs and full servers, drawn anew."""
    world = started(replace(TROUBLED, drift=DriftConfig(speed=speed, interactive_share=share, period_s=period_s)), 2, seed)
    rng = np.random.default_rng(seed)
    for _ in range(25):
        weights = rng.choice([0.0, 0.5, 1.0], same_weights(world).shape)
        advance(world, weights * world.state.servers.present[:, None])
        ended = sum(count(world, kind) for kind in (COMPLETED, LOST, REJECTED, IN_FLIGHT))
        assert_array_equal(count(world, ARRIVED), ended)
        assert (world.state.servers.departure_s >= world.state.clock_s[:, None]).all()
        assert all(np.isfinite(part).all() for part in (world.state.servers.speed, world.state.source.interactive_share))


def test_it_goes_on_from_a_state_to_the_bit() -> None:
    config = drifting(replace(TROUBLED, randomise=Randomisation()))
    world, other = started(config, 3), LoadBalancing(config, range(3), 9, "train")
    run(world, 15)
    state = world.get_state()
    run(world, 25)
    other.reset_dynamics(everyone(other))
    other.set_state(state)
    run(other, 25)
    assert same_bits(world.state, other.state)
    alone = LoadBalancing(config, [1], 9, "train")
    alone.reset_dynamics(everyone(alone))
    alone.set_state(rows_of(state, np.array([1]), 3))
    run(alone, 25)
    for ours, theirs in zip(leaves(alone.state), leaves(world.state), strict=True):
        assert_array_equal(ours[0], theirs[1])


def test_an_episode_that_begins_leaves_the_swings_of_others() -> None:
    """Masked resets, over and over, move no middle of a swing."""
    world, alone = started(drifting(), 2), started(drifting(), 2)
    for _ in range(6):
        run(world, 5)
        run(alone, 5)
        world.reset_dynamics(np.array([False, True]))
        assert_array_equal(world.state.servers.speed[0], alone.state.servers.speed[0])
        assert_array_equal(world.state.source.interactive_share[0], alone.state.source.interactive_share[0])
    relative = world.state.servers.speed[1] / SETTLED.pool.speed
    assert (np.abs(relative - 1.0) <= 0.6).all()


def test_envs_that_stand_still_do_not_drift() -> None:
    world = started(drifting(), 2)
    run(world, 5)
    before, shares = world.state.servers.speed.copy(), world.state.source.interactive_share.copy()
    world.step_dynamics(same_weights(world), np.array([True, False]))
    assert (world.state.servers.speed[0] != before[0]).all()
    assert_array_equal(world.state.servers.speed[1], before[1])
    assert (world.state.source.interactive_share[0] != shares[0]).any()
    assert_array_equal(world.state.source.interactive_share[1], shares[1])


def test_what_is_observed_of_servers_says_nothing_of_it_at_first() -> None:
    plain, moving = envs.make(SETTLED, 3, 1), envs.make(drifting(interactive_share=0.0), 3, 1)
    assert_array_equal(plain.reset(), moving.reset())
    assert envs.describe(SETTLED) == envs.describe(drifting())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"speed": 1.0}, "speed must be >= 0 and < 1, got 1.0"),
        ({"speed": -0.1}, "speed must be >= 0 and < 1, got -0.1"),
        ({"speed": float("nan")}, "speed must be >= 0 and < 1, got nan"),
        ({"interactive_share": 1.5}, "interactive_share must be >= 0 and <= 1, got 1.5"),
        ({"period_s": 0.0}, "period_s must be >= 1 and <= 1e+09, got 0.0"),
    ],
)
def test_swings_that_can_not_be_are_refused(settings: dict[str, float], said: str) -> None:
    with pytest.raises(SettingError) as caught:
        DriftConfig(**settings)
    assert str(caught.value) == said


def test_the_mix_of_a_recording_does_not_drift() -> None:
    workload = Workload(arrivals=Trace(path="requests.csv"))
    with pytest.raises(SettingError, match=r"^drift.interactive_share must be 0 when workload.arrivals is trace, got 0.4$"):
        LoadBalancingConfig(workload=workload, drift=DriftConfig(interactive_share=0.4))
    assert LoadBalancingConfig(workload=workload, drift=DriftConfig(speed=0.4)).drift.moves
