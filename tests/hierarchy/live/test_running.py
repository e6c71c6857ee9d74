"""The loop in time: weights of the configuration file come back when decisions fail for too long, and at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from envs.core.arrays import FloatArray
from envs.haproxy.balancer import Balancer
from envs.haproxy.config import HAProxyConfig
from envs.haproxy.runtime import Place
from envs.load_balancing.measurements import Measurements
from hierarchy.live.controller import Controller, Decision
from hierarchy.live.running import LiveConfig, Running
from hierarchy.live.safety import Safety
from runs.testbed.bed import TestBed
from tests.envs.haproxy.processes import installed_haproxy
from tests.hierarchy.live.steering import CONFIG

pytestmark = pytest.mark.slow
FREE = Safety(largest_change=256)


class Failing:
    """A policy that fails from its third decision on."""

    def __init__(self) -> None:
        self.n = 0

    def decide(self, measurements: Measurements) -> FloatArray:
        self.n += 1
        if self.n > 2:
            raise ValueError("no idea")
        return np.full((1, 2, 2), 2.0) * [1.0, 0.5]


@pytest.fixture(scope="module")
def bed() -> Iterator[TestBed]:
    installed_haproxy()
    with TestBed(CONFIG) as bed:
        yield bed


@pytest.fixture
def balancer(bed: TestBed) -> Iterator[Balancer]:
    settings = HAProxyConfig(bed.socket, str(bed.log_socket), list(bed.backends), list(bed.servers))
    with Balancer(CONFIG, settings) as balancer:
        yield balancer


def weights_of(bed: TestBed, balancer: Balancer) -> list[int]:
    places = [Place(bed.backends[0], server) for server in bed.servers]
    return [weight.now for weight in balancer.api.weights(places).values()]


@pytest.mark.parametrize("applies", [True, False])
def test_after_too_long_without_a_decision_the_configured_weights_come_back(
    bed: TestBed, balancer: Balancer, applies: bool
) -> None:
    seen: list[tuple[str, list[int]]] = []

    def tell(decision: Decision) -> None:
        seen.append((decision.held_because, weights_of(bed, balancer)))

    controller = Controller(balancer, Failing(), FREE, applies)
    Running(controller, balancer, LiveConfig(ttl_s=0.25), applies, tell).run(8)
    assert [held for held, _ in seen] == ["", ""] + ["no decision (no idea)"] * 6
    steered = [256, 128] if applies else [100, 100]
    assert [weights for _, weights in seen[:4]] == [steered] * 4
    assert seen[-1][1] == [100, 100]


def test_what_ends_the_loop_puts_the_configured_weights_back(bed: TestBed, balancer: Balancer) -> None:
    def tell(decision: Decision) -> None:
        assert weights_of(bed, balancer) == [256, 128]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Running(Controller(balancer, Failing(), FREE, True), balancer, LiveConfig(), True, tell).run()
    assert weights_of(bed, balancer) == [100, 100]


def test_steps_come_at_their_instants(balancer: Balancer) -> None:
    """Time is what the loop slept: five looks in a step of 0.1 s."""
    slept: list[float] = []
    clock = 0.0

    def sleep(seconds: float) -> None:
        nonlocal clock
        slept.append(seconds)
        clock += seconds

    running = Running(
        Controller(balancer, Failing(), FREE, False), balancer, LiveConfig(), False, lambda _: None, lambda: clock, sleep
    )
    running.run(3)
    assert slept == pytest.approx([0.02] * 15)


def ends_of(balancer: Balancer, took_s: Callable[[int], float]) -> list[float]:
    """When four steps end, of which each is told of for some time."""
    clock, ends = 0.0, list[float]()

    def sleep(seconds: float) -> None:
        nonlocal clock
        clock += seconds

    def tell(decision: Decision) -> None:
        nonlocal clock
        ends.append(round(clock, 6))
        clock += took_s(decision.number)

    Running(Controller(balancer, Failing(), FREE, False), balancer, LiveConfig(), False, tell, lambda: clock, sleep).run(4)
    return ends


def test_a_loop_that_is_late_does_not_catch_up(balancer: Balancer) -> None:
    assert ends_of(balancer, lambda number: float(number == 2)) == pytest.approx([0.1, 0.2, 1.3, 1.4])


def test_steps_end_at_their_instants_whatever_they_take(balancer: Balancer) -> None:
    assert ends_of(balancer, lambda number: 0.03) == pytest.approx([0.1, 0.2, 0.3, 0.4])
