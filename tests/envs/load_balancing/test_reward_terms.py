"""The reward: terms in [0, 1], and their mix."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

import envs
from envs.core.fairness import MEASURES
from envs.load_balancing.config import (
    MMPP,
    ActionMode,
    Actions,
    FairnessField,
    LoadBalancingConfig,
    PeakEwma,
    Regimes,
    Reward,
    ServerPool,
    Workload,
)
from envs.load_balancing.kernel import accounts
from envs.load_balancing.rewards import TERMS
from envs.load_balancing.rewards.latency import LINEAR_TO_DEADLINES, WORST_DEADLINES
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.pools import (
    count,
    everyone,
    fail,
    figures_of,
    inject,
    random_steps,
    run,
    servers,
    started,
    steady,
)

N_STEPS = 80
SETTINGS: dict[str, LoadBalancingConfig] = {
    "default": LoadBalancingConfig(),
    "faults": LoadBalancingConfig(
        pool=ServerPool(failure_rate_hz=0.2, repair_s=2.0, slowdown_rate_hz=0.2, detection_s=0.5, max_flows=16)
    ),
    "overload": LoadBalancingConfig(workload=Workload(regimes=Regimes(loads=[3.0]))),
    "bursts": LoadBalancingConfig(workload=Workload(arrivals=MMPP(), work="pareto"), dispatch=PeakEwma()),
    "fcfs": LoadBalancingConfig(pool=ServerPool(service="fcfs", boot_s=2.0, min_billed_s=5.0, idle_share=1.0)),
    "silence": LoadBalancingConfig(workload=Workload(regimes=Regimes(loads=[0.0]))),
    "late_actions": LoadBalancingConfig(actions=Actions(delay_steps=3), dt_s=1.0),
}


@pytest.mark.parametrize("mode", get_args(ActionMode))
@pytest.mark.parametrize("name", SETTINGS)
def test_every_term_is_a_loss_between_zero_and_one(name: str, mode: ActionMode) -> None:
    config = replace(SETTINGS[name], actions=replace(SETTINGS[name].actions, mode=mode))
    for _, _, info in random_steps(config):
        assert tuple(info["reward_terms"]) == tuple(TERMS)
        for term in info["reward_terms"].values():
            assert ((term >= -1e-9) & (term <= 1 + 1e-9)).all()


@pytest.mark.parametrize("field", get_args(FairnessField))
@pytest.mark.parametrize("measure", MEASURES)
def test_unfairness_of_any_field_by_any_measure_is_between_zero_and_one(measure: str, field: FairnessField) -> None:
    config = replace(SETTINGS["faults"], reward=Reward(fairness_measure=measure, fairness_field=field))
    seen = np.array([info["reward_terms"]["fairness"] for _, _, info in random_steps(config)])
    assert ((seen >= 0) & (seen <= 1)).all()
    assert np.ptp(seen) > 0


@pytest.mark.parametrize("name", SETTINGS)
def test_the_reward_is_minus_the_mix_of_terms(name: str) -> None:
    for batch, reward, info in random_steps(SETTINGS[name]):
        terms = np.stack(list(info["reward_terms"].values()), axis=-1)
        assert np.allclose(reward, -(batch.context * terms).sum(-1))
        assert np.array_equal(info["reward_vector"], -terms)
        assert all(batch.reward_space.contains(row) for row in info["reward_vector"].astype(np.float32))


@pytest.mark.parametrize("corner", range(3))
def test_at_a_corner_the_reward_is_one_term(corner: int) -> None:
    batch = envs.make(LoadBalancingConfig(), 2)
    batch.set_context(np.eye(3)[corner])
    batch.reset()
    _, reward, _, _, info = batch.step(np.array([[1, 2, 3, 0, 2, 1, 0, 3], [3] * 8]))
    assert np.allclose(reward, -info["reward_terms"][list(TERMS)[corner]])


def test_a_pool_that_costs_nothing_has_a_finite_reward() -> None:
    config = LoadBalancingConfig(pool=replace(ServerPool(), price_usd_per_h=[0.0] * 4))
    for _, reward, info in random_steps(config):
        assert np.isfinite(reward).all()
        assert (info["reward_terms"]["cost"] == 0).all()


@pytest.mark.parametrize("dispatch", [0.0, 0.5])
def test_what_is_forgone_and_what_servers_cost_is_what_profit_lacks(dispatch: float) -> None:
    """Step by step, where nothing comes back: the value of all that came, less both terms, is the profit."""
    base = LoadBalancingConfig(dt_s=1.0, episode_steps=150)
    workload = replace(base.workload, retries=0.0)
    pool = replace(base.pool, max_flows=4 if dispatch else 1024)  # where few wait, some are turned away
    batch = envs.make(replace(base, pool=pool, workload=workload, reward=Reward(latency_measure="forgone")), 2)
    batch.reset()
    rng, total = np.random.default_rng(0), np.zeros(2)
    for _ in range(base.episode_steps - 1):
        _, _, _, _, info = batch.step(rng.integers(0, 3, (2, 8)))
        total += info["reward_terms"]["latency"] + info["reward_terms"]["cost"]
    simulation, (of_one, of_other) = batch.simulation, workload.classes
    counts, most_usd = simulation.measurements.counts, sum(pool.price_usd_per_h) * base.dt_s / 3600.0
    came_usd = counts[..., accounts.ARRIVED] @ [of_one.value_usd, of_other.value_usd]
    statistics = simulation.statistics()
    profit_usd = statistics["revenue_usd"] - statistics["penalty_usd"] - statistics["server_cost_usd"]
    pending = counts[..., accounts.ARRIVED] - counts[..., accounts.ON_TIME] - counts[..., accounts.LATE]  # in time so far
    pending_usd = pending @ [of_one.value_usd, of_other.value_usd]
    assert np.allclose(profit_usd, came_usd - pending_usd - total * most_usd, rtol=1e-9)
    assert (statistics["penalty_usd"] > 0).all()
    assert (counts[..., accounts.REJECTED].sum(-1) > 0).all() == bool(dispatch)


# Terms one by one


def loss_of(world: LoadBalancing, name: str) -> np.ndarray:
    """A term of the last step, ``(n_envs,)``."""
    return TERMS[name](world.config, world.measurements)


def term(world: LoadBalancing, name: str) -> float:
    return float(loss_of(world, name)[0])


def quiet(**fields: object) -> LoadBalancing:
    pool = servers([2, 2], price=[3.0, 1.0], idle_share=0.4, max_flows=256, failure_rate_hz=1e-12, repair_s=1e12)
    return started(replace(LoadBalancingConfig(pool=pool, workload=steady(0.0)), **fields))


def test_cost_is_the_share_of_what_the_pool_costs_fully_used() -> None:
    world = quiet()
    assert term(run(world, 1), "cost") == pytest.approx(0.4)
    assert term(run(world, 1, [1.0, 0.0]), "cost") == pytest.approx(0.3)
    inject(world, 0, 100.0)
    inject(world, 0, 100.0)
    assert term(run(world, 1, [1.0, 0.0]), "cost") == pytest.approx(0.75)


def test_unfairness_is_zero_when_all_servers_are_used_alike_and_one_when_one_is() -> None:
    world = quiet()
    inject(world, 0, 100.0)
    assert term(run(world, 1), "fairness") == pytest.approx(1.0)
    inject(world, 1, 100.0)
    assert term(run(world, 1), "fairness") == pytest.approx(0.0)


def test_a_server_known_to_be_down_is_no_one_to_be_fair_to() -> None:
    world = quiet()
    inject(world, 1, 100.0)
    fail(world, 0)
    assert term(run(world, 1), "fairness") == pytest.approx(1.0)
    assert term(run(world, 8), "fairness") == 0.0


def test_latency_grows_with_the_flows_that_wait_from_zero_to_one() -> None:
    seen = []
    for n_waiting in (0, 1, 4, 16, 250):
        world = quiet(workload=steady(0.0, deadline_s=1.0))
        for _ in range(n_waiting):
            inject(world, 0, 100.0)
        seen.append(term(run(world, 1), "latency"))
    assert seen[0] == 0.0
    assert seen == sorted(set(seen))
    assert seen[-1] == 1.0


def test_latency_weighs_time_by_the_deadline_of_the_class() -> None:
    """The same wait is worse for a flow with a tighter deadline."""
    config = LoadBalancingConfig(pool=servers([1, 1]), workload=Workload(regimes=Regimes(loads=[0.0])))
    seen = []
    for flow_class in (0, 1):
        world = started(config)
        inject(world, 0, 0.05, flow_class)
        seen.append(term(run(world, 1), "latency"))
    assert seen[0] > seen[1] > 0


@pytest.mark.parametrize("n_deadlines", [0.25, 1.0, WORST_DEADLINES])
def test_latency_in_a_steady_state_is_that_of_littles_law_on_its_log_scale(n_deadlines: float) -> None:
    """The mean latency in deadlines, about linear where it is small, 1 at the worst; many flows, hardly any noise."""
    pool = servers([4000], max_flows=6000)
    config = LoadBalancingConfig(pool=pool, workload=steady(0.5, deadline_s=1.0 / n_deadlines), dt_s=1.0)
    world = run(started(config), 60)
    seen = np.mean([term(run(world, 1), "latency") for _ in range(20)])
    expected = np.log1p(n_deadlines / LINEAR_TO_DEADLINES) / np.log1p(WORST_DEADLINES / LINEAR_TO_DEADLINES)
    assert seen == pytest.approx(expected, rel=0.02)


def test_a_lost_flow_is_worse_than_one_that_is_answered_in_time() -> None:
    answered, lost = quiet(), quiet()
    for world in (answered, lost):
        inject(world, 0, 0.1)
    fail(lost, 0)
    assert term(run(lost, 1), "latency") > 2 * term(run(answered, 1), "latency")


# Hoarding


@pytest.fixture
def hoarder_and_server() -> tuple[LoadBalancing, LoadBalancing]:
    """The same requests, all sent to a server that never answers, and all served."""
    pool = servers([64, 4], speed=[1.0, 0.0], max_flows=100_000)
    config = LoadBalancingConfig(pool=pool, workload=steady(0.5, deadline_s=3.0), dt_s=1.0)
    hoarder, server = started(config, 4), started(config, 4)
    for _ in range(40):
        run(hoarder, 1, [0.0, 1.0])
        run(server, 1, [1.0, 0.0])
    return hoarder, server


def test_hoarded_flows_are_late_as_soon_as_their_deadline_passes() -> None:
    pool = servers([64, 4], speed=[1.0, 0.0], max_flows=100_000)
    world = started(LoadBalancingConfig(pool=pool, workload=steady(0.5, deadline_s=3.0), dt_s=1.0))
    arrived, late = [], []
    for _ in range(20):
        run(world, 1, [0.0, 1.0])
        arrived.append(int(count(world, accounts.ARRIVED).sum()))
        late.append(int(count(world, accounts.LATE).sum()))
    assert late == [0, 0, 0, *arrived[:-3]]


def test_hoarding_is_worse_than_serving_while_it_goes_on(hoarder_and_server: tuple[LoadBalancing, ...]) -> None:
    hoarder, server = hoarder_and_server
    assert (loss_of(hoarder, "latency") > loss_of(server, "latency") + 0.3).all()
    assert (figures_of(hoarder)["waiting_mean_ms"] > 3 * figures_of(server)["waiting_mean_ms"]).all()


def profit(world: LoadBalancing) -> np.ndarray:
    figures = figures_of(world)
    return figures["revenue_usd"] - figures["penalty_usd"] - figures["server_cost_usd"]


@pytest.mark.parametrize("settled", [False, True])
def test_hoarding_earns_less_than_serving(hoarder_and_server: tuple[LoadBalancing, ...], settled: bool) -> None:
    for world in hoarder_and_server:
        if settled:
            world.settle(everyone(world))
    hoarder, server = hoarder_and_server
    assert (profit(hoarder) < 0).all()
    assert (profit(server) > 0).all()
    assert (figures_of(hoarder)["late_share"] > 0.9).all()
    assert (figures_of(hoarder)["latency_mean_ms"] > figures_of(server)["latency_mean_ms"]).all() or not settled
