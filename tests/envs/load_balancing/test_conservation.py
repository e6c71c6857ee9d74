"""What holds after every step, whatever the pool, the faults, the dispatch rule and the weights."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.core.validation import build
from envs.load_balancing.config import DISPATCH_RULES, LoadBalancingConfig, Prequal
from envs.load_balancing.kernel import accounts
from envs.load_balancing.kernel.deadlines import NOBODY
from envs.load_balancing.kernel.dispatch.tournament import Tournament
from envs.load_balancing.kernel.servers.state import BOOTING, FAILED, OFF, ON, SERVICES
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.pools import PROPERTY, advance, everyone, held, servers, started, steady

N_STEPS = 30
RULES = [*(build(config, {}) for config in DISPATCH_RULES.values()), Prequal(probe_pool=1), Prequal(probe_pool=4)]


@st.composite
def configs(draw: st.DrawFn) -> LoadBalancingConfig:
    n = draw(st.integers(1, 6))
    cores = draw(st.lists(st.integers(1, 4), min_size=n, max_size=n))
    speed = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 4.0]), min_size=n, max_size=n).filter(any))
    pool = servers(
        cores,
        speed,
        price=draw(st.lists(st.floats(0.1, 2.0), min_size=n, max_size=n)),
        service=draw(st.sampled_from(SERVICES)),
        max_flows=max(cores) + draw(st.integers(0, 4)),
        boot_s=draw(st.sampled_from([0.0, 0.3, 3.0])),
        min_billed_s=draw(st.sampled_from([0.0, 1.0, 5.0])),
        failure_rate_hz=draw(st.sampled_from([0.0, 0.2, 3.0])),
        repair_s=draw(st.sampled_from([0.2, 3.0])),
        detection_s=draw(st.sampled_from([0.0, 0.4, 5.0])),
        slowdown_rate_hz=draw(st.sampled_from([0.0, 1.0])),
        slowdown_s=1.0,
        slowdown_factor=draw(st.sampled_from([0.0, 0.4, 1.0])),
    )
    retries = draw(st.sampled_from([0.0, 0.6]))
    return LoadBalancingConfig(
        pool=pool,
        workload=steady(
            draw(st.sampled_from([0.0, 0.5, 2.0])), interactive_share=0.5, deadline_s=1.5, retries=retries, retry_pause_s=0.5
        ),
        backends=draw(st.sampled_from(["class", "joint"])),
        dispatch=draw(st.sampled_from(RULES)),
        dt_s=draw(st.sampled_from([0.1, 0.5, 2.0])),
    )


def random_weights(world: LoadBalancing, seed: int) -> np.ndarray:
    choices = np.array([0.0, 0.0, 0.3, 1.0, 2.5])
    shape = (N_STEPS, world.n_envs, world.config.n_backends, world.config.pool.n_servers)
    return choices[np.random.default_rng(seed).integers(0, 5, shape)]


def check_flows(world: LoadBalancing) -> None:
    counts = world.state.counts
    arrived, completed, lost, rejected, on_time, late, in_flight, retried = np.moveaxis(counts, -1, 0)
    assert (counts >= 0).all()
    assert np.array_equal(arrived, completed + lost + rejected + in_flight)
    assert (retried <= rejected).all()
    assert np.array_equal(world.state.servers.n_flows.sum(1), held(world))
    assert np.array_equal(world.state.servers.n_flows.sum(2), in_flight)
    assert np.array_equal(world.state.answered.sum(-1), completed.sum(-1))
    unanswered = lost + rejected
    assert (completed - on_time + unanswered <= late).all()
    assert (late <= completed - on_time + unanswered + in_flight).all()


def check_bills(world: LoadBalancing) -> None:
    sv, dt_s = world.state.servers, world.config.dt_s
    assert (sv.busy_s >= 0).all()
    assert (sv.busy_s <= sv.billed_s + 1e-9).all()
    assert (sv.billed_s <= dt_s + 1e-9).all()


def check_servers(world: LoadBalancing) -> None:
    sv, pool = world.state.servers, world.config.pool
    wanted = (sv.weight > 0).any(1)
    stopped = (sv.status == OFF) | (sv.status == FAILED)
    assert (held(world)[stopped] == 0).all()
    assert (held(world) <= pool.max_flows).all()
    assert not ((sv.status == OFF) & wanted).any()
    assert not (((sv.status == ON) | (sv.status == BOOTING)) & ~wanted & (held(world) == 0)).any()
    if pool.service == "fcfs":
        assert (sv.n_running <= pool.cores).all()
        assert ((sv.n_waiting == 0) | (sv.n_running == pool.cores)).all()
    else:
        assert (sv.n_waiting == 0).all()


def held_places(world: LoadBalancing, env: int, server: int) -> list[int]:
    """The flows that a server holds, as the lists of flows in flight name them."""
    sv, size = world.state.servers, world.config.pool.max_flows
    ring = (sv.waiting_head[env, server] + np.arange(sv.n_waiting[env, server])) % size
    slots = [*sv.heap_slot[env, server, : sv.n_running[env, server]], *sv.waiting_slot[env, server, ring]]
    return [int(server * size + slot) for slot in slots]


def check_slots(world: LoadBalancing) -> None:
    """Every slot is either free or holds exactly one flow."""
    size = world.config.pool.max_flows
    for env, server in np.ndindex(*held(world).shape):
        used = [place - server * size for place in held_places(world, env, server)]
        free = world.state.servers.free_slot[env, server, : size - len(used)]
        assert sorted([*used, *free]) == list(range(size))


def check_in_flight(world: LoadBalancing) -> None:
    """The lists hold every flow of their class, oldest first, and the late ones are the first of them."""
    state, size = world.state, world.config.pool.max_flows
    lists, sv = state.in_flight, state.servers
    for env in range(world.n_envs):
        listed: list[int] = []
        for flow_class in range(state.counts.shape[1]):
            forward, place = [], lists.first[env, flow_class]
            while place != NOBODY:
                forward.append(int(place))
                place = lists.next[env, place]
            backward, place = [], lists.last[env, flow_class]
            while place != NOBODY:
                backward.append(int(place))
                place = lists.previous[env, place]
            assert forward == backward[::-1]
            assert all(sv.flow_lane[env, place // size, place % size] == flow_class for place in forward)
            arrival_s = [sv.flow_arrival_s[env, place // size, place % size] for place in forward]
            assert arrival_s == sorted(arrival_s)
            late = [bool(sv.flow_late[env, place // size, place % size]) for place in forward]
            assert late == sorted(late, reverse=True)
            in_time = [place for place, is_late in zip(forward, late, strict=True) if not is_late]
            assert lists.in_time[env, flow_class] == (in_time[0] if in_time else NOBODY)
            overdue = state.clock_s[env] - np.array(arrival_s) > world.measurements.deadline_s[env, flow_class]
            assert overdue.tolist() == late
            listed += forward
        n_servers = world.config.pool.n_servers
        assert sorted(listed) == sorted(place for server in range(n_servers) for place in held_places(world, env, server))


def check_tournament(world: LoadBalancing) -> None:
    """The least expected delay is known without looking at every server."""
    sv, name = world.state.servers, world.config.dispatch.rule
    tournament = world.state.dispatcher[world.params.dispatch.rule]
    if not isinstance(tournament, Tournament):
        return
    has_room = held(world) < world.config.pool.max_flows
    takes_part = (sv.weight > 0) & (~sv.known_down[:, 0] & (sv.status != BOOTING) & has_room)[:, None, :]
    counted = sv.n_flows if world.config.n_backends > 1 else held(world)[:, None, :]
    delay = np.full(sv.weight.shape, np.inf)
    delay[takes_part] = ((counted + 1.0)[takes_part]) / sv.weight[takes_part]
    if name == "leastconn":
        delay[takes_part & (counted == 0)] = 0.0
    assert np.array_equal(tournament.least[:, :, 1], delay.min(-1))
    n_least = ((delay == delay.min(-1, keepdims=True)) & takes_part).sum(-1)
    assert np.array_equal(tournament.n_ties[:, :, 1], n_least)


@settings(PROPERTY, max_examples=40)
@given(configs(), st.integers(0, 2**32))
def test_flows_are_conserved_and_bills_bounded(config: LoadBalancingConfig, seed: int) -> None:
    world = started(config, n_envs=3, seed=seed)
    for weights in random_weights(world, seed):
        advance(world, weights)
        check_flows(world)
        check_bills(world)
        check_servers(world)
        check_in_flight(world)
        check_tournament(world)
    check_slots(world)


@settings(PROPERTY, max_examples=40)
@given(configs(), st.integers(0, 2**32))
def test_totals_only_grow(config: LoadBalancingConfig, seed: int) -> None:
    world = started(config, n_envs=2, seed=seed)
    for weights in random_weights(world, seed):
        counts, times, histogram = world.state.counts.copy(), world.state.times.copy(), world.state.histogram.copy()
        advance(world, weights)
        growing = [accounts.ARRIVED, accounts.COMPLETED, accounts.LOST, accounts.REJECTED, accounts.ON_TIME, accounts.LATE]
        assert (world.state.counts >= counts)[..., growing].all()
        assert (world.state.times >= times - 1e-9)[..., [accounts.LATENCY_S, accounts.FLOW_SECONDS]].all()
        assert (world.state.histogram >= histogram).all()
        completed = world.state.counts[..., accounts.COMPLETED]
        assert np.array_equal(world.state.histogram.sum(-1), completed)


@settings(PROPERTY, max_examples=40)
@given(configs(), st.integers(0, 2**32))
def test_after_settling_every_flow_is_on_time_or_late(config: LoadBalancingConfig, seed: int) -> None:
    world = started(config, n_envs=3, seed=seed)
    for weights in random_weights(world, seed):
        advance(world, weights)
    world.settle(everyone(world))
    arrived, completed, lost, rejected, on_time, late, in_flight, _ = np.moveaxis(world.state.counts, -1, 0)
    assert np.array_equal(arrived, on_time + late)
    assert np.array_equal(arrived, completed + lost + rejected + in_flight)
    assert np.array_equal(world.state.histogram.sum(-1), completed + in_flight)


@settings(PROPERTY, max_examples=20)
@given(configs(), st.integers(0, 2**32))
def test_a_reset_empties_its_env_and_no_other(config: LoadBalancingConfig, seed: int) -> None:
    world, twin = started(config, n_envs=2, seed=seed), started(config, n_envs=2, seed=seed)
    mask = np.array([True, False])
    for step, weights in enumerate(random_weights(world, seed)):
        if step == N_STEPS // 2:
            world.reset_dynamics(mask)
            assert held(world)[0].sum() == world.state.counts[0].sum() == world.state.histogram[0].sum() == 0
            assert world.state.clock_s[0] == 0.0
        advance(world, weights)
        advance(twin, weights)
        check_flows(world)
    check_slots(world)
    assert np.array_equal(world.state.counts[1], twin.state.counts[1])
    assert np.array_equal(world.state.features[1], twin.state.features[1])
