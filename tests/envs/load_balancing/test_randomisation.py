"""A drawn world is the world configured like it; draws keep to their ranges and know nothing of batch and neighbours."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pools import act, everyone, held, same_bits, servers, started, steady
from scipy import stats

import envs
from envs.load_balancing import accounts, rewards
from envs.load_balancing.config import (
    DISPATCH_RULES,
    Actions,
    Dispatch,
    DispatchRule,
    LoadBalancingConfig,
    Randomisation,
    Regimes,
    Reward,
    ServerPool,
    Telemetry,
    Workload,
    WorkloadClass,
)
from envs.load_balancing.heuristics import HEURISTICS
from envs.load_balancing.servers import OFF
from envs.load_balancing.traffic import draw_next
from envs.load_balancing.world import LoadBalancing

N_SERVERS = 6
EVERYTHING = Randomisation(
    n_servers=[2, 5],
    cores=[1, 4],
    speed=[0.5, 2.0],
    price_per_capacity=[0.05, 0.4],
    load=[0.5, 1.5],
    interactive_share=[-0.3, 0.3],
    work=[0.5, 2.0],
    deadline=[0.25, 4.0],
)
POOL = ServerPool(
    cores=[4, 4, 2, 4, 1, 3],
    speed=[2.0, 1.0, 1.0, 0.5, 1.5, 0.7],
    price_usd_per_h=[3.0, 0.24, 0.12, 0.08, 0.3, 0.1],
    memory_gb=[16.0, 8.0, 4.0, 8.0, 2.0, 1.0],
    max_flows=16,
    failure_rate_hz=0.05,
    repair_s=2.0,
    detection_s=0.5,
    slowdown_rate_hz=0.1,
    slowdown_s=1.0,
)
TROUBLED = LoadBalancingConfig(
    pool=POOL,
    workload=Workload(regimes=Regimes(loads=[0.3, 0.9], interactive_shares=[0.9, 0.5, 0.1], mean_dwell_s=3.0)),
    telemetry=Telemetry(ground_truth=True, nominal=True),
    reward=Reward(late_limit=0.1, switching_cost=0.3, shaping=True),
    randomise=EVERYTHING,
)
ACTIONS = {
    "levels": Actions(),
    "weights": Actions(mode="weights", scale_by_capacity=False),
    "deltas": Actions(mode="deltas", delay_steps=2),
}


def drawn(world: LoadBalancing, env: int) -> list[list[float]]:
    """All that was drawn for the episode of an env, and what follows from it."""
    sv, source = world.state.servers, world.state.source
    of_servers = [sv.present, sv.cores, sv.speed, sv.capacity, sv.price_usd_per_h]
    of_work = [source.load, source.interactive_share, source.mean_work_s, source.regime_rate_hz, world.deadline_s]
    return [part[env].tolist() for part in (*of_servers, *of_work)]


def configured_like(world: LoadBalancing, env: int) -> LoadBalancingConfig:
    """The config of a world of the servers that are there and nothing drawn."""
    config, sv, source = world.config, world.state.servers, world.state.source
    here = np.flatnonzero(sv.present[env])
    pool = replace(
        config.pool,
        cores=sv.cores[env, here].tolist(),
        speed=sv.speed[env, here].tolist(),
        price_usd_per_h=sv.price_usd_per_h[env, here].tolist(),
        memory_gb=np.asarray(config.pool.memory_gb)[here].tolist(),
    )
    settings = config.workload.regimes
    n_mixes = len(settings.interactive_shares)
    loads, shares = source.load[env, ::n_mixes].tolist(), source.interactive_share[env, :n_mixes].tolist()
    kinds = [
        replace(kind, mean_work_s=float(work_s), deadline_s=float(deadline_s))
        for kind, work_s, deadline_s in zip(
            config.workload.classes, source.mean_work_s[env], world.deadline_s[env], strict=True
        )
    ]
    regimes = replace(settings, loads=loads, interactive_shares=shares)
    workload = replace(config.workload, regimes=regimes, interactive=kinds[0], batch=kinds[1])
    return replace(config, pool=pool, workload=workload, randomise=Randomisation())


TERMS = tuple(rewards.TERMS)


def any_actions(config: LoadBalancingConfig, n_envs: int, n_steps: int) -> np.ndarray:
    rng = np.random.default_rng(4)
    shape = (n_steps, n_envs, config.pool.n_servers)
    return rng.integers(0, 5, shape) if config.actions.mode == "levels" else rng.uniform(-1.0, 1.0, shape)


def assert_the_same_trajectory(config: LoadBalancingConfig, env_id: int, n_steps: int = 150) -> None:
    """Step for step the same in the drawn world and in the one configured like it, whatever absent servers are told."""
    here = envs.make(config, 1, 3, env_ids=[env_id])
    observation = here.reset()
    world: Any = here.dynamics
    present = world.state.servers.present[0]
    there = envs.make(configured_like(world, 0), 1, 3, env_ids=[env_id])
    expected = there.reset()
    n_terms = here.n_terms
    for action in any_actions(config, 1, n_steps):
        rows = observation[0, :-n_terms].reshape(N_SERVERS, -1)
        assert np.array_equal(rows[present].ravel(), expected[0, :-n_terms])
        assert not rows[~present].any()
        observation, reward, _, _, info = here.step(action)
        expected, expected_reward, _, _, expected_info = there.step(action[:, present])
        assert reward == pytest.approx(expected_reward, abs=1e-12)
        assert info["reward_vector"] == pytest.approx(expected_info["reward_vector"], abs=1e-12)
        of_absent = here.action_set is not None and action[:, ~present].any()
        assert info["projected"] == expected_info["projected"] | of_absent
        assert np.array_equal(info["weights"][:, present], expected_info["weights"])
        assert not info["weights"][:, ~present].any()
    assert_the_same_figures(world, there.dynamics)


def assert_the_same_figures(world: Any, other: Any) -> None:
    figures, expected = world.statistics(), other.statistics()
    for name in expected:
        assert figures[name] == pytest.approx(expected[name], rel=1e-9), name
    assert world.observed(figures) == pytest.approx(other.observed(expected), rel=1e-6)
    assert np.array_equal(world.suggested_context(figures, TERMS), other.suggested_context(expected, TERMS))
    assert figures["arrival_rate_hz"].all()


@pytest.mark.parametrize("rule", DISPATCH_RULES)
def test_a_drawn_world_is_the_world_configured_like_it(rule: DispatchRule) -> None:
    for env_id in range(3):
        assert_the_same_trajectory(replace(TROUBLED, dispatch=Dispatch(rule)), env_id)


@pytest.mark.parametrize("mode", ACTIONS)
@pytest.mark.parametrize("service", ["ps", "fcfs"])
def test_so_it_is_with_every_mode_of_actions_and_service(mode: str, service: Any) -> None:
    config = replace(TROUBLED, actions=ACTIONS[mode], pool=replace(POOL, service=service))
    for env_id in range(3):
        assert_the_same_trajectory(config, env_id)


@pytest.mark.parametrize("name", HEURISTICS)
def test_so_it_is_under_every_balancing_rule(name: str) -> None:
    run = envs.heuristics(TROUBLED)[name](TROUBLED, [2], 3, "train")
    world: Any = run.world
    other = configured_like(world, 0)
    expected = envs.heuristics(other)[name](other, [2], 3, "train")
    for each in (run, expected):
        each.run(200, last=True)
    assert_the_same_figures(world, expected.world)
    assert not world.state.answered[~world.state.servers.present].any()


def test_ranges_of_one_point_at_what_is_configured_change_no_bit() -> None:
    points = Randomisation(
        n_servers=[3, 3],
        cores=[2, 2],
        speed=[1.5, 1.5],
        price_per_capacity=[0.25, 0.25],
        load=[1.0, 1.0],
        interactive_share=[0.0, 0.0],
        work=[1.0, 1.0],
        deadline=[1.0, 1.0],
    )
    pool = servers([2] * 3, [1.5] * 3, [0.75] * 3, max_flows=16, failure_rate_hz=0.05, repair_s=2.0)
    plain = replace(TROUBLED, pool=pool, randomise=Randomisation())
    one, other = envs.make(plain, 4, 5), envs.make(replace(plain, randomise=points), 4, 5)
    assert np.array_equal(one.reset(), other.reset())
    for action in any_actions(plain, 4, 80):
        assert np.array_equal(one.step(action)[0], other.step(action)[0])
    states: list[Any] = [batch.dynamics for batch in (one, other)]
    assert same_bits(states[0].state, states[1].state)


def test_nothing_is_drawn_unless_asked_for() -> None:
    world = started(replace(TROUBLED, randomise=Randomisation()), 3)
    sv, source, workload = world.state.servers, world.state.source, TROUBLED.workload
    for env in range(3):
        assert sv.present[env].all()
        assert sv.cores[env].tolist() == POOL.cores
        assert sv.speed[env].tolist() == POOL.speed
        assert sv.capacity[env].tolist() == POOL.capacity.tolist()
        assert sv.price_usd_per_h[env].tolist() == POOL.price_usd_per_h
        assert source.load[env].tolist() == workload.regimes.load.tolist()
        assert source.interactive_share[env].tolist() == workload.regimes.interactive_share.tolist()
        assert source.mean_work_s[env].tolist() == [kind.mean_work_s for kind in workload.classes]
        assert world.deadline_s[env].tolist() == [kind.deadline_s for kind in workload.classes]


N_DRAWS = 3000


@pytest.fixture(scope="module")
def many() -> LoadBalancing:
    """Many draws of a world whose shares never reach 0 or 1."""
    kind = WorkloadClass(mean_work_s=0.5, deadline_s=2.0, value_usd=1.0, penalty_usd=1.0)
    workload = Workload(regimes=Regimes(loads=[0.5], interactive_shares=[0.5]), interactive=kind, batch=kind)
    pool = servers([1] * 4, max_flows=4)
    randomise = replace(EVERYTHING, n_servers=[1, 3])
    return started(LoadBalancingConfig(pool=pool, workload=workload, randomise=randomise), N_DRAWS)


def uniform(values: np.ndarray, low: float, high: float) -> bool:
    """Whether values are within the range, and spread over it evenly."""
    within = (values >= low).all() and (values <= high).all()
    return bool(within and stats.kstest(values.ravel(), stats.uniform(low, high - low).cdf).pvalue > 1e-4)


def evenly(counts: np.ndarray) -> bool:
    return bool(stats.chisquare(counts).pvalue > 1e-4)


def test_continuous_draws_are_uniform_or_log_uniform_over_their_range(many: LoadBalancing) -> None:
    sv, source, drawn_from = many.state.servers, many.state.source, EVERYTHING
    here = sv.present
    per_capacity = sv.price_usd_per_h[here] / sv.capacity[here]
    slack = np.array([-1e-12, 1e-12])  # a ratio of two floats
    assert uniform(np.log(sv.speed[here]), *np.log(drawn_from.speed))
    assert uniform(np.log(per_capacity), *(np.log(drawn_from.price_per_capacity) + slack))
    assert uniform(source.load[:, 0] / 0.5, *drawn_from.load)
    assert uniform(source.interactive_share[:, 0] - 0.5, *(np.array(drawn_from.interactive_share) + slack))
    for flow_class in range(2):
        assert uniform(np.log(source.mean_work_s[:, flow_class] / 0.5), *np.log(drawn_from.work))
        assert uniform(np.log(many.deadline_s[:, flow_class] / 2.0), *np.log(drawn_from.deadline))


def test_whole_numbers_come_equally_often(many: LoadBalancing) -> None:
    sv = many.state.servers
    n_present = np.bincount(sv.present.sum(-1), minlength=5)
    assert n_present[[0, 4]].tolist() == [0, 0]
    assert evenly(n_present[1:4])
    cores = np.bincount(sv.cores[sv.present], minlength=6)
    assert cores[[0, 5]].tolist() == [0, 0]
    assert evenly(cores[1:5])


def test_every_subset_of_a_size_is_as_likely(many: LoadBalancing) -> None:
    present = many.state.servers.present
    names = present @ (1 << np.arange(4))
    for size in (1, 2, 3):
        assert evenly(np.unique(names[present.sum(-1) == size], return_counts=True)[1])


def test_draws_of_servers_and_classes_are_not_tied(many: LoadBalancing) -> None:
    sv, source = many.state.servers, many.state.source
    both = sv.present[:, 0] & sv.present[:, 1]
    columns = [sv.speed[both, 0], sv.speed[both, 1], sv.cores[both, 0], sv.cores[both, 1]]
    columns += [sv.price_usd_per_h[both, 0] / sv.capacity[both, 0], source.load[both, 0], source.interactive_share[both, 0]]
    columns += [*source.mean_work_s[both].T, *many.deadline_s[both].T]
    correlation = np.corrcoef(columns)[np.triu_indices(len(columns), 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(both.sum())


def test_shares_stay_shares() -> None:
    share = started(replace(TROUBLED, randomise=Randomisation(interactive_share=[-1.0, 1.0])), 50).state.source
    assert share.interactive_share.min() == 0.0
    assert share.interactive_share.max() == 1.0


def test_the_offered_work_is_the_load_times_the_capacity_present() -> None:
    world = started(TROUBLED, 20)
    source = world.state.source
    share, work_s = source.interactive_share, source.mean_work_s
    offered = source.regime_rate_hz * (share * work_s[:, :1] + (1 - share) * work_s[:, 1:])
    factor = source.load / TROUBLED.workload.regimes.load
    assert np.allclose(factor, factor[:, :1])
    assert np.allclose(offered / world.state.servers.capacity.sum(-1, keepdims=True), source.load)
    assert len(np.unique(world.state.servers.capacity.sum(-1))) == 20


def test_a_given_rate_is_the_mean_over_regimes_of_every_drawn_world() -> None:
    workload = replace(TROUBLED.workload, rate_hz=30.0)
    world = started(replace(TROUBLED, workload=workload, randomise=replace(EVERYTHING, load=[])), 20)
    assert world.state.source.regime_rate_hz.mean(-1) == pytest.approx(30.0)
    assert world.state.source.mean_rate_hz == pytest.approx(30.0)
    assert world.step.arrivals_per_step == pytest.approx(30.0 * TROUBLED.dt_s)


def trace_of(folder: Path, **fields: Any) -> LoadBalancingConfig:
    path = folder / "queries.tsv"
    times = np.cumsum(np.random.default_rng(0).exponential(0.05, 400))
    path.write_text("\n".join(["time\tquery", *(f"{t:.6f}\t/?n={n % 97 + 1}" for n, t in enumerate(times))]))
    workload = replace(TROUBLED.workload, arrivals="trace", path=str(path), **fields)
    load = [] if "rate_hz" in fields else EVERYTHING.load
    return replace(TROUBLED, workload=workload, randomise=replace(EVERYTHING, work=[], interactive_share=[], load=load))


def test_a_trace_is_replayed_as_fast_as_load_and_capacity_want(tmp_path: Path) -> None:
    world = started(trace_of(tmp_path), 10)
    source, trace = world.state.source, world.params.traffic
    load = source.load[:, 0] / TROUBLED.workload.regimes.load[0] * world.state.servers.capacity.sum(-1)
    assert source.trace_stretch == pytest.approx(POOL.capacity.sum() / load)
    assert source.time_s == pytest.approx(0.0)
    for env in range(10):
        for _ in range(len(trace.trace_time_s)):  # once around
            index, before_s = int(source.trace_index[env]), source.time_s[env]
            draw_next(trace, source, world.state.streams, env, 0.0)
            since_s = (
                trace.trace_time_s[index] - trace.trace_time_s[index - 1] + (trace.trace_period_s if index == 0 else 0.0)
            )
            assert source.time_s[env] - before_s == pytest.approx(since_s * source.trace_stretch[env], abs=1e-9)


def test_a_trace_with_a_rate_of_its_own_keeps_it(tmp_path: Path) -> None:
    source = started(trace_of(tmp_path, rate_hz=20.0), 5).state.source
    assert source.trace_stretch.tolist() == [1.0] * 5


def test_an_env_draws_the_same_in_every_batch() -> None:
    batch = started(TROUBLED, 5, seed=3)
    alone = [LoadBalancing(TROUBLED, [env], 3, "train") for env in range(5)]
    for _ in range(3):
        for env, world in enumerate(alone):
            world.reset_dynamics(everyone(world))
            assert drawn(world, 0) == drawn(batch, env)
        batch.reset_dynamics(everyone(batch))


def test_an_env_lives_the_same_in_every_batch() -> None:
    plan = any_actions(TROUBLED, 4, 60)
    batch = envs.make(TROUBLED, 4, 3)
    observations, steps = batch.reset(), [batch.step(action) for action in plan]
    figures = batch.dynamics.statistics()
    for env in range(4):
        alone = envs.make(TROUBLED, 1, 3, env_ids=[env])
        assert np.array_equal(alone.reset()[0], observations[env])
        for action, (seen, reward, *_) in zip(plan, steps, strict=True):
            seen_alone, reward_alone, *_ = alone.step(action[[env]])
            assert np.array_equal(seen_alone[0], seen[env])
            assert reward_alone[0] == reward[env]
        for name, values in alone.dynamics.statistics().items():
            assert values[0] == figures[name][env], name


def test_resetting_one_env_moves_no_other() -> None:
    world, other = started(TROUBLED, 4), started(TROUBLED, 4)
    before = [drawn(world, env) for env in range(4)]
    for _ in range(3):
        world.reset_dynamics(np.array([False, False, False, True]))
    assert [drawn(world, env) for env in range(3)] == before[:3]
    assert drawn(world, 3) != before[3]
    assert np.array_equal(world.state.streams[:3], other.state.streams[:3])
    world.reset_dynamics(everyone(world))
    other.reset_dynamics(everyone(other))
    assert [drawn(world, env) for env in range(3)] == [drawn(other, env) for env in range(3)]


def test_envs_seeds_roles_and_episodes_draw_differently() -> None:
    worlds = [started(TROUBLED, 2, seed) for seed in (0, 1)]
    worlds += [started(TROUBLED, 2, 0, role) for role in ("select", "evaluate")]  # type: ignore[arg-type]
    found = [str(drawn(world, env)) for world in worlds for env in range(2)]
    for world in worlds:
        world.reset_dynamics(everyone(world))
    found += [str(drawn(world, env)) for world in worlds for env in range(2)]
    assert len(set(found)) == len(found) == 16


def test_a_seed_draws_the_same_again() -> None:
    world = started(TROUBLED, 3, seed=7)
    first = [drawn(world, env) for env in range(3)]
    world.reset_dynamics(everyone(world))
    world.reseed(7)
    world.reset_dynamics(everyone(world))
    assert [drawn(world, env) for env in range(3)] == first


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Randomisation)])
def test_what_one_range_draws_does_not_depend_on_the_others(name: str) -> None:
    alone = started(replace(TROUBLED, randomise=Randomisation(**{name: getattr(EVERYTHING, name)})), 6)
    without = started(replace(TROUBLED, randomise=replace(EVERYTHING, **{name: []})), 6)
    together = started(TROUBLED, 6)
    read = {
        "n_servers": lambda world: world.state.servers.present,
        "cores": lambda world: world.state.servers.cores,
        "speed": lambda world: world.state.servers.speed,
        "price_per_capacity": lambda world: (
            world.state.servers.price_usd_per_h / np.maximum(world.state.servers.capacity, 1e-9)
        ),
        "load": lambda world: world.state.source.load,
        "interactive_share": lambda world: world.state.source.interactive_share,
        "work": lambda world: world.state.source.mean_work_s,
        "deadline": lambda world: world.deadline_s,
    }[name]
    here = together.state.servers.present if name in ("cores", "speed", "price_per_capacity") else slice(None)
    assert np.allclose(read(alone)[here], read(together)[here], rtol=1e-12)
    assert not np.allclose(read(without)[here], read(together)[here])


def test_worlds_are_drawn_from_a_stream_of_their_own() -> None:
    """Drawing deadlines and prices moves no request and no fault."""
    one = started(replace(TROUBLED, randomise=Randomisation()), 3)
    other = started(replace(TROUBLED, randomise=Randomisation(deadline=[0.5, 2.0], price_per_capacity=[0.1, 1.0])), 3)
    for action in any_actions(TROUBLED, 3, 60):
        act(one, action)
        act(other, action)
    assert np.array_equal(one.state.streams, other.state.streams)
    assert same_bits(one.state.source, other.state.source)
    assert np.array_equal(one.state.features, other.state.features)
    assert not np.array_equal(one.step.cost_usd, other.step.cost_usd)
    assert not np.array_equal(one.state.counts[..., accounts.LATE], other.state.counts[..., accounts.LATE])


@pytest.mark.parametrize("of", [0, 1])
def test_the_rule_for_contexts_goes_by_the_drawn_deadlines(of: int) -> None:
    world = started(TROUBLED, 8)
    for share, first in ((0.99, "cost"), (1.01, "latency")):
        p95_s = world.deadline_s * np.where(np.arange(2) == of, share, 0.5)
        measured = {"latency_p95_ms_interactive": 1e3 * p95_s[:, 0], "latency_p95_ms_batch": 1e3 * p95_s[:, 1]}
        assert (world.suggested_context(measured, TERMS).argmax(-1) == TERMS.index(first)).all()


@pytest.mark.parametrize("rule", DISPATCH_RULES)
def test_absent_servers_do_nothing_and_cost_nothing(rule: DispatchRule) -> None:
    world = started(replace(TROUBLED, dispatch=Dispatch(rule)), 8)
    sv, absent = world.state.servers, ~world.state.servers.present
    rng = np.random.default_rng(0)
    for _ in range(150):
        world.advance(rng.uniform(0.5, 1.0, absent.shape))  # as a rule that knows nothing of it may ask
        assert (sv.status[absent] == OFF).all()
        assert sv.known_down[absent].all()
        for part in (held(world), world.state.answered, sv.weight, world.utilisation, sv.billed_s):
            assert not part[absent].any()
        assert np.isposinf(sv.fault_s[absent]).all()
        assert np.isposinf(sv.slow_s[absent]).all()
    counts = world.state.counts
    ended = counts[..., [accounts.COMPLETED, accounts.LOST, accounts.REJECTED, accounts.IN_FLIGHT]].sum(-1)
    assert np.array_equal(counts[..., accounts.ARRIVED], ended)
    assert (world.state.answered[~absent] > 0).mean() > 0.9


def test_a_server_is_absent_for_the_episode_only() -> None:
    world = started(replace(TROUBLED, randomise=Randomisation(n_servers=[3, 3])), 2)
    answered = np.zeros((2, N_SERVERS), np.bool_)
    for _ in range(30):
        for action in any_actions(TROUBLED, 2, 20):
            act(world, np.maximum(action, 1))
        answered |= world.state.answered > 0
        world.reset_dynamics(everyone(world))
    assert answered.all()


def test_renaming_the_servers_changes_no_statistic() -> None:
    order = [3, 1, 5, 0, 2, 4]
    fields = ("cores", "speed", "price_usd_per_h", "memory_gb")
    renamed = replace(POOL, **{name: [getattr(POOL, name)[i] for i in order] for name in fields})
    randomise = Randomisation(n_servers=[2, 5])
    config = LoadBalancingConfig(pool=POOL, workload=steady(0.7, deadline_s=2.0), dt_s=1.0, randomise=randomise)
    worlds = [started(replace(config, pool=pool), 200, seed) for seed, pool in enumerate((POOL, renamed))]
    for world in worlds:
        for _ in range(60):
            act(world, np.full((200, N_SERVERS), 3))
    here, there = (world.statistics() for world in worlds)
    for name in ("latency_mean_ms", "cost_usd_per_h", "cost_share", "jain", "late_share", "utilisation", "servers_on_share"):
        error = np.sqrt((here[name].var(ddof=1) + there[name].var(ddof=1)) / 200)
        assert abs(here[name].mean() - there[name].mean()) < 4 * error, name


def test_a_weight_for_an_absent_server_is_dropped_without_a_word() -> None:
    world = started(replace(TROUBLED, pool=replace(POOL, failure_rate_hz=0.0)), 4)
    present = world.state.servers.present
    act(world, np.full(present.shape, 4))
    assert not world.projected.any()
    assert np.array_equal(world.relative_weights, present.astype(float))
    assert np.array_equal(world.weights > 0, present)


def test_weights_for_absent_servers_alone_leave_a_present_one() -> None:
    world = started(replace(TROUBLED, pool=replace(POOL, failure_rate_hz=0.0)), 6)
    present = world.state.servers.present
    last = act(world, np.random.default_rng(1).integers(1, 5, present.shape)).relative_weights
    weights = act(world, np.where(present, 0, 3)).relative_weights
    assert world.projected.all()
    assert ((weights > 0).sum(-1) == 1).all()
    kept = weights.argmax(-1)
    rows = np.arange(6)
    assert present[rows, kept].all()
    assert np.array_equal(weights.max(-1), last.max(-1))


def test_the_action_set_is_implicit_unless_servers_may_be_absent() -> None:
    assert started(replace(TROUBLED, randomise=replace(EVERYTHING, n_servers=[]))).action_set is None
    assert started(replace(TROUBLED, actions=ACTIONS["weights"])).action_set is None
    assert started(replace(TROUBLED, actions=ACTIONS["deltas"])).action_set is None


@pytest.mark.parametrize("levels", [[0.0, 0.5, 1.0], [1.0, 0.0, 0.0, 2.0], [0.5, 1.0]])
def test_the_action_set_has_all_levels_of_the_present_and_weight_0_of_the_absent(levels: list[float]) -> None:
    world = started(replace(TROUBLED, actions=Actions(levels=levels)), 6)
    for _ in range(2):
        valid = world.action_set
        assert valid is not None
        assert valid.dtype == np.bool_
        assert valid.shape == (6, N_SERVERS * len(levels))
        for env, server in np.ndindex(6, N_SERVERS):
            row = valid[env, server * len(levels) : (server + 1) * len(levels)].tolist()
            everything = world.state.servers.present[env, server] or 0.0 not in levels
            assert row == [everything or level == 0.0 for level in levels]
        world.reset_dynamics(everyone(world))


def refused(line: str, **fields: Any) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(line)}$"):
        LoadBalancingConfig(**fields)


def test_ranges_that_do_not_fit_the_world_are_refused() -> None:
    slow = replace(ServerPool(), speed=[1.0, 0.0, 1.0, 1.0])
    rate, trace = Workload(rate_hz=5.0), Workload(arrivals="trace", path="x")
    refused("randomise.n_servers must be at most 4, the pool's, got [2, 5]", randomise=Randomisation(n_servers=[2, 5]))
    refused("randomise.cores must be at most pool.max_flows (64), got [1, 65]", randomise=Randomisation(cores=[1, 65]))
    refused(
        "pool.speed must be > 0 for all when randomise.n_servers is set, got [1.0, 0.0, 1.0, 1.0]",
        pool=slow,
        randomise=Randomisation(n_servers=[1, 2]),
    )
    refused(
        "randomise.load must be [] when workload.rate_hz sets the mean rate, got [0.5, 1.0]",
        workload=rate,
        randomise=Randomisation(load=[0.5, 1.0]),
    )
    for name in ("interactive_share", "work"):
        refused(
            f"randomise.{name} must be [] when workload.arrivals is trace, got [0.5, 1.0]",
            workload=trace,
            randomise=Randomisation(**{name: [0.5, 1.0]}),
        )


def test_ranges_that_just_fit_are_not_refused() -> None:
    slow = replace(ServerPool(), speed=[1.0, 0.0, 1.0, 1.0])
    LoadBalancingConfig(randomise=Randomisation(n_servers=[4, 4], cores=[64, 64]))
    LoadBalancingConfig(pool=slow, randomise=Randomisation(n_servers=[1, 2], speed=[1.0, 2.0]))
    LoadBalancingConfig(pool=slow, randomise=Randomisation(cores=[1, 2]))
    LoadBalancingConfig(workload=Workload(rate_hz=5.0), randomise=Randomisation(work=[0.5, 2.0]))
