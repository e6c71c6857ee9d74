"""Draws fill their ranges evenly, knowing nothing of batch, neighbours and one another; what does not fit is refused."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

import envs
from envs.load_balancing.config import (
    LoadBalancingConfig,
    Randomisation,
    Regimes,
    ServerPool,
    Trace,
    Workload,
    WorkloadClass,
)
from envs.load_balancing.kernel import accounts
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.pools import WeightedPool, everyone, same_bits, servers, started
from tests.envs.load_balancing.randomised import EVERYTHING, POOL, TROUBLED, any_actions


def drawn(world: LoadBalancing, env: int) -> list[list[float]]:
    """All that was drawn for the episode of an env, and what follows from it."""
    sv, source = world.state.servers, world.state.source
    of_servers = [sv.present, sv.cores, sv.speed, sv.capacity, sv.price_usd_per_h]
    of_work = [
        source.load,
        source.interactive_share,
        source.mean_work_s,
        source.regime_rate_hz,
        world.measurements.deadline_s,
    ]
    return [part[env].tolist() for part in (*of_servers, *of_work)]


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
        assert world.measurements.deadline_s[env].tolist() == [kind.deadline_s for kind in workload.classes]


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
        assert uniform(np.log(many.measurements.deadline_s[:, flow_class] / 2.0), *np.log(drawn_from.deadline))


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
    columns += [*source.mean_work_s[both].T, *many.measurements.deadline_s[both].T]
    correlation = np.corrcoef(columns)[np.triu_indices(len(columns), 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(both.sum())


def test_shares_stay_shares() -> None:
    share = started(replace(TROUBLED, randomise=Randomisation(interactive_share=[-1.0, 1.0])), 50).state.source
    assert share.interactive_share.min() == 0.0
    assert share.interactive_share.max() == 1.0


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
    figures = batch.simulation.statistics()
    for env in range(4):
        alone = envs.make(TROUBLED, 1, 3, env_ids=[env])
        assert np.array_equal(alone.reset()[0], observations[env])
        for action, (seen, reward, *_) in zip(plan, steps, strict=True):
            seen_alone, reward_alone, *_ = alone.step(action[[env]])
            assert np.array_equal(seen_alone[0], seen[env])
            assert reward_alone[0] == reward[env]
        for name, values in alone.simulation.statistics().items():
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
        "deadline": lambda world: world.measurements.deadline_s,
    }[name]
    here = together.state.servers.present if name in ("cores", "speed", "price_per_capacity") else slice(None)
    assert np.allclose(read(alone)[here], read(together)[here], rtol=1e-12)
    assert not np.allclose(read(without)[here], read(together)[here])


def test_worlds_are_drawn_from_a_stream_of_their_own() -> None:
    """Drawing deadlines and prices moves no request and no fault."""
    ranges = Randomisation(deadline=[0.5, 2.0], price_per_capacity=[0.1, 1.0])
    pools = [WeightedPool(replace(TROUBLED, randomise=randomise), 3) for randomise in (Randomisation(), ranges)]
    for action in any_actions(TROUBLED, 3, 60):
        for pool in pools:
            pool.act(action)
    one, other = (pool.dynamics for pool in pools)
    assert np.array_equal(one.state.streams, other.state.streams)
    assert same_bits(one.state.source, other.state.source)
    assert np.array_equal(one.state.features, other.state.features)
    assert not np.array_equal(one.measurements.step.cost_usd, other.measurements.step.cost_usd)
    assert not np.array_equal(one.state.counts[..., accounts.LATE], other.state.counts[..., accounts.LATE])


def refused(line: str, **fields: Any) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(line)}$"):
        LoadBalancingConfig(**fields)


def test_ranges_that_do_not_fit_the_world_are_refused() -> None:
    slow = replace(ServerPool(), speed=[1.0, 0.0, 1.0, 1.0])
    rate, trace = Workload(rate_hz=5.0), Workload(arrivals=Trace(path="x"))
    refused("randomise.n_servers must be at most 4, the pool's, got [2, 5]", randomise=Randomisation(n_servers=[2, 5]))
    refused(
        "randomise.cores must be at most pool.max_flows (64), got [1, 65]",
        pool=ServerPool(max_flows=64),
        randomise=Randomisation(cores=[1, 65]),
    )
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
