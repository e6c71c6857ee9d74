"""Figures of a window or an episode: differences of totals, and what settling adds."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from envs.core.histogram import quantile
from envs.load_balancing.actions import Weighting
from envs.load_balancing.config import CLASSES, Diurnal, LoadBalancingConfig, ServerPool, Workload
from envs.load_balancing.kernel import accounts
from envs.load_balancing.observation import DAY, ServerObservation, shared_names
from envs.load_balancing.statistics import METRICS, OBSERVED, LoadStatistics
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.pools import count, everyone, figures_of, inject, run, servers, started, steady, totals_of

ADDITIVE = ("duration_h", "revenue_usd", "penalty_usd", "server_cost_usd")
NOW = ("in_flight_interactive", "in_flight_batch")


def troubled() -> LoadBalancingConfig:
    return LoadBalancingConfig(pool=ServerPool(failure_rate_hz=0.1, repair_s=3.0, detection_s=1.0, max_flows=24))


def one_flow_at_a_time(**fields: object) -> LoadBalancing:
    return started(
        LoadBalancingConfig(pool=servers([1, 1], price=[2.0, 2.0]), workload=steady(0.0, 0.5, **fields), dt_s=1.0)
    )


def test_two_windows_add_up_to_the_whole() -> None:
    world = started(troubled(), 4)
    run(world, 30)
    middle = totals_of(world)
    first = figures_of(world)
    second = figures_of(run(world, 50), middle)
    whole = figures_of(world)
    for name in ADDITIVE:
        assert np.allclose(first[name] + second[name], whole[name]), name
    for name in ("cost_usd_per_h", "throughput_hz", "arrival_rate_hz", "utilisation", "jain", "servers_on", "starts_per_h"):
        assert np.allclose((30 * first[name] + 50 * second[name]) / 80, whole[name]), name
    for name in NOW:
        assert np.array_equal(second[name], whole[name]), name


def test_counts_and_histograms_of_windows_add_up() -> None:
    world = started(troubled(), 3)
    totals = [totals_of(world)]
    for _ in range(5):
        totals.append(totals_of(run(world, 10)))
    windows = [now.histogram - since.histogram for since, now in itertools.pairwise(totals)]
    assert np.array_equal(sum(windows), world.state.histogram)
    assert all((window >= 0).all() for window in windows)


def test_totals_are_a_copy() -> None:
    world = run(started(troubled(), 2), 10)
    before = totals_of(world)
    kept = [part.copy() for part in before]
    run(world, 10)
    assert all(np.array_equal(part, copy) for part, copy in zip(before, kept, strict=True))


def test_every_named_metric_is_there_per_env_and_finite() -> None:
    world = started(troubled(), 3)
    for figures in (figures_of(world), figures_of(run(world, 20))):
        for name in (*METRICS, *OBSERVED):
            assert figures[name].shape == (3,)
            assert np.isfinite(figures[name]).all()


def test_no_figure_of_a_window_is_negative() -> None:
    world = started(troubled(), 8)
    for _ in range(60):
        since = totals_of(world)
        figures = figures_of(run(world, 4), since)
        for name in figures.keys() - set(DAY):  # a point of the circle
            assert (figures[name] >= -1e-9).all(), name


def test_shares_of_an_episode_are_shares() -> None:
    world = run(started(troubled(), 8), 300)
    world.settle(everyone(world))
    figures = figures_of(world)
    for name in ("late_share", "lost_share", "interactive_share", "utilisation", "jain", "cost_share", "servers_on_share"):
        assert ((figures[name] >= 0) & (figures[name] <= 1)).all(), name
    assert (figures["lost_share"] <= figures["late_share"]).all()


def test_latency_quantiles_are_those_of_the_histogram() -> None:
    world = run(started(troubled(), 3), 40)
    since = totals_of(world)
    figures = figures_of(run(world, 40), since)
    window = world.state.histogram - since.histogram
    for name, q in {"p50": 0.5, "p95": 0.95, "p99": 0.99}.items():
        assert np.allclose(figures[f"latency_{name}_ms"], 1e3 * quantile(window.sum(1), q))
    for index, flow_class in enumerate(CLASSES):
        for name, q in {"p95": 0.95, "p99": 0.99}.items():
            assert np.allclose(figures[f"latency_{name}_ms_{flow_class}"], 1e3 * quantile(window[:, index], q))


def test_latencies_of_known_flows() -> None:
    world = one_flow_at_a_time()
    for work_s, flow_class in ((0.5, 0), (1.5, 0), (4.0, 1)):
        inject(world, 0, work_s, flow_class)
        run(world, 5)
    figures = {name: float(values[0]) for name, values in figures_of(world).items()}
    assert figures["latency_mean_ms"] == pytest.approx(2000.0)
    assert figures["latency_mean_ms_interactive"] == pytest.approx(1000.0)
    assert figures["latency_mean_ms_batch"] == pytest.approx(4000.0)
    assert figures["latency_p50_ms"] == pytest.approx(1500.0, rel=0.03)
    assert figures["latency_p99_ms_interactive"] == pytest.approx(1500.0, rel=0.03)
    assert figures["waiting_mean_ms"] == pytest.approx(2000.0)
    assert figures["throughput_hz"] == pytest.approx(3 / 15)
    assert figures["arrival_rate_hz"] == pytest.approx(3 / 15)
    assert figures["interactive_share"] == pytest.approx(2 / 3)
    assert figures["utilisation"] == pytest.approx(6.0 / 15 / 2)


def test_the_spread_of_arrivals_is_their_standard_deviation_per_second() -> None:
    world = started(LoadBalancingConfig(dt_s=0.5), 4)
    arrived = [count(world, accounts.ARRIVED).sum(-1)]
    for _ in range(50):
        arrived.append(count(run(world, 1), accounts.ARRIVED).sum(-1))
    per_second = np.diff(np.array(arrived), axis=0) / 0.5
    assert np.allclose(figures_of(world)["arrival_rate_hz"], per_second.mean(0))
    assert np.allclose(figures_of(world)["arrival_spread_hz"], per_second.std(0))


def test_every_settled_flow_is_paid_for_or_fined_once() -> None:
    """With a value and a penalty of 1 $, and a loss of 2 $, what is earned and paid counts the flows."""
    pool = servers([2, 2], max_flows=8, failure_rate_hz=0.05, repair_s=3.0)
    world = run(started(LoadBalancingConfig(pool=pool, workload=steady(1.2, deadline_s=2.0)), 6), 200)
    world.settle(everyone(world))
    figures = figures_of(world)
    arrived, unanswered = count(world, accounts.ARRIVED), count(world, accounts.LOST) + count(world, accounts.REJECTED)
    assert np.allclose(figures["revenue_usd"] + figures["penalty_usd"], (arrived + unanswered).sum(-1))
    assert (figures["revenue_usd"] > 0).all()
    assert (figures["penalty_usd"] > 0).all()


def test_revenue_and_penalty_follow_the_values_of_the_classes() -> None:
    workload = Workload()
    world = started(LoadBalancingConfig(workload=workload), 3)
    run(world, 100)
    on_time, late = count(world, accounts.ON_TIME), count(world, accounts.LATE)
    unanswered = count(world, accounts.LOST) + count(world, accounts.REJECTED)
    revenue = on_time @ [workload.interactive.value_usd, workload.batch.value_usd]
    penalty = (late - unanswered) @ [one.penalty_usd for one in workload.classes]
    penalty += unanswered @ [one.price_of_loss_usd for one in workload.classes]
    assert np.allclose(figures_of(world)["revenue_usd"], revenue)
    assert np.allclose(figures_of(world)["penalty_usd"], penalty)


def test_settling_counts_the_flows_in_flight_as_late_at_their_age() -> None:
    world = one_flow_at_a_time(deadline_s=100.0)
    inject(world, 0, 50.0, 0)
    run(world, 2)
    inject(world, 1, 50.0, 1)
    run(world, 3)
    assert figures_of(world)["late_share"][0] == 0.0
    assert figures_of(world)["latency_mean_ms"][0] == 0.0
    world.settle(everyone(world))
    figures = figures_of(world)
    assert figures["late_share"][0] == 1.0
    assert figures["latency_mean_ms_interactive"][0] == pytest.approx(5000.0)
    assert figures["latency_mean_ms_batch"][0] == pytest.approx(3000.0)
    assert figures["latency_p95_ms_batch"][0] == pytest.approx(3000.0, rel=0.03)
    assert figures["penalty_usd"][0] == pytest.approx(2.0)


def test_settling_counts_no_flow_as_late_twice() -> None:
    world = one_flow_at_a_time(deadline_s=2.0)
    inject(world, 0, 50.0)
    run(world, 5)
    assert count(world, accounts.LATE).sum() == 1
    world.settle(everyone(world))
    assert count(world, accounts.LATE).sum() == 1


def test_settling_touches_the_envs_of_its_mask_only() -> None:
    world = run(started(LoadBalancingConfig(workload=steady(0.9)), 2), 40)
    before = world.state.histogram.sum((1, 2))
    in_flight = world.measurements.in_flight.sum(-1)
    world.settle(np.array([False, True]))
    assert (world.state.histogram.sum((1, 2)) - before).tolist() == [0, in_flight[1]]


def test_what_the_upper_agent_sees_is_finite_and_of_order_one_even_in_overload() -> None:
    pool = servers([4, 4], speed=[1.0, 0.0], max_flows=50_000)
    world = started(LoadBalancingConfig(pool=pool, workload=steady(20.0), dt_s=1.0), 2)
    for _ in range(50):
        since = totals_of(world)
        seen = LoadStatistics(world.config).observed(figures_of(run(world, 5), since))
        assert seen.shape == (2, len(OBSERVED))
        assert seen.dtype == np.float32
        assert np.isfinite(seen).all()
        assert np.abs(seen).max() < 20


def test_a_larger_figure_is_seen_as_larger() -> None:
    world = run(started(LoadBalancingConfig(), 1), 5)
    figures = figures_of(world)
    observed = LoadStatistics(world.config).observed
    before = observed(figures)[0]
    for index, name in enumerate(OBSERVED):
        after = observed({**figures, name: figures[name] + 1.0})[0]
        assert after[index] > before[index]
        assert np.array_equal(np.delete(after, index), np.delete(before, index))


def test_the_upper_agent_is_given_what_the_lower_agent_is_given_of_all_traffic() -> None:
    """To the same scale, as it is at the end of a window."""
    world = started(replace(troubled(), workload=Workload(arrivals=Diurnal(period_s=40.0))), 4)
    shared = shared_names(world.config)
    below = ServerObservation(world.config, Weighting(world.config, world.n_envs))
    met = np.zeros(len(shared), np.bool_)
    for _ in range(20):
        since = totals_of(world)
        seen = LoadStatistics(world.config).observed(figures_of(run(world, 7), since))
        above = dict(zip(OBSERVED, seen.T, strict=True))
        expected = below.extract(world.measurements, everyone(world))[:, -len(shared) :]
        met |= expected.any(0)
        np.testing.assert_allclose(np.stack([above[name] for name in shared], axis=-1), expected, rtol=1e-6, atol=1e-7)
    assert met.all(), "all must have happened for this to be a test"


def test_the_upper_agent_is_told_of_the_last_switch_and_of_what_is_still_billed() -> None:
    """One of two servers is switched off for 2 s, then on, and is paid for 8 s at least."""
    pool = servers([1, 1], price=[3.0, 1.0], boot_s=1.0, min_billed_s=8.0)
    world = started(LoadBalancingConfig(pool=pool, workload=steady(0.0), dt_s=1.0))
    told = []
    for weights in ([1.0, 1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]):
        figures = figures_of(run(world, 1, weights))
        told.append((figures["since_switch_s"][0], figures["still_billed_s"][0]))
    assert told == [(1.0, 0.0), (1.0, 0.0), (2.0, 0.0), (1.0, 7.0 / 4), (2.0, 6.0 / 4), (3.0, 5.0 / 4)]
