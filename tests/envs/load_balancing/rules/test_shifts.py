"""Where shifts stand, filtered from arrivals, and the rule that acts on it before they end."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import envs
from envs.load_balancing.config import Diurnal, LoadBalancingConfig, Poisson, Regimes, Trace, Workload
from envs.load_balancing.kernel.accounts import ARRIVED
from envs.load_balancing.params import set_rates
from envs.load_balancing.rules import RULES
from envs.load_balancing.rules.shifts import MAX_STATES, RegimeFilter
from tests.envs.load_balancing.pools import advance, everyone, same_weights, servers, started
from tests.envs.load_balancing.rules.demands import bands, config_of, controller_of, demand, measured

DT_S = 0.5
N, K = 3, 2
NOON, DAY_S = 0.25, 80.0


def world(
    order: Any = "turn", n_stages: int = K, dwell_s: float = 20.0, days: bool = False, **fields: Any
) -> LoadBalancingConfig:
    """Three regimes on a pool of capacity 4."""
    regimes = Regimes(loads=[0.2, 0.5, 0.8], interactive_shares=[0.6], mean_dwell_s=dwell_s, n_stages=n_stages, order=order)
    arrivals = Diurnal(period_s=DAY_S, amplitude=0.5, batch_swing=-1.0) if days else Poisson()
    workload = Workload(arrivals=arrivals, regimes=regimes, **fields)
    return LoadBalancingConfig(pool=servers([4]), workload=workload, dt_s=DT_S)


def filter_of(config: LoadBalancingConfig, n_envs: int = 1, trust: float = 1.0) -> RegimeFilter:
    return RegimeFilter(config, np.full(n_envs, trust))


def update(seen: RegimeFilter, arrived: np.ndarray, time_of_day: float = 0.0) -> None:
    """A step on the pool as configured, with arrivals ``(C,)``."""
    seen.update(arrived[None].astype(float), np.full(1, time_of_day), np.ones(1))


def ahead(seen: RegimeFilter, seconds: float, time_of_day: float = 0.0) -> np.ndarray:
    """Rates ``(C,)``."""
    return seen.ahead(np.full(1, seconds), np.full(1, time_of_day))[0]


def beliefs(seen: RegimeFilter) -> np.ndarray:
    """About regimes ``(n_envs, R)``."""
    return seen.get_state()["belief"].sum(-1)


def rates_of(config: LoadBalancingConfig) -> np.ndarray:
    """Of each class in each regime ``(R, C)``, as the simulator has them."""
    begun = started(config)
    source = begun.state.source
    set_rates(config, source, np.array(config.pool.capacity)[None], everyone(begun))
    share = source.interactive_share[0]
    return source.regime_rate_hz[0][:, None] * np.stack([share, 1.0 - share], axis=-1)


def chain_of(config: LoadBalancingConfig) -> np.ndarray:
    """Transitions of regime and stage in a step, written out one by one."""
    regimes = config.workload.regimes
    n, k = regimes.n_regimes, regimes.n_stages
    ends = config.dt_s * k / regimes.mean_dwell_s
    chain = np.zeros((n * k, n * k))
    for regime in range(n):
        for stage in range(k):
            here = regime * k + stage
            chain[here, here] = 1.0 - ends
            if stage + 1 < k:
                chain[here, here + 1] += ends
            elif regimes.order == "turn":
                chain[here, (regime + 1) % n * k] += ends
            else:
                for other in set(range(n)) - {regime}:
                    chain[here, other * k] += ends / (n - 1)
    return chain


def swing(config: LoadBalancingConfig, at: float) -> np.ndarray:
    """Of both classes ``(C,)`` at a time of day."""
    wave = getattr(config.workload.arrivals, "amplitude", 0.0) * math.sin(2 * math.pi * at)
    return np.array([1.0 + wave, 1.0 - wave])


def poisson(count: float, mean: float) -> float:
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))


@pytest.mark.parametrize("order", ["turn", "random"])
@pytest.mark.parametrize("days", [False, True])
@pytest.mark.parametrize("rate_hz", [None, 30.0])
def test_beliefs_and_forecasts_are_those_of_the_forward_algorithm(order: str, days: bool, rate_hz: float | None) -> None:
    """Against sums over all states of a chain that is written out, with the simulator's own rates."""
    config = world(order, days=days, rate_hz=rate_hz)
    chain, rates, seen = chain_of(config), rates_of(config), filter_of(config)
    arrived = np.random.default_rng(0).poisson([4.0, 1.0], (40, 2)).astype(float)
    belief = np.full(N * K, 1.0 / (N * K))
    for step, counts in enumerate(arrived):
        at = step * DT_S / DAY_S % 1.0
        update(seen, counts, at)
        belief = belief @ chain
        expected = rates * swing(config, at) * DT_S
        belief *= np.repeat([math.prod(map(poisson, counts, of_regime)) for of_regime in expected], K)
        belief /= belief.sum()
        for seconds in (0.0, 15.0, 4.0):
            regimes = belief @ np.linalg.matrix_power(chain, round(seconds / DT_S))
            then = (at + seconds / DAY_S) % 1.0 if days else at
            should = regimes.reshape(N, K).sum(-1) @ rates * swing(config, then)
            assert ahead(seen, seconds, at) == pytest.approx(should, rel=1e-6)


