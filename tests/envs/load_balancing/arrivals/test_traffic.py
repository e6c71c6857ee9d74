"""How many flows come, when, of which class and with how much work."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from envs.load_balancing.config import MMPP, LoadBalancingConfig, Poisson, Regimes, Workload
from envs.load_balancing.kernel import accounts
from envs.load_balancing.kernel.arrivals.traffic import draw_next
from tests.envs.load_balancing.pools import advance, run, same_weights, servers, standard_errors, started, steady

N_ENVS = 64
POOL = servers([8], max_flows=4096)


def arrivals(config: LoadBalancingConfig, n_steps: int, seed: int = 0) -> np.ndarray:
    """Arrivals of each step ``(N_ENVS, n_steps)``."""
    world = started(config, N_ENVS, seed)
    totals = [world.state.counts[..., accounts.ARRIVED].sum(-1)]
    for _ in range(n_steps):
        run(world, 1)
        totals.append(world.state.counts[..., accounts.ARRIVED].sum(-1))
    return np.diff(np.array(totals), axis=0).T


def config_of(workload: Workload, dt_s: float = 1.0) -> LoadBalancingConfig:
    return LoadBalancingConfig(pool=POOL, workload=workload, dt_s=dt_s)


def requests(workload: Workload, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time, class and work of the first ``n`` requests of one env in a single regime."""
    world = started(config_of(workload), seed=seed)
    traffic_of, source, stream = world.params.traffic, world.state.source, world.state.streams
    rows = []
    for _ in range(n):
        assert source.is_request[0]
        rows.append((source.time_s[0], source.flow_class[0], source.work_s[0]))
        draw_next(traffic_of, source, stream, 0, source.time_s[0])
    times, classes, work = zip(*rows, strict=True)
    return np.array(times), np.array(classes), np.array(work)


def endless(workload: Workload) -> Workload:
    """The same in one regime that never ends."""
    return replace(workload, regimes=replace(workload.regimes, mean_dwell_s=1e12))


def test_poisson_counts_have_the_mean_and_variance_of_their_rate() -> None:
    counts = arrivals(config_of(steady(0.5)), 300)
    assert standard_errors(counts.ravel(), 4.0) < 4
    assert standard_errors(counts.var(-1, ddof=1), 4.0) < 4
    assert standard_errors((counts[:, 1:] - 4.0).ravel() * (counts[:, :-1] - 4.0).ravel(), 0.0) < 4


def test_poisson_counts_have_the_poisson_distribution() -> None:
    counts = arrivals(config_of(steady(0.25)), 300).ravel()
    observed = np.bincount(np.minimum(counts, 7), minlength=8)
    expected = stats.poisson(2.0).pmf(np.arange(7)) * counts.size
    assert stats.chisquare(observed, [*expected, counts.size - expected.sum()]).pvalue > 1e-4


def test_gaps_are_exponential() -> None:
    times, _, _ = requests(endless(steady(0.5)), 20_000)
    assert stats.kstest(np.diff(times), stats.expon(scale=1 / 4.0).cdf).pvalue > 1e-4


@pytest.mark.parametrize(("distribution", "cv"), [("exponential", 1.0), ("lognormal", 0.7), ("pareto", (4.5 * 2.5) ** -0.5)])
def test_work_has_its_mean_and_coefficient_of_variation(distribution: str, cv: float) -> None:
    workload = steady(0.5, work=distribution, work_cv=0.7, pareto_shape=4.5)
    _, _, work = requests(endless(workload), 60_000)
    assert standard_errors(work, 1.0) < 4
    assert work.std() / work.mean() == pytest.approx(cv, rel=0.05)
    assert (work > 0).all()


def test_pareto_work_has_its_tail() -> None:
    _, _, work = requests(endless(steady(0.5, work="pareto", pareto_shape=2.5)), 60_000)
    least = 1.5 / 2.5
    assert work.min() >= least
    assert stats.kstest(work, stats.pareto(2.5, scale=least).cdf).pvalue > 1e-4


def test_classes_come_in_their_shares_with_their_own_work() -> None:
    workload = endless(Workload(arrivals=Poisson(), regimes=Regimes(loads=[0.5], interactive_shares=[0.8])))
    _, classes, work = requests(workload, 40_000)
    assert standard_errors(classes == 0, 0.8) < 4
    assert standard_errors(work[classes == 0], workload.interactive.mean_work_s) < 4
    assert standard_errors(work[classes == 1], workload.batch.mean_work_s) < 4


