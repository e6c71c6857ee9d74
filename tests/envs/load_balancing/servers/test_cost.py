"""What servers cost."""

from __future__ import annotations

import pytest

from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.pools import fail, figures_of, inject, run, servers, totals_of
from tests.envs.load_balancing.servers.lives import RARELY_HZ, quiet


def cost_usd_per_h(world: LoadBalancing) -> float:
    return float(figures_of(world)["cost_usd_per_h"][0])


def test_an_idle_server_costs_the_idle_share_of_its_price() -> None:
    world = run(quiet(servers([2, 2], price=[3.0, 5.0], idle_share=0.4)), 4)
    assert cost_usd_per_h(world) == pytest.approx(0.4 * 8.0)


def test_a_fully_used_server_costs_its_price() -> None:
    world = quiet(servers([2, 2], price=[3.0, 5.0], idle_share=0.4))
    for server in (0, 0, 1, 1):
        inject(world, server, 100.0)
    assert cost_usd_per_h(run(world, 4)) == pytest.approx(8.0)


def test_cost_grows_in_proportion_to_the_cores_used() -> None:
    world = quiet(servers([4], price=[2.0], idle_share=0.25))
    inject(world, 0, 100.0)
    assert cost_usd_per_h(run(world, 4)) == pytest.approx(2.0 * (0.25 + 0.75 / 4))


def test_a_server_that_is_off_or_failed_costs_nothing() -> None:
    world = quiet(servers([1, 1, 1], price=[1.0, 2.0, 4.0], idle_share=1.0, failure_rate_hz=RARELY_HZ, repair_s=1e12))
    fail(world, 1)
    assert cost_usd_per_h(run(world, 4, [0.0, 1.0, 1.0])) == pytest.approx(4.0)


def test_a_booting_server_costs_as_an_idle_one() -> None:
    world = quiet(servers([1, 1], price=[1.0, 2.0], idle_share=0.5, boot_s=100.0))
    run(world, 1, [0.0, 1.0])
    since = totals_of(world)
    run(world, 4, [1.0, 1.0])
    assert figures_of(world, since)["cost_usd_per_h"][0] == pytest.approx(1.5)