@pytest.fixture(scope="module")
def followed() -> tuple[np.ndarray, np.ndarray]:
    """Beliefs about regimes and which it was, step by step of 32 episodes of two rounds of the default shifts."""
    config = LoadBalancingConfig()
    begun, seen = started(config, 32), filter_of(config, 32)
    held, regimes = [], []
    for _ in range(7200):
        advance(begun, same_weights(begun))
        seen.observe(begun.measurements)
        held.append(beliefs(seen))
        regimes.append(begun.state.source.regime.copy())
    return np.array(held), np.array(regimes)


def test_regimes_of_the_simulator_are_recognised(followed: tuple[np.ndarray, np.ndarray]) -> None:
    held, regimes = followed
    assert (held.argmax(-1) == regimes)[40:].mean() > 0.97


def test_beliefs_are_as_sure_as_they_are_right(followed: tuple[np.ndarray, np.ndarray]) -> None:
    """Of all that is held likely by so much, that share is true; the clock of the simulator is finer than a step."""
    likely, regimes = followed
    true = np.eye(likely.shape[-1])[regimes]
    for low, high in ((0.02, 0.1), (0.1, 0.3), (0.3, 0.7), (0.7, 0.9), (0.9, 0.98)):
        held = (likely >= low) & (likely < high)
        assert held.sum() > 300
        assert true[held].mean() == pytest.approx(likely[held].mean(), abs=0.06)


def test_without_trust_nothing_is_learned() -> None:
    config = world()
    seen = filter_of(config, trust=0.0)
    for _ in range(50):
        update(seen, np.array([30.0, 30.0]))
    assert seen.get_state()["belief"] == pytest.approx(np.full((1, N, K), 1.0 / (N * K)))


def test_what_comes_as_a_surprise_is_believed_in_the_end() -> None:
    """After an hour of one regime, another takes some steps, though the chain would not lead there."""
    config = world(dwell_s=1e6)
    rates, seen = rates_of(config) * DT_S, filter_of(config)
    for regime in (0, 2, 1):
        for _ in range(7200):
            update(seen, rates[regime])
        assert seen.get_state()["belief"].sum(-1)[0, regime] > 0.999


def test_no_surprise_is_too_great() -> None:
    """Arrivals that have no likelihood at all in any regime that was thought possible."""
    regimes = Regimes(loads=[1e-3, 1.0, 1e3, 1e4], interactive_shares=[0.5], mean_dwell_s=1e6)
    config = replace(world(), workload=Workload(arrivals=Poisson(), regimes=regimes))
    rates, seen = rates_of(config) * DT_S, filter_of(config)
    for _ in range(100):
        update(seen, np.zeros(2))
    update(seen, rates[3])
    assert beliefs(seen)[0].tolist() == pytest.approx([0.0, 0.0, 0.0, 1.0], abs=1e-9)


