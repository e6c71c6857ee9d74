"""When a flow is late."""

from __future__ import annotations

from envs.load_balancing.kernel import accounts
from tests.envs.load_balancing.pools import count, inject, run, servers
from tests.envs.load_balancing.servers.lives import quiet


def test_a_flow_is_late_once_its_deadline_passes_and_stays_so() -> None:
    world = quiet(servers([1]), dt_s=1.0)
    inject(world, 0, 14.5)
    late = [int(count(run(world, 1), accounts.LATE)[0, 0]) for _ in range(20)]
    assert late == [0] * 10 + [1] * 10
    assert count(world, accounts.COMPLETED)[0, 0] == 1
    assert count(world, accounts.ON_TIME)[0, 0] == 0


def test_an_answer_within_the_deadline_is_on_time() -> None:
    world = quiet(servers([1]), dt_s=1.0)
    inject(world, 0, 9.9)
    run(world, 20)
    assert count(world, accounts.ON_TIME)[0, 0] == 1
    assert count(world, accounts.LATE)[0, 0] == 0
