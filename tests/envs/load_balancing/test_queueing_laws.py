"""The event loop against closed forms of queueing theory. Flows bring 1 s of work on average; every env is one sample."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from envs.load_balancing.config import LoadBalancingConfig, ServerPool, WeightedRandom
from envs.load_balancing.kernel import accounts
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.closed_forms import agrees, erlang_b, mmc_latency_s
from tests.envs.load_balancing.pools import (
    advance,
    everyone,
    figures_of,
    run,
    same_weights,
    servers,
    started,
    steady,
    totals_of,
)

N_ENVS = 32
LOADS = [0.3, 0.6, pytest.param(0.9, marks=pytest.mark.slow)]
N_FLOWS = {0.3: 1e6, 0.5: 2e6, 0.6: 2e6, 0.9: 8e6}
"""Flows that bring the standard error of the mean latency well below one per cent."""
WARM_UP_S = {0.3: 200.0, 0.5: 400.0, 0.6: 500.0, 0.9: 6000.0}


def queue(load: float, pool: ServerPool, **workload: object) -> LoadBalancingConfig:
    return LoadBalancingConfig(pool=pool, workload=steady(load, **workload), dt_s=50.0)


def one_server(service: str, cores: int = 1, max_flows: int = 2048) -> ServerPool:
    return servers([cores], service=service, max_flows=max_flows)


def after_warm_up(config: LoadBalancingConfig, load: float, n_flows: float) -> tuple[LoadBalancing, dict[str, np.ndarray]]:
    """The world, and its statistics from the end of the warm-up until about ``n_flows`` came to all envs together."""
    world = run(started(config, N_ENVS, seed=1), round(WARM_UP_S[load] / config.dt_s))
    since = totals_of(world)
    n_steps = math.ceil(n_flows / (load * config.pool.capacity.sum() * config.dt_s * N_ENVS))
    return world, figures_of(run(world, n_steps), since)


def mean_latencies_s(config: LoadBalancingConfig, load: float) -> np.ndarray:
    """Mean latency of each env ``(N_ENVS,)``."""
    return after_warm_up(config, load, N_FLOWS[load])[1]["latency_mean_ms"] / 1e3


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("service", ["ps", "fcfs"])
def test_one_core_has_the_mean_latency_of_mm1(service: str, load: float) -> None:
    assert agrees(mean_latencies_s(queue(load, one_server(service)), load), 1 / (1 - load))


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("n_cores", [2, 5])
def test_fcfs_workers_have_the_mean_latency_of_mmc(n_cores: int, load: float) -> None:
    assert agrees(mean_latencies_s(queue(load, one_server("fcfs", n_cores)), load), mmc_latency_s(n_cores, load))


def test_shared_cores_have_the_mean_latency_of_mmc_too() -> None:
    assert agrees(mean_latencies_s(queue(0.6, one_server("ps", 4)), 0.6), mmc_latency_s(4, 0.6))


def test_a_faster_core_shortens_time_in_proportion() -> None:
    pool = servers([1], speed=[2.5], max_flows=2048)
    config = replace(queue(0.6, pool), dt_s=20.0)
    assert agrees(mean_latencies_s(config, 0.6), 1 / 2.5 / (1 - 0.6))


@pytest.mark.parametrize("work", ["exponential", "lognormal", "pareto"])
def test_processor_sharing_is_insensitive_to_the_distribution_of_work(work: str) -> None:
    config = queue(0.6, one_server("ps"), work=work, pareto_shape=2.5)
    assert agrees(mean_latencies_s(config, 0.6), 1 / (1 - 0.6))


def test_fcfs_is_not_and_follows_pollaczek_and_khinchine() -> None:
    config = queue(0.5, one_server("fcfs"), work="lognormal", work_cv=1.5)
    expected = 1 + 0.5 * (1 + 1.5**2) / (2 * (1 - 0.5))
    assert agrees(mean_latencies_s(config, 0.5), expected)


@pytest.mark.parametrize("service", ["ps", "fcfs"])
def test_a_full_server_turns_away_as_many_as_erlang_b_says(service: str) -> None:
    """With as many places as cores both disciplines are M/G/c/c."""
    config = queue(0.9, one_server(service, cores=4, max_flows=4), work="lognormal")
    _, figures = after_warm_up(config, 0.9, 1e6)
    assert agrees(figures["lost_share"], erlang_b(4, 4 * 0.9))


def test_latencies_of_mm1_fcfs_are_exponential() -> None:
    _, figures = after_warm_up(queue(0.6, one_server("fcfs")), 0.6, N_FLOWS[0.6])
    for name, q in {"p50": 0.50, "p95": 0.95, "p99": 0.99}.items():
        expected_ms = -1e3 * math.log(1 - q) / (1 - 0.6)
        assert figures[f"latency_{name}_ms"].mean() == pytest.approx(expected_ms, rel=0.03)


def test_random_dispatch_splits_poisson_arrivals_into_poisson_arrivals() -> None:
    pool = servers([1, 1], speed=[2.0, 1.0], max_flows=2048)
    config = replace(queue(0.6, pool), dispatch=WeightedRandom())
    world = started(config, N_ENVS, seed=1)
    run(world, 10, weights=[2.0, 1.0])
    since = totals_of(world)
    run(world, 700, weights=[2.0, 1.0])
    expected = 2 / 3 * 0.5 / (1 - 0.6) + 1 / 3 * 1.0 / (1 - 0.6)
    assert agrees(figures_of(world, since)["latency_mean_ms"] / 1e3, expected)


def latencies_of_classes_s(config: LoadBalancingConfig, weights: list[list[float]]) -> np.ndarray:
    """Mean latency of each env and class ``(N_ENVS, n_classes)`` under weights of a backend for each."""
    world = run(started(config, N_ENVS, seed=1), 30, weights)
    since = totals_of(world)
    until = totals_of(run(world, 700, weights))
    latency_s = (until.times - since.times)[..., accounts.LATENCY_S]
    mean: np.ndarray = latency_s / (until.counts - since.counts)[..., accounts.COMPLETED]
    return mean


def test_classes_that_share_no_server_are_as_many_mm1_as_there_are_servers() -> None:
    """Class 0 on servers 0 and 1, class 1 on 2 and 3, split at random by the weights: each server is its own queue."""
    pool = servers([1] * 4, speed=[1.0, 2.0, 3.0, 1.0], max_flows=2048)
    workload = steady(0.4, interactive_share=0.25)
    config = LoadBalancingConfig(pool=pool, workload=workload, dispatch=WeightedRandom(), dt_s=50.0)
    weights = [[1.0, 3.0, 0.0, 0.0], [0.0, 0.0, 4.0, 1.0]]
    rate_hz = 0.4 * 7.0
    expected = [
        sum(share / (speed - own_hz * share) for share, speed in split)
        for own_hz, split in (
            (0.25 * rate_hz, ((0.25, 1.0), (0.75, 2.0))),
            (0.75 * rate_hz, ((0.8, 3.0), (0.2, 1.0))),
        )
    ]
    for samples, latency_s in zip(latencies_of_classes_s(config, weights).T, expected, strict=True):
        assert agrees(samples, latency_s)


@pytest.mark.parametrize("service", ["ps", "fcfs"])
def test_utilisation_is_the_offered_load(service: str) -> None:
    _, figures = after_warm_up(queue(0.6, one_server(service, cores=3)), 0.6, 1e6)
    assert agrees(figures["utilisation"], 0.6)


@pytest.mark.parametrize("service", ["ps", "fcfs"])
def test_little_number_in_system_is_rate_times_latency(service: str) -> None:
    config = queue(0.6, one_server(service, cores=2))
    world = run(started(config, N_ENVS, seed=1), 10)
    since = totals_of(world)
    n_steps = 400
    figures = figures_of(run(world, n_steps), since)
    delta = totals_of(world).times - since.times
    mean_in_system = delta[..., accounts.FLOW_SECONDS].sum(-1) / (n_steps * config.dt_s)
    rate_times_latency = figures["arrival_rate_hz"] * figures["latency_mean_ms"] / 1e3
    assert np.allclose(mean_in_system, rate_times_latency, rtol=0.01)


@pytest.mark.parametrize("service", ["ps", "fcfs"])
def test_time_in_system_is_that_of_the_answered_plus_the_age_of_the_waiting(service: str) -> None:
    """Little's law on one path, without limits: exact once the flows in flight are settled."""
    world = run(started(queue(0.9, one_server(service)), N_ENVS), 20)
    world.settle(everyone(world))
    times = world.state.times
    assert world.measurements.in_flight.sum() > 0
    assert np.allclose(times[..., accounts.FLOW_SECONDS], times[..., accounts.LATENCY_S], rtol=1e-9, atol=1e-6)


def test_the_number_of_steps_does_not_change_what_happens() -> None:
    """A step only looks at the queue: under constant weights short and long steps see the same completions."""
    config = queue(0.6, one_server("ps"))
    coarse = run(started(config, 4), 6)
    fine = started(replace(config, dt_s=config.dt_s / 8), 4)
    for _ in range(48):
        advance(fine, same_weights(fine))
    assert np.array_equal(coarse.state.histogram, fine.state.histogram)
    assert np.allclose(coarse.state.times[..., accounts.LATENCY_S], fine.state.times[..., accounts.LATENCY_S])
