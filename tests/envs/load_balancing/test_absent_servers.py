"""Absent servers do nothing, cost nothing and heed no weight, and any server may be the absent one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import envs
from envs.load_balancing.config import DISPATCH_RULES, Actions, LoadBalancingConfig, Randomisation
from envs.load_balancing.kernel import accounts
from envs.load_balancing.kernel.servers.state import OFF
from tests.envs.load_balancing.pools import WeightedPool, advance, everyone, figures_of, held, started, steady
from tests.envs.load_balancing.randomised import ACTIONS, EVERYTHING, N_SERVERS, POOL, TROUBLED, any_actions


@pytest.mark.parametrize("rule", DISPATCH_RULES)
def test_absent_servers_do_nothing_and_cost_nothing(rule: str) -> None:
    world = started(replace(TROUBLED, dispatch=DISPATCH_RULES[rule]()), 8)
    sv, absent = world.state.servers, ~world.state.servers.present
    rng = np.random.default_rng(0)
    for _ in range(150):
        advance(world, rng.uniform(0.5, 1.0, sv.weight.shape))  # as a rule that knows nothing of it may ask
        assert (sv.status[absent] == OFF).all()
        assert sv.known_down[:, 0][absent].all()
        for part in (
            held(world),
            world.state.answered,
            *sv.weight.swapaxes(0, 1),
            world.measurements.utilisation,
            sv.billed_s,
        ):
            assert not part[absent].any()
        assert np.isposinf(sv.fault_s[absent]).all()
        assert np.isposinf(sv.slow_s[absent]).all()
    counts = world.state.counts
    ended = counts[..., [accounts.COMPLETED, accounts.LOST, accounts.REJECTED, accounts.IN_FLIGHT]].sum(-1)
    assert np.array_equal(counts[..., accounts.ARRIVED], ended)
    assert (world.state.answered[~absent] > 0).mean() > 0.9


def test_a_server_is_absent_for_the_episode_only() -> None:
    pool = WeightedPool(replace(TROUBLED, randomise=Randomisation(n_servers=[3, 3])), 2)
    answered = np.zeros((2, N_SERVERS), np.bool_)
    for _ in range(30):
        for action in any_actions(TROUBLED, 2, 20):
            pool.act(np.maximum(action, 1))
        answered |= pool.state.answered > 0
        pool.reset(everyone(pool.dynamics))
    assert answered.all()


def test_renaming_the_servers_changes_no_statistic() -> None:
    order = [3, 1, 5, 0, 2, 4]
    fields = ("cores", "speed", "price_usd_per_h", "memory_gb")
    renamed = replace(POOL, **{name: [getattr(POOL, name)[i] for i in order] for name in fields})
    randomise = Randomisation(n_servers=[2, 5])
    config = LoadBalancingConfig(pool=POOL, workload=steady(0.7, deadline_s=2.0), dt_s=1.0, randomise=randomise)
    pools = [WeightedPool(replace(config, pool=pool), 200, seed) for seed, pool in enumerate((POOL, renamed))]
    for pool in pools:
        for _ in range(60):
            pool.act(np.full((200, 2 * N_SERVERS), 3))
    here, there = (figures_of(pool.dynamics) for pool in pools)
    for name in ("latency_mean_ms", "cost_usd_per_h", "cost_share", "jain", "late_share", "utilisation", "servers_on_share"):
        error = np.sqrt((here[name].var(ddof=1) + there[name].var(ddof=1)) / 200)
        assert abs(here[name].mean() - there[name].mean()) < 4 * error, name


def test_a_weight_for_an_absent_server_is_dropped_without_a_word() -> None:
    """Where actions are direct; of levels, one that is not valid counts as projected."""
    for mode, projected in (("weights", False), ("levels", True)):
        config = replace(TROUBLED, pool=replace(POOL, failure_rate_hz=0.0), actions=ACTIONS[mode])
        pool = WeightedPool(config, 4)
        present = pool.state.servers.present
        strongest = np.full((4, 2 * N_SERVERS), 4 if mode == "levels" else 1.0)
        in_both = np.stack([present, present], axis=1)
        assert np.array_equal(pool.act(strongest), in_both.astype(float))
        assert np.array_equal(pool.state.servers.weight > 0, in_both)
        assert (pool.projected == projected).all()


def test_weights_for_absent_servers_alone_leave_a_present_one() -> None:
    pool = WeightedPool(replace(TROUBLED, pool=replace(POOL, failure_rate_hz=0.0)), 6)
    present = pool.state.servers.present
    last = pool.act(np.random.default_rng(1).integers(1, 5, (6, 2 * N_SERVERS)))
    weights = pool.act(np.where(np.repeat(present, 2, axis=1), 0, 3))
    assert pool.projected.all()
    assert ((weights > 0).sum(-1) == 1).all()
    assert np.take_along_axis(present, weights.argmax(-1), axis=1).all()
    assert np.array_equal(weights.max(-1), last.max(-1))


def action_set_of(config: LoadBalancingConfig) -> np.ndarray | None:
    """The valid actions at the beginning of an episode."""
    simulation = envs.simulate(config, 1)
    simulation.reset()
    return simulation.dynamics.action_set


def test_the_action_set_is_implicit_unless_servers_may_be_absent() -> None:
    assert action_set_of(replace(TROUBLED, randomise=replace(EVERYTHING, n_servers=[]))) is None
    assert action_set_of(replace(TROUBLED, actions=ACTIONS["weights"])) is None
    assert action_set_of(replace(TROUBLED, actions=ACTIONS["deltas"])) is None


@pytest.mark.parametrize("levels", [[0.0, 0.5, 1.0], [1.0, 0.0, 0.0, 2.0], [0.5, 1.0]])
def test_the_action_set_has_all_levels_of_the_present_and_weight_0_of_the_absent(levels: list[float]) -> None:
    simulation = envs.simulate(replace(TROUBLED, actions=Actions(levels=levels)), 6)
    for _ in range(2):
        simulation.reset()
        valid, present = simulation.dynamics.action_set, simulation.measurements.present
        assert valid is not None
        assert valid.dtype == np.bool_
        assert valid.shape == (6, N_SERVERS * 2 * len(levels))
        for env, server in np.ndindex(6, N_SERVERS):
            everything = present[env, server] or 0.0 not in levels
            in_a_backend = [everything or level == 0.0 for level in levels]
            assert valid[env].reshape(N_SERVERS, -1)[server].tolist() == in_a_backend * 2