def test_the_offered_work_is_the_load_of_the_regime() -> None:
    regimes = Regimes(loads=[0.2, 0.9], interactive_shares=[1.0, 0.5, 0.0])
    config = config_of(Workload(regimes=regimes))
    workload, share = config.workload, regimes.interactive_share
    mean_work_s = share * workload.interactive.mean_work_s + (1 - share) * workload.batch.mean_work_s
    offered = started(config).state.source.regime_rate_hz[0] * mean_work_s / config.pool.capacity.sum()
    assert np.allclose(offered, [0.2, 0.2, 0.2, 0.9, 0.9, 0.9])


def test_a_given_rate_is_the_mean_over_regimes_and_keeps_their_ratios() -> None:
    config = config_of(Workload(rate_hz=30.0))
    free = config_of(Workload())
    rates, free_rates = (started(each).state.source.regime_rate_hz[0] for each in (config, free))
    assert rates.mean() == pytest.approx(30.0)
    assert np.allclose(rates / free_rates, rates[0] / free_rates[0])


def test_a_rate_with_regimes_that_offer_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"regimes.loads must be > 0 for at least one level when rate_hz is set"):
        Workload(rate_hz=30.0, regimes=Regimes(loads=[0.0]))


def test_a_load_of_zero_brings_nothing() -> None:
    assert arrivals(config_of(steady(0.0)), 20).sum() == 0


def test_bursts_keep_the_mean_rate_and_raise_the_variance() -> None:
    bursty = steady(0.5, arrivals=MMPP(burst_factor=5.0, burst_s=2.0, calm_s=6.0))
    counts = arrivals(config_of(bursty), 1500)
    assert standard_errors(counts.mean(-1), 4.0) < 4
    variance = counts.var(-1, ddof=1)
    assert variance.mean() - 4 * variance.std() / np.sqrt(N_ENVS) > 1.5 * 4.0


def test_bursts_have_the_variance_of_a_modulated_poisson_process() -> None:
    """A count over t varies by ``m t + 2 s^2 / k^2 (k t - 1 + exp(-k t))``, k the sum of the two rates of change."""
    bursty = steady(0.5, arrivals=MMPP(burst_factor=5.0, burst_s=2.0, calm_s=6.0))
    counts = arrivals(config_of(bursty), 1500)
    calm = 4.0 / (0.75 + 0.25 * 5.0)
    spread = (5.0 * calm - calm) ** 2 * 0.25 * 0.75
    k = 1 / 2.0 + 1 / 6.0
    expected = 4.0 + 2 * spread / k**2 * (k - 1 + np.exp(-k))
    assert standard_errors(((counts - 4.0) ** 2).mean(-1), expected) < 4


def test_a_burst_factor_of_one_is_poisson() -> None:
    counts = arrivals(config_of(steady(0.5, arrivals=MMPP(burst_factor=1.0))), 300)
    assert standard_errors(counts.var(-1, ddof=1), 4.0) < 4


@pytest.fixture(scope="module")
def regimes_by_step() -> np.ndarray:
    """Of nine memoryless regimes of 20 s that follow each other at random, without any flow."""
    return seen_by_step(Regimes(loads=[0.0, 0.0, 0.0], mean_dwell_s=20.0, n_stages=1, order="random"))


def seen_by_step(regimes: Regimes) -> np.ndarray:
    """The regime after every second ``(N_ENVS, n_steps)``."""
    world = started(config_of(Workload(regimes=regimes)), N_ENVS)
    seen = []
    for _ in range(3000):
        run(world, 1)
        seen.append(world.state.source.regime.copy())
    return np.array(seen).T


def test_all_regimes_are_equally_frequent(regimes_by_step: np.ndarray) -> None:
    for regime in range(9):
        assert standard_errors((regimes_by_step == regime).mean(-1), 1 / 9) < 4


def test_the_first_regime_is_uniform() -> None:
    config = config_of(Workload(regimes=Regimes()))
    first = np.bincount(started(config, 2000).state.source.regime, minlength=9)
    assert stats.chisquare(first).pvalue > 1e-4


def test_regimes_last_their_mean_dwell(regimes_by_step: np.ndarray) -> None:
    """Seen once a second, a chain that jumps to any other of nine regimes differs with the probability below."""
    changed = regimes_by_step[:, 1:] != regimes_by_step[:, :-1]
    expected = 8 / 9 * (1 - np.exp(-9 / 8 * 1.0 / 20.0))
    assert standard_errors(changed.mean(-1), expected) < 4


