"""Rejected requests that come back to the world; and that nobody else hears of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from envs.core.rng import ARRIVALS, FAILURE, REGIME, streams
from envs.load_balancing.config import LoadBalancingConfig, Workload
from envs.load_balancing.kernel import accounts
from envs.load_balancing.kernel.redraw import redraw
from envs.load_balancing.kernel.retries import MAX_WAITING, perhaps_come_back
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.pools import (
    advance,
    count,
    everyone,
    run,
    same_bits,
    servers,
    standard_errors,
    started,
    steady,
)

N_ENVS = 64
NOBODY, EVERYBODY = 0.0, 1.0
"""Weights under which all requests are rejected, and under which servers take part."""


def config_of(load: float = 1.0, retries: float = 0.5, pause_s: float = 2.0, max_flows: int = 1) -> LoadBalancingConfig:
    """One server of one core that holds ``max_flows``; flows have one second of work, of both classes."""
    workload = replace(steady(load, interactive_share=0.5), retries=retries, retry_pause_s=pause_s)
    return LoadBalancingConfig(pool=servers([1], max_flows=max_flows), workload=workload, dt_s=1.0)


def fresh(world: LoadBalancing) -> np.ndarray:
    """Requests that came for the first time, by class."""
    return count(world, accounts.ARRIVED) - count(world, accounts.RETRIED)


def waiting(world: LoadBalancing, env: int = 0) -> dict[tuple[int, int], tuple[float, float, int]]:
    """Those that wait to come back: number and attempt, and when they are due, with which work and class."""
    retries = world.state.retries
    slots = retries.slot[env, : retries.n[env]]
    keys = zip(retries.number[env, slots].tolist(), retries.attempt[env, slots].tolist(), strict=True)
    due_s, work_s = retries.due_s[env, : len(slots)].tolist(), retries.work_s[env, slots].tolist()
    return dict(zip(keys, zip(due_s, work_s, retries.lane[env, slots].tolist(), strict=True), strict=True))


def test_flows_are_conserved_and_come_back_no_more_often_than_they_were_rejected() -> None:
    world = started(config_of(load=2.0, retries=0.9), 8)
    for step in range(200):
        run(world, 1, weights=NOBODY if step % 40 < 10 else EVERYBODY)
        arrived, completed, lost, rejected, _, _, in_flight, retried = np.moveaxis(world.state.counts, -1, 0)
        assert np.array_equal(arrived, completed + lost + rejected + in_flight)
        assert (retried <= rejected).all()
        assert (retried.sum(-1) + world.state.retries.n <= rejected.sum(-1)).all()
    assert (retried.sum(-1) > 20).all()
    assert np.array_equal(fresh(world).sum(-1), world.state.retries.n_fresh)


def test_where_nothing_is_answered_a_request_comes_a_geometric_number_of_times() -> None:
    world = run(started(config_of(retries=0.6), N_ENVS), 300, weights=NOBODY)
    rejected, retried = count(world, accounts.REJECTED).sum(-1), count(world, accounts.RETRIED).sum(-1)
    assert standard_errors(retried + world.state.retries.n - 0.6 * rejected, 0.0) < 4
    world.state.source.time_s[:] = np.inf  # nobody new comes
    run(world, 100, weights=NOBODY)
    assert (world.state.retries.n == 0).all()
    assert standard_errors(count(world, accounts.ARRIVED).sum(-1) / fresh(world).sum(-1), 1 / (1 - 0.6)) < 4


def test_a_server_that_turns_away_who_comes_while_it_works_meets_more_of_them() -> None:
    """Erlang's loss formula with one server: after long pauses, those who come back are as good as new ones.

    Offered work ``a`` is blocked at ``a / (1 + a)``; half of the blocked come again, so ``a = 1 + a^2 / (1 + a) / 2``, which
    is the square root of 2.
    """
    world = run(started(config_of(retries=0.5, pause_s=100.0), N_ENVS), 600)
    before = world.state.counts.sum(1)
    after = run(world, 1500).state.counts.sum(1)
    arrived, rejected = (after - before)[:, accounts.ARRIVED], (after - before)[:, accounts.REJECTED]
    assert standard_errors(arrived / 1500.0, np.sqrt(2)) < 4
    assert standard_errors(rejected / arrived, np.sqrt(2) / (1 + np.sqrt(2))) < 4


def test_nobody_comes_back_without_retries_or_where_all_are_answered() -> None:
    for config, weights in ((config_of(retries=0.0), NOBODY), (config_of(load=0.3, max_flows=512), EVERYBODY)):
        world = run(started(config, 4), 50, weights=weights)
        assert count(world, accounts.RETRIED).sum() == 0
        assert (world.state.retries.n == 0).all()


def test_a_flow_that_a_failing_server_loses_does_not_come_back() -> None:
    config = config_of(retries=0.9, max_flows=512)
    config = replace(config, pool=replace(config.pool, failure_rate_hz=0.2, repair_s=1.0, detection_s=1e6))
    world = run(started(config, 4), 100)
    assert count(world, accounts.LOST).sum() > 50
    assert count(world, accounts.RETRIED).sum() == 0


def test_one_that_comes_back_has_the_whole_deadline_again() -> None:
    world = started(config_of(load=0.0, retries=0.5, max_flows=8))
    retries = world.state.retries
    for number in range(100):
        perhaps_come_back(world.params.retries, retries, 0, 0.0, 0.5, 0, number, 0)
        if retries.n[0]:
            break
    retries.due_s[0, 0] = 50.25
    assert count(run(world, 50), accounts.ARRIVED).sum() == 0
    run(world, 2)
    assert count(world, accounts.ON_TIME)[0].tolist() == [1, 0]
    assert world.state.times[0, 0, accounts.LATENCY_S] == pytest.approx(0.5)


def test_only_so_many_wait_and_the_others_give_up() -> None:
    world = run(started(config_of(load=40.0, retries=0.99, pause_s=1e6), 2), 60, weights=NOBODY)
    assert (count(world, accounts.REJECTED).sum(-1) > MAX_WAITING).all()
    assert world.state.retries.n.tolist() == [MAX_WAITING] * 2


# What arms share.


def test_fresh_requests_faults_and_regimes_know_nothing_of_retries() -> None:
    plain, other = (started(config_of(load=2.0, retries=retries), 4) for retries in (0.0, 0.9))
    for step in range(60):
        run(plain, 1)
        run(other, 1, weights=NOBODY if step % 20 < 10 else EVERYBODY)
        assert np.array_equal(count(plain, accounts.ARRIVED), fresh(other))
        assert same_bits(plain.state.source, other.state.source)
    for purpose in (ARRIVALS, REGIME, FAILURE):
        assert np.array_equal(plain.state.streams[:, purpose], other.state.streams[:, purpose])
    assert (count(other, accounts.RETRIED).sum(-1) > 10).all()


def test_two_arms_that_reject_the_same_request_see_the_same_of_it() -> None:
    """One rejects everything, the other from the fifteenth second on: of later requests they see the same."""
    one, other = started(config_of(load=3.0, pause_s=50.0, max_flows=512)), started(config_of(3.0, 0.5, 50.0, 512))
    run(one, 15, weights=NOBODY)
    run(other, 15, weights=EVERYBODY)
    first = int(one.state.retries.n_fresh[0])
    for world in (one, other):
        run(world, 20, weights=NOBODY)
    later = [{key: row for key, row in waiting(world).items() if key[0] >= first} for world in (one, other)]
    assert later[0] == later[1]
    assert len(later[0]) > 20
    assert len(waiting(one)) > len(waiting(other)) == len(later[1])


def test_an_episode_begins_with_nobody_waiting_and_draws_of_its_own() -> None:
    world = run(started(config_of(load=3.0, pause_s=50.0), 2), 30, weights=NOBODY)
    key = world.state.retries.key.copy()
    assert (world.state.retries.n > 10).all()
    world.reset_dynamics(np.array([True, False]))
    assert world.state.retries.n[0] == world.state.retries.n_fresh[0] == 0 < world.state.retries.n[1]
    assert world.state.retries.key[0] != key[0]
    assert world.state.retries.key[1] == key[1]


def test_a_state_that_is_put_back_goes_on_as_before() -> None:
    world = run(started(config_of(load=3.0, retries=0.9), 3), 20, weights=NOBODY)
    kept = world.get_state()
    run(world, 20)
    after = [part.copy() for part in (world.state.counts, world.state.retries.due_s, world.state.retries.n)]
    world.set_state(kept)
    run(world, 20)
    again = [world.state.counts, world.state.retries.due_s, world.state.retries.n]
    assert all(np.array_equal(a, b) for a, b in zip(after, again, strict=True))


def test_another_future_draws_anew_who_comes_back_and_when() -> None:
    world = run(started(config_of(load=3.0, pause_s=20.0), N_ENVS), 30, weights=NOBODY)
    past, key, kept = [waiting(world, env) for env in range(N_ENVS)], world.state.retries.key.copy(), world.get_state()
    futures = []
    for names in (range(N_ENVS), range(N_ENVS), range(N_ENVS, 2 * N_ENVS)):
        world.set_state(kept)
        world.streams[:] = streams(1, "train", names)
        redraw(world.params, world.state)
        futures.append([waiting(world, env) for env in range(N_ENVS)])
        assert (world.state.retries.key != key).all()
        due_s = world.state.retries.due_s
        assert all(due_s[env, 0] == due_s[env, : len(past[env])].min() for env in range(N_ENVS))
    assert futures[0] == futures[1] != futures[2]
    for before, after in zip(past, futures[2], strict=True):
        assert {key: row[1:] for key, row in before.items()} == {key: row[1:] for key, row in after.items()}
    pauses_s = [row[0] - 30.0 for future in futures[2] for row in future.values()]
    assert stats.kstest(pauses_s, stats.expon(scale=20.0).cdf).pvalue > 1e-4


def test_an_env_sees_the_same_retries_in_every_batch() -> None:
    config = config_of(load=3.0, retries=0.9)
    together = run(started(config, 3), 30, weights=NOBODY)
    alone = LoadBalancing(config, [2], 0, "train")
    alone.reset_dynamics(everyone(alone))
    for _ in range(30):
        advance(alone, np.zeros((1, config.n_backends, 1)))
    assert waiting(alone, 0) == waiting(together, 2)
    assert len(waiting(alone)) > 5


@pytest.mark.parametrize("workload", [Workload(), Workload(retries=0.0)])
def test_the_settings_reach_the_kernel(workload: Workload) -> None:
    world = started(LoadBalancingConfig(workload=workload))
    assert world.params.retries == (workload.retries, workload.retry_pause_s)
