"""What a pool can be bounded in: load, lateness, losses, spending, each as its statistics have it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import envs
from envs.core.simulation import Simulation
from envs.core.validation import SettingError
from envs.load_balancing.config import BalancersConfig, Constraints, LoadBalancingConfig
from tests.envs.load_balancing.pools import servers, steady

ALL = Constraints(load=0.01, load_level=0.6, load_span_s=1.0, late=0.02, lost=0.03, spend_usd_per_h=0.4)
POOL = LoadBalancingConfig(pool=servers([2, 4]), workload=steady(0.7, deadline_s=0.5), constraints=ALL)


def played(
    config: LoadBalancingConfig, n_envs: int = 4, n_steps: int = 400, settles: bool = False
) -> tuple[Simulation, np.ndarray]:
    """A pool with all servers on, and how each of them was used ``(n_steps, n_envs, n_servers)``."""
    simulation = envs.simulate(replace(config, episode_steps=n_steps), n_envs, 3)
    simulation.settles = settles
    simulation.reset()
    nominal = np.ones(simulation.world.dynamics.state.servers.weight.shape)  # type: ignore[attr-defined]
    used = []
    while not simulation.ended.all():
        simulation.advance(nominal)
        used.append(simulation.world.dynamics.state.step.utilisation.copy())  # type: ignore[attr-defined]
    return simulation, np.array(used)


def costs_of(simulation: Simulation) -> dict[str, np.ndarray]:
    """Means over the steps of an episode."""
    return simulation.costs.named(simulation.costs.mean)


def test_load_is_the_share_of_steps_whose_fullest_server_was_above_the_level_over_its_span() -> None:
    simulation, used = played(POOL)
    over = []
    for step in range(len(used)):
        of_span = used[max(step - 3, 0) : step + 1]  # 1 s of steps of 0.25 s
        over.append(of_span.mean(0).max(-1) > 0.6)
    expected = np.mean(over, axis=0)
    assert ((expected > 0.2) & (expected < 1.0)).all()
    assert costs_of(simulation)["load"] == pytest.approx(expected)


def test_a_second_episode_remembers_no_load_of_the_first() -> None:
    config = replace(POOL, constraints=replace(ALL, load_span_s=5.0), episode_steps=30)
    simulation = envs.simulate(config, 2, 3)
    found = []
    for _ in range(2):
        simulation.reset(seed=5)
        while not simulation.ended.all():
            simulation.advance(np.ones((2, 2, 2)))
        found.append(simulation.costs.total.copy())
    assert (found[0] == found[1]).all()


CHANGING = replace(LoadBalancingConfig(), constraints=ALL, dt_s=1.0)
"""Loads come in shifts, and what is late comes when they are high."""


@pytest.mark.parametrize("settles", [False, True])
@pytest.mark.parametrize("n_balancers", [1, 2])
def test_late_lost_and_spent_are_what_statistics_say(n_balancers: int, settles: bool) -> None:
    """Those who still wait as an episode ends are late where it is settled."""
    slow = replace(CHANGING.pool, cores=[4, 1, 1, 1], max_flows=5)
    simulation, _ = played(
        replace(CHANGING, pool=slow, balancers=BalancersConfig(n=n_balancers)), n_steps=600, settles=settles
    )
    costs, statistics = costs_of(simulation), simulation.statistics()
    assert (statistics["lost_share"] > 0.01).any()
    assert costs["late"] == pytest.approx(statistics["late_share"])
    assert costs["lost"] == pytest.approx(statistics["lost_share"])
    assert costs["spend_usd_per_h"] == pytest.approx(statistics["cost_usd_per_h"])


def test_what_has_no_bound_costs_nothing() -> None:
    simulation = envs.simulate(replace(POOL, constraints=Constraints(late=0.02)), 1)
    assert simulation.costs.names == ("late",)
    assert simulation.costs.bounds.tolist() == [0.02]


def test_a_bound_that_nothing_can_mean_is_refused() -> None:
    with pytest.raises(SettingError, match=r"load must be >= 0 and <= 1, got 1\.5"):
        Constraints(load=1.5)
