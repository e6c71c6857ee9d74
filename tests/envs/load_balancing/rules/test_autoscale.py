"""Rules that switch servers by demand: thresholds, holds, and who is on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import envs
from envs.core.state import rows_of
from envs.load_balancing.config import LoadBalancingConfig, ServerPool
from envs.load_balancing.kernel.accounts import LOST
from envs.load_balancing.rules import RULES
from tests.envs.load_balancing.pools import PROPERTY
from tests.envs.load_balancing.rules.demands import (
    BY_PRICE,
    CORES,
    DEMANDS,
    SPEED,
    SWITCHING,
    band,
    bands,
    config_of,
    controller_of,
    demand,
    measured,
    numbers,
    on,
)

every_switching = pytest.mark.parametrize("name", SWITCHING)
CAPACITY = np.cumsum(np.array(CORES)[BY_PRICE] * np.array(SPEED)[BY_PRICE])
"""Capacity of the cheapest one, two, three and four servers ``(4,)``."""


def settled(name: str, level: float, steps: int = 60, n_on: int = 4, **fields: Any) -> int:
    """Servers of the first group under a constant demand, which begins with ``n_on``."""
    config = RULES[name].configured(config_of())
    controller, measurements = controller_of(name, config, **fields), measured(config)
    controller.n_on[:] = n_on
    for _ in range(steps):
        controller.decide(demand(measurements, level, level))
    return int(controller.n_on[0, 0])


# Thresholds.


@every_switching
@pytest.mark.parametrize("n_on", [1, 2, 3, 4])
def test_between_the_thresholds_nothing_is_switched(name: str, n_on: int) -> None:
    config = RULES[name].configured(config_of())
    controller, measurements = controller_of(name, config, up=2.0, down_share=0.5, signal="offered"), measured(config)
    controller.n_on[:] = n_on
    n_watched = 2.0 if name == "autoscale" else 1.0  # one rule watches both classes together
    for per_capacity in np.random.default_rng(0).uniform(1.001, 1.999, 100):
        level = per_capacity * CAPACITY[n_on - 1] / n_watched
        weights = controller.decide(demand(measurements, level, level))
        assert (controller.n_on == n_on).all()
        assert on(weights).sum() == n_on


@every_switching
@pytest.mark.parametrize("signal", ["in_flight", "offered"])
def test_one_server_is_switched_a_step_when_a_threshold_is_passed(name: str, signal: Any) -> None:
    config = RULES[name].configured(config_of())
    numbers_ = {"up": 2.0, "down_share": 0.25, "signal": signal}
    for n_on, level, expected in ((2, 9.0, 3), (3, 25.0, 4), (2, 0.0, 1), (3, 0.0, 2), (4, 100.0, 4), (1, 0.0, 1)):
        controller = controller_of(name, config, **numbers_)
        controller.n_on[:] = n_on
        controller.decide(demand(measured(config), level, level))
        assert (controller.n_on == expected).all(), (n_on, level)


def test_use_is_watched_as_a_moving_mean_over_its_span() -> None:
    """Of servers in full use the mean over 5 s is above a half from the fourth second on."""
    config = config_of()
    fields: dict[str, Any] = {"up": 0.5, "down_share": 0.01, "signal": "utilisation", "span_s": 5.0}
    controller, measurements = controller_of("autoscale", config, **fields), measured(config)
    controller.n_on[:] = 2
    measurements.utilisation[:] = 1.0
    n_on = []
    for _ in range(5):
        controller.decide(measurements)
        n_on.append(int(controller.n_on[0, 0]))
    assert (1.0 - np.exp(-np.arange(1, 5) / 5.0) > 0.5).tolist() == [False, False, False, True]
    assert n_on[:4] == [2, 2, 2, 3]


@settings(PROPERTY, max_examples=40)
@given(st.sampled_from(SWITCHING), st.data())
def test_more_demand_never_switches_more_off(name: str, data: st.DataObject) -> None:
    """From the same past, a step of more demand of every class leaves no fewer servers on."""
    drawn = data.draw(numbers(name)) | {"foresight": 0.0, "foresight_down": 0.0}
    config = RULES[name].configured(config_of())
    past = data.draw(DEMANDS)
    one = controller_of(name, config, 1, [drawn])
    measurements = measured(config)
    for level in past:
        one.decide(demand(measurements, *level))
    levels = np.linspace(0.0, 40.0, 60)
    many = controller_of(name, config, len(levels), [drawn])
    many.set_state(rows_of(one.get_state(), np.zeros(len(levels), np.int64), 1))
    many.decide(demand(measured(config, len(levels)), levels, levels))
    assert (np.diff(many.n_on, axis=0) >= 0).all()


@every_switching
def test_under_constant_demand_more_of_it_has_more_servers_on(name: str) -> None:
    """With every threshold far enough from the next, whatever was on before."""
    levels = [0.5, 2.0, 6.0, 20.0]
    for n_on in (1, 4):
        kept = [settled(name, level, n_on=n_on, up=1.0, down_share=0.2) for level in levels]
        assert kept == sorted(kept)
        assert kept[-1] > kept[0]


# Holds.


@settings(PROPERTY, max_examples=60)
@given(st.sampled_from(SWITCHING), st.data())
def test_holds_are_respected(name: str, data: st.DataObject) -> None:
    """Two servers are not switched on within `hold_on_s`; none is switched off within `hold_off_s` of that, or unless demand
    was below the lower threshold of what was on for all that time.
    """
    fixed = {"foresight": 0.0, "foresight_down": 0.0, "signal_0": "in_flight", "least_0": 1, "more_0": 3, "skip_0": 0}
    drawn = data.draw(numbers(name)) | fixed
    config = RULES[name].configured(config_of())
    controller, measurements = controller_of(name, config, 1, [drawn]), measured(config)
    last_on, below = -np.inf, 0
    for step, level in enumerate(data.draw(DEMANDS)):
        before = int(controller.n_on[0, 0])
        controller.decide(demand(measurements, *level))
        after = int(controller.n_on[0, 0])
        in_flight = measurements.in_flight[0].sum() if name == "autoscale" else measurements.in_flight[0, 0]
        is_below = in_flight < drawn["up_0"] * drawn["down_share_0"] * CAPACITY[before - 1]
        below = below + 1 if is_below else 0
        assert abs(after - before) <= 1
        if after > before:
            assert step - last_on > drawn["hold_on_s_0"]
            last_on = step
        if after < before:
            assert below > drawn["hold_off_s_0"]
            assert step - last_on > drawn["hold_off_s_0"]
            below = 0


@pytest.mark.parametrize(("hold_on_s", "hold_off_s"), [(0.0, 0.0), (3.0, 0.0), (0.0, 4.0), (3.0, 4.0)])
def test_holds_take_no_longer_than_they_say(hold_on_s: float, hold_off_s: float) -> None:
    config = config_of()
    controller = controller_of("autoscale", config, up=1.0, hold_on_s=hold_on_s, hold_off_s=hold_off_s, down_share=0.01)
    controller.n_on[:] = 1
    measurements, n_on = measured(config), []
    for level in [50.0] * 12 + [0.0] * 40:
        controller.decide(demand(measurements, level))
        n_on.append(int(controller.n_on[0, 0]))
    ups, downs = np.flatnonzero(np.diff(n_on) > 0) + 1, np.flatnonzero(np.diff(n_on) < 0) + 1
    assert n_on[0] == 2
    assert np.diff([0, *ups]).tolist() == [max(hold_on_s + 1.0, 1.0)] * 2
    assert np.diff(downs).tolist() == [hold_off_s + 1.0] * 2
    assert downs[0] == 12 + hold_off_s


# Who is on.


@settings(PROPERTY, max_examples=40)
@given(st.sampled_from(SWITCHING), st.data())
def test_a_server_that_is_up_is_on_in_every_backend_and_they_go_by_price(name: str, data: st.DataObject) -> None:
    drawn = data.draw(numbers(name))
    config = RULES[name].configured(config_of())
    controller, measurements = controller_of(name, config, 1, [drawn]), measured(config)
    for level in data.draw(DEMANDS):
        down = np.array(data.draw(st.lists(st.booleans(), min_size=4, max_size=4)))
        measurements.known_down[0] = down
        weights = controller.decide(demand(measurements, *level))[0]
        up_by_price = [server for server in BY_PRICE if not down[server]]
        if not up_by_price:  # whichever is back first serves
            assert (weights > 0).all()
            continue
        for backend in weights:
            of_those_up = (backend[up_by_price] > 0).tolist()
            first, n = of_those_up.index(True), sum(of_those_up)
            assert of_those_up[first : first + n] == [True] * n  # one stretch of the order
            assert np.allclose(backend[backend > 0], measurements.capacity[0][backend > 0])


@every_switching
def test_the_cheapest_per_capacity_are_on_first_and_off_last(name: str) -> None:
    config = RULES[name].configured(config_of())
    controller, measurements = controller_of(name, config, signal="offered"), measured(config)
    for n_on in (4, 3, 2, 1, 2, 3, 4):
        controller.n_on[:] = n_on
        level = 0.75 * CAPACITY[n_on - 1] / (2.0 if name == "autoscale" else 1.0)
        weights = controller.decide(demand(measurements, level, level))
        assert set(np.flatnonzero(on(weights)[0])) == set(BY_PRICE[:n_on])


@every_switching
def test_the_bounds_are_respected(name: str) -> None:
    config = RULES[name].configured(config_of())
    for least, more in ((1, 0), (2, 1), (3, 3), (4, 0)):
        controller, measurements = controller_of(name, config, least=least, more=more, up=1.0), measured(config)
        for level, bound in ((0.0, least), (1000.0, min(least + more, 4)), (0.0, least)):
            for _ in range(10):
                controller.decide(demand(measurements, level, level))
            assert (controller.n_on == bound).all()


def test_classes_may_have_servers_of_their_own_that_others_leave_to_them() -> None:
    """Interactive requests skip the two cheapest, which batch ones have."""
    config = RULES["autoscale_pools"].configured(config_of())
    values = band(least=2, more=0, skip=2) | band(least=2, more=0, group=1)
    weights = controller_of("autoscale_pools", config, 1, [values]).decide(measured(config))[0]
    assert set(np.flatnonzero(weights[0])) == set(BY_PRICE[2:])
    assert set(np.flatnonzero(weights[1])) == set(BY_PRICE[:2])


def test_classes_are_watched_by_themselves_where_the_rule_says_so() -> None:
    config = config_of()
    rows = [(0.0, 100.0), (100.0, 0.0)]
    for name, expected in (("autoscale", [3, 3]), ("autoscale_class", [1, 3])):
        controller, measurements = controller_of(name, config, 2), measured(RULES[name].configured(config), 2)
        controller.n_on[:] = 2
        controller.decide(demand(measurements, *np.array(rows).T))
        assert controller.n_on[:, 0].tolist() == expected
    controller = controller_of("autoscale_pools", config, 2)
    controller.n_on[:] = 2
    controller.decide(demand(measured(config, 2), *np.array(rows).T))
    assert controller.n_on.tolist() == [[1, 3], [3, 1]]


@every_switching
def test_a_failed_server_is_replaced_by_the_next_and_comes_back(name: str) -> None:
    config = RULES[name].configured(config_of())
    controller, measurements = controller_of(name, config, least=2, more=0), measured(config)
    assert set(np.flatnonzero(on(controller.decide(measurements))[0])) == set(BY_PRICE[:2])
    for failed in BY_PRICE[:2]:
        measurements.known_down[0] = np.arange(4) == failed
        rest = [server for server in BY_PRICE if server != failed]
        assert set(np.flatnonzero(on(controller.decide(measurements))[0])) == {failed, *rest[:2]}
    measurements.known_down[0] = np.isin(np.arange(4), BY_PRICE[2:])
    assert set(np.flatnonzero(on(controller.decide(measurements))[0])) == set(BY_PRICE[:2])
    measurements.known_down[:] = False
    assert set(np.flatnonzero(on(controller.decide(measurements))[0])) == set(BY_PRICE[:2])


@every_switching
@pytest.mark.parametrize(("level", "n_on"), [(8.9, 2), (9.1, 3)])
def test_a_failed_server_adds_no_capacity(name: str, level: float, n_on: int) -> None:
    """With the second of three away, the first and the third have 1 + 8."""
    config = RULES[name].configured(config_of())
    controller, measurements = controller_of(name, config, signal="offered", down_share=0.1), measured(config)
    controller.n_on[:] = 2
    measurements.known_down[0] = np.arange(4) == BY_PRICE[1]
    each = level / (2.0 if name == "autoscale" else 1.0)
    controller.decide(demand(measurements, each, each))
    assert (controller.n_on == n_on).all()


@pytest.mark.parametrize("name", ["autoscale", "autoscale_class"])
def test_with_all_servers_always_on_it_is_sed_whatever_fails(name: str) -> None:
    """The same requests meet the same fate, and no server is ever started."""
    config = replace(LoadBalancingConfig(pool=ServerPool(failure_rate_hz=0.05, repair_s=5.0)), episode_steps=400)
    worlds = []
    for rule, values in (("sed", ()), (name, [bands(name, least=4, more=0)])):
        configured = RULES[rule].configured(config)
        simulation = envs.simulate(configured, 3, 0, "evaluate")
        simulation.reset()
        controller = RULES[rule].start(configured, 3, values)
        while not simulation.ended.all():
            simulation.advance(controller.decide(simulation.measurements))
        worlds.append(simulation.measurements)
    sed, switching = worlds
    assert sed.counts[..., LOST].sum() > 0
    assert np.array_equal(sed.counts, switching.counts)
    assert (switching.n_starts == 0).all()
