"""A server's index means nothing: renaming the servers renames what happens to them, and changes nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from envs.load_balancing import actions
from envs.load_balancing.config import CLASSES, DISPATCH_RULES, LoadBalancingConfig, ServerPool
from tests.envs.load_balancing.pools import figures_of, run, servers, started, steady

N_ENVS, N_STEPS = 64, 400
PERMUTATION = [3, 1, 0, 2]
CORES, SPEED, PRICE = [1, 2, 1, 3], [2.0, 1.0, 1.0, 0.5], [3.0, 2.0, 1.0, 1.0]
WEIGHTS = np.array([[2.0, 2.0, 1.0, 1.5], [2.0, 1.0, 0.0, 3.0]])
"""By backend."""


def pool(order: list[int], service: str) -> ServerPool:
    return servers(
        [CORES[i] for i in order],
        [SPEED[i] for i in order],
        [PRICE[i] for i in order],
        service=service,
        max_flows=64,
        failure_rate_hz=0.01,
        repair_s=5.0,
        slowdown_rate_hz=0.02,
        slowdown_s=5.0,
    )


def figures(config: LoadBalancingConfig, weights: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    return figures_of(run(started(config, N_ENVS, seed), N_STEPS, weights))


@pytest.mark.parametrize("service", ["ps", "fcfs"])
@pytest.mark.parametrize("rule", DISPATCH_RULES)
def test_renaming_servers_changes_no_statistic(rule: str, service: str) -> None:
    workload = steady(0.7, interactive_share=0.6, deadline_s=2.0)
    config = LoadBalancingConfig(workload=workload, dispatch=DISPATCH_RULES[rule](), dt_s=1.0)
    here = figures(replace(config, pool=pool([0, 1, 2, 3], service)), WEIGHTS, seed=0)
    there = figures(replace(config, pool=pool(PERMUTATION, service)), WEIGHTS[:, PERMUTATION], seed=0)
    of_classes = (f"{what}_{name}" for what in ("latency_mean_ms", "late_share", "lost_share") for name in CLASSES)
    for name in ("latency_mean_ms", "cost_usd_per_h", "jain", "late_share", "lost_share", "utilisation", *of_classes):
        difference = here[name] - there[name]
        error = np.sqrt((here[name].var(ddof=1) + there[name].var(ddof=1)) / N_ENVS)
        assert abs(difference.mean()) < 4 * error, name


@pytest.mark.parametrize("rule", DISPATCH_RULES)
def test_renaming_servers_renames_who_answers(rule: str) -> None:
    workload = steady(0.7, interactive_share=0.6)
    config = LoadBalancingConfig(workload=workload, dispatch=DISPATCH_RULES[rule](), dt_s=1.0)
    here = run(started(replace(config, pool=pool([0, 1, 2, 3], "ps")), N_ENVS), N_STEPS, WEIGHTS)
    renamed = WEIGHTS[:, PERMUTATION]
    there = run(started(replace(config, pool=pool(PERMUTATION, "ps")), N_ENVS), N_STEPS, renamed)
    a, b = here.state.answered[:, PERMUTATION].astype(float), there.state.answered.astype(float)
    error = np.sqrt((a.var(0, ddof=1) + b.var(0, ddof=1)) / N_ENVS)
    assert (np.abs((a - b).mean(0)) < 4 * error).all()


@pytest.mark.parametrize("rule", DISPATCH_RULES)
def test_the_first_flow_of_an_idle_pool_of_equals_goes_anywhere(rule: str) -> None:
    config = LoadBalancingConfig(pool=servers([1] * 5), workload=steady(0.02), dispatch=DISPATCH_RULES[rule](), dt_s=1.0)
    world = run(started(config, 3000), 8)
    first = world.state.answered + world.state.servers.n_running
    chosen = first[first.sum(-1) == 1].sum(0)
    assert chosen.sum() > 500
    assert stats.chisquare(chosen).pvalue > 1e-4


@pytest.mark.parametrize("rule", DISPATCH_RULES)
def test_equal_servers_get_equal_shares_in_the_long_run(rule: str) -> None:
    config = LoadBalancingConfig(
        pool=servers([1] * 4, max_flows=256), workload=steady(0.6), dispatch=DISPATCH_RULES[rule](), dt_s=5.0
    )
    answered = run(started(config, N_ENVS), 100).state.answered.astype(float)
    share = answered / answered.sum(-1, keepdims=True)
    error = share.std(0, ddof=1) / np.sqrt(N_ENVS)
    assert (np.abs(share.mean(0) - 0.25) < 4 * error).all()


def test_a_booting_server_is_picked_at_random_too() -> None:
    config = LoadBalancingConfig(pool=servers([1] * 4, boot_s=100.0), workload=steady(0.02), dt_s=1.0)
    world = started(config, 2000)
    run(world, 1, weights=0.0)
    run(world, 8, weights=1.0)
    waiting = world.state.servers.n_running
    chosen = waiting[waiting.sum(-1) == 1].sum(0)
    assert chosen.sum() > 300
    assert stats.chisquare(chosen).pvalue > 1e-4


def test_renaming_servers_renames_the_projection() -> None:
    rng = np.random.default_rng(0)
    asked = rng.choice([0.0, 0.0, 0.5, 1.0], (200, 2, 4))
    last, known_down = rng.random((200, 2, 4)), rng.random((200, 4)) < 0.3
    weights, changed = actions.project(asked, last, known_down)
    renamed, changed_too = actions.project(asked[..., PERMUTATION], last[..., PERMUTATION], known_down[:, PERMUTATION])
    assert changed.any()
    assert np.array_equal(weights[..., PERMUTATION], renamed)
    assert np.array_equal(changed, changed_too)
