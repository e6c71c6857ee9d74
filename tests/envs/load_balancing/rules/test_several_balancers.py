"""What one would run behind several balancers: each follows a rule by itself, and what that costs is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from envs.core.rules import Enqueued
from envs.core.simulation import Simulation
from envs.load_balancing.config import BalancersConfig, LoadBalancingConfig, Poisson, PowerOfTwo, Sed
from envs.load_balancing.rules import RULES
from envs.load_balancing.stories import SIX_SERVERS
from envs.load_balancing.world import compose

DEFAULT = LoadBalancingConfig()


def team(n: int, config: LoadBalancingConfig = DEFAULT) -> LoadBalancingConfig:
    return replace(config, balancers=BalancersConfig(n=n))


@pytest.mark.parametrize("name", ["sed", "sed_flatter", "autoscale_class", "telemetry_wrr"])
def test_a_rule_of_each_balancer_sets_the_weights_of_all(name: str) -> None:
    rule = RULES[name]
    config = rule.configured(team(3))
    simulation = Simulation(compose(config, range(2), 0, "train"), 100)
    simulation.reset()
    numbers = [rule.suggest(Enqueued(first), config) for first in list(rule.first(config))[:1]]
    controller = rule.start(config, 2, numbers)
    for _ in range(100):
        weights = controller.decide(simulation.measurements)
        assert weights.shape == (2, 3 * config.n_backends, config.pool.n_servers)
        simulation.advance(weights)
    assert (simulation.statistics()["throughput_hz"] > 0).all()


def latency_ms(n: int, dispatch: Any, power: float = 1.0) -> np.ndarray:
    """Mean latencies ``(n_envs,)`` under weights that are a power of capacity."""
    workload = replace(
        DEFAULT.workload,
        arrivals=Poisson(),
        regimes=replace(DEFAULT.workload.regimes, loads=[0.8], interactive_shares=[0.5]),
    )
    config = team(n, replace(DEFAULT, pool=SIX_SERVERS, workload=workload, backends="joint", dispatch=dispatch))
    simulation = Simulation(compose(config, range(16), 5, "train"), 10_000)
    simulation.reset()
    rule = RULES["sed_flatter"].start(config, 16, [{"power": power}])
    for _ in range(400):
        simulation.advance(rule.decide(simulation.measurements))
    of_envs: np.ndarray = simulation.statistics()["latency_mean_ms"]
    return of_envs


def test_knowing_only_its_own_requests_makes_sed_worse_the_more_balancers_there_are() -> None:
    means = [latency_ms(n, Sed()).mean() for n in (1, 4, 16)]
    assert means == sorted(means)
    assert means[2] > 1.2 * means[0]


def test_sed_that_sees_all_is_sed_of_one_balancer() -> None:
    """Whatever the world has, its episodes are those of a world with one; it is no rule there, and nobody may choose it."""
    rule, config = RULES["sed_global"], team(4)
    assert rule.is_oracle
    assert rule.suits(config)
    assert not rule.suits(DEFAULT)
    found = []
    for name, given in (("sed_global", config), ("sed", DEFAULT)):
        ruled = RULES[name].configured(given)
        simulation = Simulation(compose(ruled, [0, 1], 0, "evaluate"), 100)
        simulation.reset()
        controller = RULES[name].start(ruled, 2)
        while not simulation.ended.all():
            simulation.advance(controller.decide(simulation.measurements))
        found.append(simulation.statistics())
    for name, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][name], err_msg=name)


def test_flatter_weights_are_powers_of_capacity_for_all_or_for_each() -> None:
    """With a power of 1 they are those of SED; every env may have its own, which all of its balancers follow."""
    rule, config = RULES["sed_flatter"], team(2)
    assert (rule.suits(config), rule.suits(DEFAULT)) == (True, False)
    simulation = Simulation(compose(rule.configured(config), range(3), 0, "train"), 100)
    simulation.reset()
    plain = RULES["sed"].start(config, 3).decide(simulation.measurements)
    np.testing.assert_array_equal(rule.start(config, 3, [{"power": 1.0}]).decide(simulation.measurements), plain)
    powers = np.array([0.3, 0.6, 1.0])
    each = rule.start(config, 3, [{"power": power} for power in powers.tolist()]).decide(simulation.measurements)
    np.testing.assert_allclose(each, plain ** powers[:, None, None])
    assert len({row.tobytes() for row in each}) == 3


def test_flatter_weights_help_the_more_the_more_balancers_there_are() -> None:
    gains = [(latency_ms(n, Sed()) / latency_ms(n, Sed(), power=0.6)).mean() for n in (1, 4, 16)]
    assert gains == sorted(gains)
    assert gains[1] > 1.0


def test_two_choices_that_ask_the_servers_do_not_mind_how_many_balancers_there_are() -> None:
    """The same requests, other draws: the paired difference is within what chance makes of it."""
    apart = latency_ms(8, PowerOfTwo(asks=True)) - latency_ms(1, PowerOfTwo(asks=True))
    assert abs(apart.mean()) < 3.0 * apart.std(ddof=1) / np.sqrt(len(apart))
    blind = latency_ms(8, PowerOfTwo()) - latency_ms(1, PowerOfTwo())
    assert blind.mean() > 3.0 * blind.std(ddof=1) / np.sqrt(len(blind))
