"""Days: when requests of each class come, and what of a day can be known."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats

from envs.load_balancing.config import ARRIVALS as SOURCES
from envs.load_balancing.config import Diurnal, LoadBalancingConfig, Regimes
from envs.load_balancing.config.events import check_events
from envs.load_balancing.kernel.arrivals.traffic import draw_next
from tests.envs.load_balancing.pools import everyone, run, servers, standard_errors, started, steady

PERIOD_S = 40.0
N_DAYS = 300
N_HOURS = 20
RATE_HZ = 4.0


class Requests(NamedTuple):
    """Requests of one env over whole days, from the time of day at which it began."""

    time_s: np.ndarray  # (n,)
    flow_class: np.ndarray  # (n,)
    phase: float

    def of(self, flow_class: int) -> np.ndarray:
        """Instants of a class, in days since a midnight, ``(n,)``."""
        return self.phase + self.time_s[self.flow_class == flow_class] / PERIOD_S


def config_of(days: Diurnal, interactive_share: float, dt_s: float = 1.0) -> LoadBalancingConfig:
    """Four requests a second in a regime that never ends."""
    regimes = Regimes(loads=[0.5], interactive_shares=[interactive_share], mean_dwell_s=1e12)
    workload = replace(steady(0.5, arrivals=days), regimes=regimes)
    return LoadBalancingConfig(pool=servers([8], max_flows=4096), workload=workload, dt_s=dt_s)


def drawn(days: Diurnal, interactive_share: float, n_days: int = N_DAYS, seed: int = 0) -> Requests:
    world = started(config_of(days, interactive_share), seed=seed)
    source, rows = world.state.source, []
    while source.time_s[0] < n_days * days.period_s:
        assert source.is_request[0]
        rows.append((source.time_s[0], source.flow_class[0]))
        draw_next(world.params.traffic, source, world.state.streams, 0, source.time_s[0])
    times, classes = zip(*rows, strict=True)
    return Requests(np.array(times), np.array(classes), float(world.measurements.time_of_day[0]))


def expected(rate_hz: float, swing: float, start: float, end: float) -> float:
    """Requests to expect from one time of day to another at ``rate_hz (1 + swing sin)``."""
    wave = (np.cos(2 * np.pi * start) - np.cos(2 * np.pi * end)) / (2 * np.pi)
    return float(rate_hz * PERIOD_S * (end - start + swing * wave))


SWINGS = [(0.8, 1.0, 0.5), (0.8, -1.0, 0.5), (1.0, -1.0, 0.9), (0.6, 0.0, 0.2), (1.0, 0.5, 0.3), (0.5, -0.4, 1.0)]
"""Amplitude, swing of batch requests, interactive share."""


@pytest.fixture(scope="module", params=SWINGS, ids=str)
def case(request: pytest.FixtureRequest) -> tuple[Diurnal, float, Requests]:
    amplitude, batch_swing, share = request.param
    days = Diurnal(period_s=PERIOD_S, amplitude=amplitude, batch_swing=batch_swing)
    return days, share, drawn(days, share)


def swings(days: Diurnal, share: float) -> list[tuple[int, float, float]]:
    """Class, mean rate and swing of each class that comes at all."""
    rows = [(0, RATE_HZ * share, days.amplitude), (1, RATE_HZ * (1 - share), days.amplitude * days.batch_swing)]
    return [row for row in rows if row[1] > 0]


def test_over_whole_days_every_class_has_the_rate_of_the_regime(case: tuple[Diurnal, float, Requests]) -> None:
    days, share, requests = case
    for flow_class, rate_hz, _ in swings(days, share):
        per_day = np.bincount((requests.of(flow_class) - requests.phase).astype(int), minlength=N_DAYS)
        assert standard_errors(per_day, rate_hz * PERIOD_S) < 4


def test_the_rate_of_every_class_swings_as_its_own_sine(case: tuple[Diurnal, float, Requests]) -> None:
    """Requests by time of day are Poisson counts of the integral of the rate."""
    days, share, requests = case
    for flow_class, rate_hz, swing in swings(days, share):
        seen = np.bincount((requests.of(flow_class) % 1.0 * N_HOURS).astype(int), minlength=N_HOURS)
        hoped = np.array([N_DAYS * expected(rate_hz, swing, h / N_HOURS, (h + 1) / N_HOURS) for h in range(N_HOURS)])
        assert stats.chi2(N_HOURS).sf(((seen - hoped) ** 2 / hoped).sum()) > 1e-4


def test_crest_and_trough_are_an_amplitude_above_and_below_the_mean(case: tuple[Diurnal, float, Requests]) -> None:
    days, share, requests = case
    half = 0.02
    for flow_class, rate_hz, swing in swings(days, share):
        instants = requests.of(flow_class)
        for middle, height in ((0.25, 1.0 + swing), (0.75, 1.0 - swing)):
            n_near = (np.abs(instants % 1.0 - middle) < half).sum()
            n_hoped = N_DAYS * expected(rate_hz, swing, middle - half, middle + half)
            assert n_hoped == pytest.approx(N_DAYS * rate_hz * PERIOD_S * 2 * half * height, rel=0.02, abs=10.0)
            assert stats.poisson.cdf(n_near, n_hoped) > 1e-5
            assert stats.poisson.sf(n_near - 1, n_hoped) > 1e-5


def test_jobs_that_come_by_night_stay_away_at_noon() -> None:
    requests = drawn(Diurnal(period_s=PERIOD_S, amplitude=1.0, batch_swing=-1.0), 0.5)
    monitors, jobs = requests.of(0) % 1.0, requests.of(1) % 1.0
    assert np.mean((jobs > 0.5) & (jobs < 1.0)) == pytest.approx(0.5 + 1 / np.pi, abs=0.02)
    assert np.mean((monitors > 0.0) & (monitors < 0.5)) == pytest.approx(0.5 + 1 / np.pi, abs=0.02)


def test_within_a_day_requests_are_a_poisson_process() -> None:
    """In the time that the mean rate tells, gaps are exponential, of all requests and of each class."""
    days = Diurnal(period_s=PERIOD_S, amplitude=0.9, batch_swing=-1.0)
    requests = drawn(days, 0.7)
    for flow_class, rate_hz, swing in swings(days, 0.7):
        unfolded = [expected(rate_hz, swing, requests.phase, end) for end in requests.of(flow_class)]
        assert stats.kstest(np.diff(unfolded), stats.expon.cdf).pvalue > 1e-4


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("batch_swing", [-1.0, -0.3, 0.0, 1.0])
def test_no_rate_is_above_the_peak_which_is_reached(share: float, batch_swing: float) -> None:
    days = Diurnal(period_s=PERIOD_S, amplitude=0.7, batch_swing=batch_swing)
    requests = drawn(days, share, n_days=200)
    by_hour = np.bincount(((requests.phase + requests.time_s / PERIOD_S) % 1.0 * N_HOURS).astype(int), minlength=N_HOURS)
    rate = by_hour / by_hour.mean()
    error = 1 / np.sqrt(by_hour.mean())
    assert rate.max() < days.peak + 5 * error
    if share == 1.0 or batch_swing == 1.0:
        assert rate.max() > days.peak - 5 * error


@pytest.mark.parametrize(("amplitude", "load"), [(0.0, 124_000.0), (0.6, 78_000.0), (1.0, 62_000.0)])
def test_the_events_of_a_step_are_bounded_at_the_peak(amplitude: float, load: float) -> None:
    """A million requests a second at noon are allowed of a capacity of 8 seconds of work a second, no more."""
    config = config_of(Diurnal(amplitude=amplitude), 1.0)
    at_the_limit, above = (
        replace(config.workload, regimes=Regimes(loads=[value], interactive_shares=[1.0])) for value in (load, 1.02 * load)
    )
    check_events(config.pool, at_the_limit, config.randomise, config.dt_s)
    with pytest.raises(ValueError, match=r"workload.regimes.loads must be <= \d"):
        check_events(config.pool, above, config.randomise, config.dt_s)


def test_without_an_amplitude_days_change_nothing() -> None:
    plain = drawn(Diurnal(period_s=PERIOD_S, amplitude=0.0), 0.4, n_days=20)
    for batch_swing in (-1.0, 0.0):
        other = drawn(Diurnal(period_s=PERIOD_S, amplitude=0.0, batch_swing=batch_swing), 0.4, n_days=20)
        assert np.array_equal(plain.time_s, other.time_s)
        assert np.array_equal(plain.flow_class, other.flow_class)


# The time of day.


def test_episodes_begin_at_any_time_of_day() -> None:
    world = started(config_of(Diurnal(period_s=PERIOD_S), 0.5), 2000)
    first = world.measurements.time_of_day.copy()
    world.reset_dynamics(everyone(world))
    second = world.measurements.time_of_day
    for phases in (first, second):
        assert stats.kstest(phases, "uniform").pvalue > 1e-4
    assert (first != second).all()
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(2000)


def test_days_without_a_random_phase_begin_at_midnight() -> None:
    world = started(config_of(Diurnal(period_s=PERIOD_S, random_phase=False), 0.5), 5)
    assert world.measurements.time_of_day.tolist() == [0.0] * 5
    assert run(world, 10).measurements.time_of_day.tolist() == [0.25] * 5


def test_the_time_of_day_passes_with_the_clock() -> None:
    world = started(config_of(Diurnal(period_s=PERIOD_S), 0.5), 20)
    phase = world.measurements.time_of_day.copy()
    for step in range(1, 100):
        now = run(world, 1).measurements.time_of_day
        assert ((now >= 0.0) & (now < 1.0)).all()
        assert np.allclose(np.exp(2j * np.pi * now), np.exp(2j * np.pi * (phase + step / PERIOD_S)))


def test_a_reset_of_some_envs_leaves_the_time_of_the_others() -> None:
    world = run(started(config_of(Diurnal(period_s=PERIOD_S), 0.5), 2), 7)
    before = world.measurements.time_of_day.copy()
    world.reset_dynamics(np.array([True, False]))
    assert world.measurements.time_of_day[0] != before[0]
    assert world.measurements.time_of_day[1] == before[1]


@pytest.mark.parametrize("source", ["poisson", "mmpp"])
def test_a_world_without_days_is_always_at_their_beginning(source: str) -> None:
    workload = steady(0.5, arrivals=SOURCES[source]())  # type: ignore[call-arg]
    world = run(started(LoadBalancingConfig(pool=servers([8]), workload=workload), 3), 5)
    assert world.measurements.time_of_day.tolist() == [0.0] * 3