def test_every_other_regime_is_equally_likely_to_follow(regimes_by_step: np.ndarray) -> None:
    before, after = regimes_by_step[:, :-1].ravel(), regimes_by_step[:, 1:].ravel()
    jump = ((after - before) % 9)[before != after]
    assert stats.chisquare(np.bincount(jump, minlength=9)[1:]).pvalue > 1e-4


@pytest.mark.parametrize("n_stages", [4, 16])
def test_a_regime_lasts_as_long_as_its_stages_together(n_stages: int) -> None:
    """The sum of ``k`` exponential times has the mean that is asked for and 1 / k of its square as variance (Erlang)."""
    by_step = seen_by_step(Regimes(loads=[0.0, 0.0], interactive_shares=[0.5], mean_dwell_s=50.0, n_stages=n_stages))
    lengths = np.concatenate([np.diff(np.flatnonzero(np.diff(row))) for row in by_step]).astype(float)
    assert standard_errors(lengths, 50.0) < 4
    assert standard_errors((lengths - 50.0) ** 2, 50.0**2 / n_stages + 1 / 6) < 4, "seen once a second"


def test_an_episode_begins_anywhere_in_a_regime() -> None:
    """What is left of the first regime has the mean (k + 1) / 2k of a whole one."""
    by_step = seen_by_step(Regimes(loads=[0.0, 0.0], interactive_shares=[0.5], mean_dwell_s=50.0, n_stages=4))
    many = started(config_of(Workload(regimes=Regimes(n_stages=4))), 2000)
    assert stats.chisquare(np.bincount(many.state.source.stage, minlength=4)).pvalue > 1e-4
    first = np.array([np.flatnonzero(np.diff(row))[0] + 1.5 for row in by_step])
    assert standard_errors(first, 50.0 * 5 / 8) < 4


def test_regimes_follow_each_other_in_turn() -> None:
    by_step = seen_by_step(
        Regimes(loads=[0.0, 0.0], interactive_shares=[0.5, 0.5], mean_dwell_s=20.0, n_stages=16, order="turn")
    )
    before, after = by_step[:, :-1].ravel(), by_step[:, 1:].ravel()
    assert set((after - before) % 4) == {0, 1}


def test_regimes_change_inside_windows_at_any_instant() -> None:
    config = config_of(Workload(regimes=Regimes(loads=[0.0, 0.0], mean_dwell_s=60.0, n_stages=1)))
    world = started(config, N_ENVS)
    ends: set[float] = set()
    for _ in range(3000):
        run(world, 1)
        ends |= set(world.state.source.stage_until_s)
    within = np.array(sorted(ends)) % 1.0
    assert len(within) > 1000
    assert stats.kstest(within, "uniform").pvalue > 1e-4


def test_the_rate_follows_the_regime() -> None:
    config = config_of(Workload(regimes=Regimes(loads=[0.1, 0.6], interactive_shares=[1.0], mean_dwell_s=50.0)))
    world = started(config, N_ENVS)
    rates = world.state.source.regime_rate_hz[0]
    counts: dict[int, list[float]] = {0: [], 1: []}
    for _ in range(300):
        before, arrived = world.state.source.regime.copy(), world.state.counts[..., accounts.ARRIVED].sum(-1)
        until = world.state.source.stage_until_s.copy()
        run(world, 1)
        unchanged = until > world.state.clock_s
        new = world.state.counts[..., accounts.ARRIVED].sum(-1) - arrived
        for regime in (0, 1):
            counts[regime] += list(new[unchanged & (before == regime)])
    for regime in (0, 1):
        assert standard_errors(np.array(counts[regime]), rates[regime]) < 4


def test_the_steps_of_the_agent_do_not_move_arrivals() -> None:
    """The same requests come whether the agent acts every second or eight times as often."""
    coarse, fine = started(config_of(steady(0.5), 1.0), 3), started(config_of(steady(0.5), 0.125), 3)
    run(coarse, 20)
    for _ in itertools.repeat(None, 160):
        advance(fine, same_weights(fine))
    assert np.array_equal(coarse.state.counts[..., accounts.ARRIVED], fine.state.counts[..., accounts.ARRIVED])
    assert np.array_equal(coarse.state.source.time_s, fine.state.source.time_s)
