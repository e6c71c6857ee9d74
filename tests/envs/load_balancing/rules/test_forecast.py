"""Holt-Winters, and the rule that acts on it: what it forecasts, and that it switches ahead of demand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.load_balancing.config import CLASSES, Diurnal, LoadBalancingConfig, Poisson
from envs.load_balancing.rules import RULES
from envs.load_balancing.rules.forecast import HoltWinters, day_of
from tests.envs.load_balancing.pools import PROPERTY
from tests.envs.load_balancing.rules.demands import SEEING, band, bands, config_of, controller_of, demand, measured

DT_S, DAY_S = 0.5, 120.0
MEAN_HZ = np.array([20.0, 8.0])
NEVER_S = np.inf


def forecaster(
    n_envs: int = 1,
    day_s: float | None = DAY_S,
    level_s: float = 5.0,
    trend_s: float = NEVER_S,
    season: float = 0.0,
    swing: tuple[float, float] = (0.0, 0.0),
) -> HoltWinters:
    level, trend, of_day = (np.full(n_envs, value) for value in (level_s, trend_s, season))
    return HoltWinters(DT_S, day_s, level, trend, of_day, np.tile(swing, (n_envs, 1)))


def time_of_day(step: int, phase: float = 0.0) -> np.ndarray:
    return np.array([(phase + step * DT_S / DAY_S) % 1.0])


def sine(at: np.ndarray, swing: tuple[float, float]) -> np.ndarray:
    """Rates of both classes at a time of day ``(n_envs, C)``."""
    return MEAN_HZ * (1.0 + np.array(swing) * np.sin(2 * np.pi * at)[:, None])


def ahead(forecast: HoltWinters, seconds: float, at: np.ndarray) -> np.ndarray:
    return forecast.ahead(np.full(len(at), seconds), at)


def errors(forecast: HoltWinters, swing: tuple[float, float], seconds: float, first: int, last: int) -> np.ndarray:
    """Forecast over the truth ``seconds`` later, minus 1, step by step from the first to the last ``(n, C)``."""
    seen = []
    for step in range(last):
        now = time_of_day(step)
        forecast.update(sine(now, swing), now)
        if step >= first:
            seen.append(ahead(forecast, seconds, now)[0] / sine(time_of_day(step + round(seconds / DT_S)), swing)[0] - 1)
    return np.array(seen)


# What is forecast.


@pytest.mark.parametrize("swing", [(0.6, -0.6), (0.3, 0.0), (0.8, 0.8)])
@pytest.mark.parametrize("seconds", [0.0, 5.0, 15.0, 60.0])
def test_a_day_that_is_known_is_forecast_from_the_first_step_on(seconds: float, swing: tuple[float, float]) -> None:
    """Between the centres of bins a day is a straight line: two per cent of its height is what that costs."""
    error = errors(forecaster(swing=swing), swing, seconds, first=0, last=480)
    assert np.abs(error).max() < 0.06
    assert np.abs(error.mean(0)).max() < 0.01


def test_a_day_that_is_not_known_is_learned() -> None:
    """After some days it is forecast as well as if it had been known; without learning never."""
    day, swing = round(DAY_S / DT_S), (0.6, -0.6)
    known, unknown, learning = (
        errors(forecaster(swing=before, season=season, level_s=40.0), swing, 15.0, 20 * day, 22 * day)
        for before, season in ((swing, 0.0), ((0.0, 0.0), 0.0), ((0.0, 0.0), 0.3))
    )
    size = [float(np.sqrt((error**2).mean())) for error in (known, learning, unknown)]
    assert size[1] < 0.5 * size[2]
    assert size[0] < size[1]
    assert size[1] < 0.2


def test_a_trend_goes_on() -> None:
    """Linear growth is forecast without a lag, however far ahead; without a trend the level is all there is."""
    slope = np.array([0.05, -0.01])
    following, flat = forecaster(day_s=None, trend_s=10.0), forecaster(day_s=None)
    for step in range(1000):
        rates = (MEAN_HZ + slope * step * DT_S)[None]
        for forecast in (following, flat):
            forecast.update(rates, np.zeros(1))
    for seconds in (0.0, 10.0, 60.0):
        assert ahead(following, seconds, np.zeros(1)) == pytest.approx(rates + slope * seconds, rel=1e-6)
        assert ahead(flat, seconds, np.zeros(1)) == pytest.approx(ahead(flat, 0.0, np.zeros(1)))
    assert (np.sign(rates - ahead(flat, 0.0, np.zeros(1))) == np.sign(slope)).all()


def test_a_trend_is_told_from_a_day() -> None:
    """Traffic that doubles in an hour and swings over the day at the same time."""
    swing = (0.4, -0.4)
    forecast = forecaster(trend_s=60.0, level_s=20.0, swing=swing)
    for step in range(2400):
        growth, now = 1.0 + step * DT_S / 3600.0, time_of_day(step)
        forecast.update(growth * sine(now, swing), now)
    for seconds in (0.0, 15.0, 60.0):
        then = sine((now + seconds / DAY_S) % 1.0, swing) * (growth + seconds / 3600.0)
        assert ahead(forecast, seconds, now) == pytest.approx(then, rel=0.05)


def test_the_first_rates_are_taken_at_their_word() -> None:
    """A level that has just begun is the mean of what there was, whatever its time constant."""
    forecast = forecaster(day_s=None, level_s=1e6)
    for rate in (6.0, 2.0, 10.0):
        forecast.update(np.array([[rate, 2 * rate]]), np.zeros(1))
    assert ahead(forecast, 0.0, np.zeros(1)) == pytest.approx(np.array([[6.0, 12.0]]))


@settings(PROPERTY, max_examples=50)
@given(st.lists(st.tuples(st.floats(0.0, 1e3), st.floats(0.0, 1e3), st.floats(0.0, 0.999)), min_size=1, max_size=60))
def test_a_forecast_is_a_rate(seen: list[tuple[float, float, float]]) -> None:
    forecast = forecaster(level_s=1.0, trend_s=10.0, season=0.5, swing=(1.0, -1.0))
    for interactive, batch, at in seen:
        forecast.update(np.array([[interactive, batch]]), np.array([at]))
        for seconds in (0.0, 30.0):
            rates = ahead(forecast, seconds, np.array([at]))
            assert np.isfinite(rates).all()
            assert (rates >= 0).all()


def test_where_nothing_comes_nothing_is_expected() -> None:
    forecast = forecaster(trend_s=10.0, season=0.5, swing=(0.6, -0.6))
    for step in range(100):
        forecast.update(np.zeros((1, 2)), time_of_day(step))
        assert (ahead(forecast, 15.0, time_of_day(step)) == 0).all()


def test_rows_are_independent_and_a_state_is_put_back() -> None:
    rng = np.random.default_rng(0)
    rates, at = rng.uniform(0.0, 50.0, (80, 3, 2)), rng.uniform(0.0, 1.0, (80, 3))
    settings_ = np.array([3.0, 9.0, 20.0]), np.array([10.0, np.inf, 50.0]), np.array([0.0, 0.2, 0.5])
    swing = rng.uniform(-0.9, 0.9, (3, 2))
    together = HoltWinters(DT_S, DAY_S, *settings_, swing)
    alone = [HoltWinters(DT_S, DAY_S, *(part[[row]] for part in settings_), swing[[row]]) for row in range(3)]
    other = HoltWinters(DT_S, DAY_S, *settings_, swing)
    for step in range(80):
        together.update(rates[step], at[step])
        for row, forecast in enumerate(alone):
            forecast.update(rates[step][[row]], at[step][[row]])
            assert np.array_equal(ahead(forecast, 9.0, at[step][[row]])[0], ahead(together, 9.0, at[step])[row])
        if step == 39:
            other.set_state(together.get_state())
        if step > 39:
            other.update(rates[step], at[step])
            assert np.array_equal(ahead(other, 9.0, at[step]), ahead(together, 9.0, at[step]))


# What the rule makes of it.


def world(days: bool = True) -> LoadBalancingConfig:
    """A day of 120 s, by half a second."""
    arrivals = Diurnal(period_s=DAY_S, amplitude=0.6, batch_swing=-1.0) if days else Poisson()
    config = config_of(dt_s=DT_S)
    return RULES["autoscale_forecast"].configured(replace(config, workload=replace(config.workload, arrivals=arrivals)))


def switched(values: dict[str, Any], n_steps: int = 720, mean: float = 4.0) -> np.ndarray:
    """Servers of each class by step ``(n_steps, 2)`` over three days of a known sine, in offered work."""
    config = world()
    controller, measurements = controller_of("autoscale_forecast", config, 1, [values]), measured(config)
    n_on = []
    for step in range(n_steps):
        measurements.time_of_day[:] = time_of_day(step)
        wave = 0.6 * np.sin(2 * np.pi * time_of_day(step)[0])
        controller.decide(demand(measurements, mean * (1 + wave), mean * (1 - wave)))
        n_on.append(controller.n_on[0].copy())
    return np.array(n_on)


OFFERED: dict[str, Any] = {"signal": "offered", "up": 0.8, "down_share": 0.25}
SWINGS = {"swing_interactive": 0.6, "swing_batch": -0.6}


def test_without_foresight_it_is_the_rule_without_a_forecast() -> None:
    config = world()
    foreseeing, plain = (controller_of(name, config, **OFFERED) for name in ("autoscale_forecast", "autoscale_pools"))
    measurements = measured(config)
    for step in range(300):
        measurements.time_of_day[:] = time_of_day(step)
        level = 6.0 * (1.0 + np.sin(step / 20.0))
        demand(measurements, level, 12.0 - level)
        assert np.array_equal(foreseeing.decide(measurements), plain.decide(measurements))


def test_with_foresight_servers_are_switched_as_long_before_as_it_looks_ahead() -> None:
    """Once a day a server is switched on and once off, each 15 s before the rule that looks at now does so."""
    plain = switched(bands("autoscale_forecast", **OFFERED))
    powers = {"foresight": 1.0, "foresight_down": 1.0}
    seeing = switched(bands("autoscale_forecast", **OFFERED) | powers | {"ahead_s": 15.0} | SWINGS)
    day = round(DAY_S / DT_S)
    for index in range(len(CLASSES)):
        for direction in (1, -1):
            late, early = (np.flatnonzero(np.diff(n_on[day : 2 * day + 1, index]) == direction) for n_on in (plain, seeing))
            assert len(late) == len(early) == 1
            earlier_s = (late - early) * DT_S % DAY_S
            assert earlier_s[0] == pytest.approx(15.0, abs=1.5)


def test_foresight_is_the_power_that_growth_is_taken_to() -> None:
    """And another one for shrinking: interactive requests grow here, and batch requests shrink."""
    config = world()
    signals = []
    for up, down in ((0.0, 0.0), (0.5, 0.5), (1.0, 0.0), (0.0, 1.0)):
        powers = {"foresight": up, "foresight_down": down, "ahead_s": 15.0}
        values = bands("autoscale_forecast", **OFFERED) | SWINGS | powers
        controller: Any = controller_of("autoscale_forecast", config, 1, [values])
        measurements = measured(config)
        measurements.time_of_day[:] = 0.0
        used = np.ones((1, 2, 4), np.bool_)
        signals.append(controller._watched(demand(measurements, 4.0, 4.0), used)[0])
    growth = 1.0 + np.array([0.6, -0.6]) * np.sin(2 * np.pi * 15.0 / DAY_S)
    assert signals[0] == pytest.approx([4.0, 4.0])
    assert signals[1] == pytest.approx(4.0 * growth**0.5, rel=0.02)
    assert signals[2] == pytest.approx([4.0 * growth[0], 4.0], rel=0.02)
    assert signals[3] == pytest.approx([4.0, 4.0 * growth[1]], rel=0.02)


@pytest.mark.parametrize("foresight", [0.5, 1.5])
def test_what_waits_counts_though_nothing_comes_any_more(foresight: float) -> None:
    """Long after the last arrival requests may still be in flight: no growth is known, so demand is what it is."""
    config = world(days=False)
    values = band(least=1, more=3) | band(group=1) | dict(SEEING) | {"foresight": foresight, "level_s": 1.0}
    controller, measurements = controller_of("autoscale_forecast", config, 1, [values]), measured(config)
    for step in range(400):
        demand(measurements, 40.0, 40.0)
        measurements.arrived_hz[:] = 10.0 if step < 10 else 0.0
        controller.decide(measurements)
    assert controller.n_on[0].tolist() == [4, 4]


def test_days_are_those_of_the_arrivals() -> None:
    assert day_of(world()) == DAY_S
    assert day_of(world(days=False)) is None
