"""A planner over a rule: it takes what is better, and leaves what isn't."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import envs
from envs.load_balancing.config import LoadBalancingConfig, Poisson, Regimes, ServerPool, Workload, WorkloadClass
from hierarchy.arms.running import Batch
from hierarchy.config import ExperimentConfig
from runs.studies import headroom, rollouts
from runs.studies.episodes import of_rule
from runs.studies.rollouts import Horizon, settings_to_try

SHORT = Horizon(every_s=1.0, hold_s=1.0, ahead_s=4.0, n_screened=2, n_kept=2, n_futures=4, n_errors=1.0)
KIND = WorkloadClass(mean_work_s=0.05, deadline_s=1.0, value_usd=1e-5, penalty_usd=1e-5)
CALM = LoadBalancingConfig(
    pool=ServerPool(
        cores=[4, 4], speed=[1.0, 1.0], price_usd_per_h=[0.2, 5.0], memory_gb=[4.0, 4.0], boot_s=1.0, min_billed_s=1.0
    ),
    workload=Workload(
        arrivals=Poisson(), regimes=Regimes(loads=[0.1], interactive_shares=[0.5]), interactive=KIND, batch=KIND
    ),
)
"""The cheap server is enough, the dear one a waste."""


def of(config: LoadBalancingConfig) -> ExperimentConfig:
    return ExperimentConfig(env=config)


def always_on(config: LoadBalancingConfig) -> dict[str, Any]:
    """Numbers with which a rule never switches anything off."""
    first = dict(envs.rules(config)["autoscale_pools"].first(config)[0])
    up = {f"up_{group}": first[f"up_in_flight_{group}"] for group in (0, 1)}
    n = config.pool.n_servers
    return first | up | {f"least_{group}": n for group in (0, 1)} | {f"more_{group}": 0 for group in (0, 1)}


def batch(config: LoadBalancingConfig) -> Batch:
    return Batch(config, "evaluate", range(4), 3)


def planned(config: LoadBalancingConfig) -> np.ndarray:
    return headroom.of_planner(of(config), "autoscale_pools", batch(config), always_on(config), SHORT).objective


def followed(config: LoadBalancingConfig) -> np.ndarray:
    return of_rule(of(config), "autoscale_pools", batch(config), [always_on(config)]).objective


@pytest.mark.slow
def test_a_waste_is_found_and_ended() -> None:
    assert (planned(CALM) > followed(CALM) + 1.0).all()


@pytest.mark.slow
def test_where_nothing_is_better_the_rule_is_followed_to_the_bit() -> None:
    """With one server every setting is the same."""
    pool = ServerPool(cores=[4], speed=[1.0], price_usd_per_h=[0.2], memory_gb=[4.0])
    alone = replace(CALM, pool=pool)
    np.testing.assert_array_equal(planned(alone), followed(alone))


@pytest.mark.slow
def test_planning_is_the_same_however_futures_are_cut_into_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = replace(CALM, workload=replace(CALM.workload, regimes=Regimes(loads=[0.5], interactive_shares=[0.5])))
    at_once = planned(busy)
    monkeypatch.setattr(rollouts, "MAX_ROWS", 3)
    np.testing.assert_array_equal(planned(busy), at_once)


def test_settings_are_stretches_for_the_dearest_class_and_the_cheapest_for_the_others() -> None:
    tried = settings_to_try(LoadBalancingConfig())
    capacity = LoadBalancingConfig().pool.capacity
    assert tried.shape == (10 * 4, 2, 4)
    assert len({one.tobytes() for one in tried}) == len(tried)
    by_price = tried[..., ::-1]  # the default's servers stand in order of price, the dearest first
    for first, others in by_price:
        on = np.flatnonzero(first)
        assert (np.diff(on) == 1).all()
        n = np.count_nonzero(others)
        assert (others[:n] > 0).all()
        np.testing.assert_array_equal(first[on], capacity[::-1][on])