def test_shifts_of_more_stages_than_steps_end_in_time() -> None:
    """Two seconds of each regime, in four steps: when one has begun the next is sure to be there two seconds later."""
    config = world(n_stages=100, dwell_s=2.0)
    rates, seen = rates_of(config), filter_of(config)
    for step in range(41):
        update(seen, rates[step // 4 % N] * DT_S)
    assert ahead(seen, 2.0) == pytest.approx(rates[(40 // 4 + 1) % N], rel=0.01)


def test_many_stages_are_bounded() -> None:
    for config in (world(n_stages=10_000), world(n_stages=10_000, order="random")):
        assert filter_of(config).get_state()["belief"].size <= MAX_STATES
    alone = Workload(arrivals=Poisson(), regimes=Regimes(loads=[0.5], interactive_shares=[0.5], order="random"))
    seen = filter_of(replace(world(), workload=alone))
    update(seen, np.array([1.0, 1.0]))
    assert ahead(seen, 15.0) == pytest.approx(rates_of(replace(world(), workload=alone))[0])


def test_counts_are_what_came_since_the_step_before() -> None:
    config = world()
    measurements, counting, told = measured(config), filter_of(config), filter_of(config)
    for step, counts in enumerate(np.random.default_rng(0).poisson([4.0, 1.0], (20, 2))):
        measurements.counts[0, :, ARRIVED] += counts
        counting.observe(measurements)
        update(told, counts, measurements.time_of_day[0])
        assert np.array_equal(counting.get_state()["belief"], told.get_state()["belief"]), step


# What the rule makes of it.


def low_and_high(days: bool = False) -> LoadBalancingConfig:
    """Shifts of 100 s that come as if by the clock, low and high load in turn, on the pool of the other rules' tests."""
    config = config_of(dt_s=DT_S)
    regimes = Regimes(loads=[0.2, 0.8], interactive_shares=[0.5], mean_dwell_s=100.0, n_stages=100)
    workload = replace(config.workload, arrivals=Poisson(), regimes=regimes)
    return RULES["autoscale_shifts"].configured(replace(config, workload=workload))


def switched(**numbers: float) -> tuple[np.ndarray, np.ndarray]:
    """When it switched on, and off, in seconds of a round of 200 s of which the second half is high."""
    config = low_and_high()
    rates = rates_of(config)
    work = rates * [0.1, 0.5]
    values = bands("autoscale_shifts", signal="offered", up=0.8, down_share=0.2) | numbers
    controller, measurements = controller_of("autoscale_shifts", config, 1, [values]), measured(config)
    n_on = []
    for step in range(6 * 400):
        high = int(step * DT_S % 200.0 >= 100.0)
        measurements.counts[0, :, ARRIVED] += np.round(rates[high] * DT_S * (step + 1)).astype(int) - np.round(
            rates[high] * DT_S * step
        ).astype(int)
        controller.decide(demand(measurements, *work[high]))
        n_on.append(int(controller.n_on[0, 0]))
    change = np.diff(n_on[-801:])  # two rounds
    return np.flatnonzero(change > 0) * DT_S % 200.0, np.flatnonzero(change < 0) * DT_S % 200.0


def test_with_foresight_servers_are_on_before_the_shift_begins() -> None:
    """And are kept to its end where shrinking is not foreseen, or given up before where it is."""
    now_on, now_off = switched()
    on, off = switched(foresight=1.0, ahead_s=20.0)
    both_on, both_off = switched(foresight=1.0, foresight_down=1.0, ahead_s=20.0)
    assert (now_on == 100.0).all()
    assert (now_off == 0.0).all()
    assert (on < 95.0).all()
    assert (off < 5.0).all()
    assert (both_on < 95.0).all()
    assert ((both_off > 150.0) & (both_off < 199.0)).all()


def test_before_anything_has_run_nothing_is_learned() -> None:
    """A rule decides once before the first step; that nothing came by then says nothing."""
    config = RULES["autoscale_shifts"].configured(LoadBalancingConfig())
    for name in ("autoscale_shifts", "autoscale_forecast"):
        controller = controller_of(name, config)
        before = controller.get_state()["forecast"]
        controller.decide(measured(config))
        for key, value in controller.get_state()["forecast"].items():
            assert np.array_equal(value, before[key]), key


@pytest.mark.parametrize(("rate_hz", "share"), [(None, 0.5), (30.0, 1.0)])
def test_rates_go_by_the_capacity_that_is_there(rate_hz: float | None, share: float) -> None:
    """Of half the capacity half the requests are to be expected, unless their rate is given."""
    config = world(rate_hz=rate_hz, dwell_s=1e4)
    seen, measurements, rates = filter_of(config), measured(config), rates_of(config)
    measurements.capacity[:] *= 0.5
    for step in range(40):
        measurements.counts[0, :, ARRIVED] = np.round(share * rates[1] * DT_S * (step + 1))
        seen.observe(measurements)
    assert beliefs(seen)[0, 1] > 0.99


def test_a_recording_keeps_to_no_shifts() -> None:
    config = low_and_high()
    recorded = replace(config, workload=replace(config.workload, arrivals=Trace(path="requests.log")))
    assert envs.rules(config).keys() - envs.rules(recorded).keys() == {"autoscale_shifts"}
