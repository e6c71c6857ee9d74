"""Numbers of rules: those tried first lie where they are drawn from, for every world; and they reach the rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import envs
from envs.load_balancing.config import Diurnal, LoadBalancingConfig, Poisson, ServerPool, Telemetry, Workload
from envs.load_balancing.rules import RULES
from envs.load_balancing.rules.demand import SIGNALS
from tests.envs.load_balancing.numbers import First
from tests.envs.load_balancing.pools import PROPERTY, servers
from tests.envs.load_balancing.rules.demands import SWITCHING, demand, measured


@st.composite
def configs(draw: st.DrawFn) -> LoadBalancingConfig:
    n = draw(st.integers(1, 64))

    def each(values: st.SearchStrategy[float]) -> list[float]:
        return draw(st.lists(values, min_size=n, max_size=n))

    pool = ServerPool(
        cores=[int(cores) for cores in each(st.integers(1, 1_000_000))],
        speed=[*each(st.floats(0.0, 1e6))[1:], draw(st.floats(1e-3, 1e6))],
        price_usd_per_h=each(st.floats(0.0, 10.0)),
        memory_gb=[1.0] * n,
        boot_s=draw(st.floats(0.0, 1e9)),
        max_flows=1_000_000,
    )
    arrivals = draw(
        st.one_of(
            st.just(Poisson()),
            st.builds(
                Diurnal, amplitude=st.floats(0.0, 1.0), batch_swing=st.floats(-1.0, 1.0), period_s=st.floats(1.0, 1e5)
            ),
        )
    )
    return LoadBalancingConfig(pool=pool, workload=Workload(arrivals=arrivals, rate_hz=10.0))


@settings(PROPERTY, max_examples=100)
@given(st.sampled_from([name for name, rule in RULES.items() if rule.has_numbers]), configs())
def test_numbers_tried_first_lie_within_what_is_drawn_from(name: str, config: LoadBalancingConfig) -> None:
    """And no number is given that is not drawn, nor drawn that is not given; none is tried twice."""
    rule = RULES[name]
    config = rule.configured(config)
    first = rule.first(config)
    assert first
    for numbers in first:
        trial = First(numbers)
        rule.suggest(trial, config)
        assert trial.used == set(numbers)
    assert len({repr(sorted(numbers.items())) for numbers in first}) == len(first)


@pytest.mark.parametrize("name", SWITCHING)
def test_with_numbers_tried_first_a_rule_decides_whatever_the_pool(name: str) -> None:
    rule = RULES[name]
    for n in (1, 2, 7, 16):
        ones = [1.0] * n
        config = rule.configured(
            LoadBalancingConfig(pool=ServerPool(cores=[1] * n, speed=ones, price_usd_per_h=ones, memory_gb=ones))
        )
        values = [rule.suggest(First(numbers), config) for numbers in rule.first(config)]
        measurements = measured(config, len(values))
        controller = rule.start(config, len(values), values)
        for _ in range(5):
            weights = controller.decide(measurements)
            assert weights.shape == (len(values), config.n_backends, n)
            assert (weights > 0).any(-1).all()


@pytest.mark.parametrize("name", SWITCHING)
def test_drawn_numbers_are_plain_and_named_as_the_rule_reads_them(name: str) -> None:
    rule = RULES[name]
    config = rule.configured(LoadBalancingConfig())
    drawn = rule.suggest(First(rule.first(config)[0]), config)
    assert all(type(value) in (int, float, str) for value in drawn.values())
    for missing in drawn:
        rest = {key: value for key, value in drawn.items() if key != missing}
        with pytest.raises(KeyError, match=missing):
            rule.start(config, 1, [rest])


def test_rules_with_numbers_are_those_that_switch() -> None:
    """Where there is one balancer."""
    assert tuple(name for name, rule in envs.rules(LoadBalancingConfig()).items() if rule.has_numbers) == SWITCHING


def test_a_rule_over_one_backend_for_all_has_one_whatever_the_world_has() -> None:
    for name, n_backends in zip(SWITCHING, (1, 1, 2, 2, 2), strict=True):
        for backends in ("class", "joint"):
            telemetry = Telemetry(ground_truth=True, noise=0.1, loss=0.2, delay_steps=3)
            config = LoadBalancingConfig(backends=backends, telemetry=telemetry)
            configured = RULES[name].configured(config)
            assert configured.n_backends == n_backends
            assert configured.telemetry == replace(telemetry, samples=False)
            assert replace(configured, backends=backends, telemetry=telemetry) == config


def test_first_there_are_bands_over_the_cheap_servers_and_from_one_server_on() -> None:
    """Whatever is watched, and with the time that a server takes to start among the holds."""
    config = RULES["autoscale"].configured(LoadBalancingConfig())
    first = RULES["autoscale"].first(config)
    assert {numbers["signal_0"] for numbers in first} == set(SIGNALS)
    assert {numbers["least_0"] for numbers in first} == {1, config.pool.n_servers - 1}
    assert config.pool.boot_s in {numbers["hold_on_s_0"] for numbers in first}
    assert np.all([numbers["least_0"] + numbers["more_0"] >= config.pool.n_servers for numbers in first])


@pytest.mark.parametrize("prices", [[3.0, 0.6, 0.12, 0.08], [0.08, 0.24, 0.6, 0.12]])
def test_first_of_all_the_dearest_server_is_on_from_eight_on_and_off_at_none(prices: list[float]) -> None:
    """By requests of the dear class alone, and whether or not the dearest is the largest; all others stay on."""
    pool = servers([4, 4, 2, 4], [2.0, 1.0, 1.0, 0.5], prices)
    dearest = int(np.argmax(pool.price_usd_per_h / pool.capacity))
    rule = RULES["autoscale_class"]
    config = rule.configured(LoadBalancingConfig(pool=pool))
    controller, measurements = rule.start(config, 1, [rule.suggest(First(rule.first(config)[0]), config)]), measured(config)
    dear = True
    for interactive in (0, 7, 8, 7, 1, 0, 1, 7, 9, 8, 1, 0, 0, 100, 1, 3, 0):
        dear = interactive >= 8 or (dear and interactive >= 1)
        on = controller.decide(demand(measurements, interactive, 50.0))[0, 0] > 0
        assert on.tolist() == [dear or server != dearest for server in range(4)]
