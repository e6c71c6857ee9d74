"""Five faults under load: each ends in the state that docs/live.md has for it, and takes no other requests with it."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from envs.core.arrays import FloatArray, IntArray
from envs.haproxy.balancer import Balancer
from envs.haproxy.runtime import Place, RuntimeApi
from envs.load_balancing.kernel.accounts import ARRIVED, COMPLETED, IN_FLIGHT, LOST, REJECTED
from envs.load_balancing.measurements import Measurements
from hierarchy.live.controller import Controller, Decision
from hierarchy.live.running import LiveConfig, Running
from hierarchy.live.safety import Safety
from hierarchy.live.telemetry import TelemetryConfig
from runs.testbed.bed import TestBed
from runs.testbed.load import Answers
from runs.testbed.requests import Schedule
from tests.envs.haproxy.processes import installed_haproxy
from tests.hierarchy.live.steering import CONFIG, settings_of
from tests.runs.testbed.beds import comes_true, n_requests

pytestmark = pytest.mark.slow
INITIAL = [100, 100]
STEERED = [160, 40]
DOWN_S = 1.0
"""More than HAProxy takes to find that a server is down: two health checks, and one that is under way."""
SLACK_S = 0.5
"""Between the clock of the load, whose first request has to be seen, and that of the faults."""


class Policy:
    """Favours the first server; may have no idea."""

    def __init__(self) -> None:
        self.asked: FloatArray = np.array([STEERED, STEERED]) / 256

    def decide(self, measurements: Measurements) -> FloatArray:
        return self.asked[None] * measurements.capacity[:, None]


class Steered:
    """A test bed that is steered, and has load, each in a thread."""

    def __init__(
        self, bed: TestBed, balancer: Balancer, seconds: float, ttl_s: float, rate_hz: float = 30.0, work_s: float = 0.06
    ) -> None:
        self.bed, self.balancer, self.policy = bed, balancer, Policy()
        config = LiveConfig(
            safety=Safety(largest_change=30), telemetry=TelemetryConfig(stale_s=0.5), ttl_s=ttl_s, slow_s=5.0
        )
        self.controller = Controller(balancer, self.policy, config.safety, applies=True, telemetry=config.telemetry)
        self.decisions: list[Decision] = []
        self._is_over = False
        self._running = Running(self.controller, balancer, config, True, self._tell)
        self._steering = threading.Thread(target=self._steer)
        self._answers: list[Answers] = []
        n = int(seconds * rate_hz)
        rng = np.random.default_rng(0)
        self.schedule = Schedule(np.arange(n) / rate_hz, rng.integers(0, 2, n), np.full(n, work_s))
        self._sending = threading.Thread(target=lambda: self._answers.append(bed.run(self.schedule)))

    def _tell(self, decision: Decision) -> None:
        self.decisions.append(decision)
        if self._is_over:
            raise InterruptedError

    def _steer(self) -> None:
        with suppress(InterruptedError):
            self._running.run()

    def __enter__(self) -> Steered:
        self._steering.start()
        assert comes_true(lambda: self.weights == [STEERED, STEERED])
        self.counts = self.balancer.measurements.counts[0].copy()
        self._sending.start()
        assert comes_true(lambda: n_requests(self.bed) > 0)
        self.began_s = time.monotonic()
        time.sleep(1.0)
        return self

    def __exit__(self, *_: object) -> None:
        self._sending.join()
        time.sleep(0.5)
        self.end()

    def end(self) -> None:
        """Let the controller end as it should."""
        self._is_over = True
        self._steering.join()

    @property
    def now_s(self) -> float:
        """On the clock of the load, as far as one can tell."""
        return time.monotonic() - self.began_s

    @property
    def weights(self) -> list[list[int]]:
        places = [[Place(backend, server) for server in self.bed.servers] for backend in self.bed.backends]
        found = RuntimeApi(self.bed.socket).weights([place for row in places for place in row])
        return [[found[place].now for place in row] for row in places]

    def decides(self, condition: Callable[[Decision], bool]) -> Decision:
        """The next decision of which that is so."""
        n = len(self.decisions)
        assert comes_true(lambda: any(map(condition, self.decisions[n:])))
        return next(filter(condition, self.decisions[n:]))

    def steers_again(self) -> None:
        """It gets to what the policy asks for, in steps."""
        assert comes_true(lambda: self.weights == [STEERED, STEERED])
        self.decides(lambda one: not one.held_because)

    @property
    def answers(self) -> Answers:
        (answers,) = self._answers
        return answers

    @property
    def counted(self) -> IntArray:
        """What became of requests of all classes, as measured: arrived, completed, lost and rejected, in flight."""
        counts = (self.balancer.measurements.counts[0] - self.counts).sum(0)
        return np.array([counts[ARRIVED], counts[COMPLETED], counts[LOST] + counts[REJECTED], counts[IN_FLIGHT]])

    @property
    def largest_change(self) -> int:
        """The farthest that a weight moved in a step, among those that were written without an interruption."""
        steps = [one.weights for one in self.decisions if one.weights is not None and not one.held_because]
        return int(np.abs(np.diff(steps, axis=0)).max())


@pytest.fixture
def bed() -> Iterator[TestBed]:
    installed_haproxy()
    with TestBed(CONFIG) as bed:
        yield bed


@pytest.fixture
def balancer(bed: TestBed) -> Iterator[Balancer]:
    with Balancer(CONFIG, settings_of(bed)) as balancer:
        balancer.look()
        yield balancer


def test_a_server_that_is_killed(bed: TestBed, balancer: Balancer) -> None:
    """HAProxy finds it down and sends it nothing; the others are steered on; it is sent to again when it is back."""
    with Steered(bed, balancer, 6.0, ttl_s=10.0) as steered:
        bed.machines.stop(0)
        killed_s = steered.now_s
        assert comes_true(lambda: bool(balancer.down[0]))
        assert steered.decides(lambda one: True).held_because == ""
        bed.machines.start(0)
        assert comes_true(lambda: not balancer.down[0])
    answers = steered.answers
    lost = ~answers.is_ok
    assert lost.sum() > 0, "there were requests on it"
    assert (answers.sent_s[lost] < killed_s + DOWN_S + SLACK_S).all()
    assert (answers.ended_s[lost] > killed_s - SLACK_S).all()
    _, completed, gone, _ = steered.counted.tolist()
    unlogged = (
        steered.controller.telemetry.lines.missing
    )  # HAProxy hangs up on a client that has asked before, and logs nothing
    assert (completed, gone + unlogged) == (answers.is_ok.sum(), lost.sum())
    assert gone > 0
    assert {one.trouble for one in steered.decisions} == {""}
    assert steered.weights == [INITIAL, INITIAL], "it has ended"


def test_a_haproxy_that_is_killed_and_started_again(bed: TestBed, balancer: Balancer) -> None:
    with Steered(bed, balancer, 6.0, ttl_s=10.0, rate_hz=6.0, work_s=0.5) as steered:
        bed.proxy.kill()
        killed_s = steered.now_s
        assert steered.decides(lambda one: one.held_because != "").trouble == "unreachable"
        n = len(steered.decisions)
        bed.proxy.start()
        back_s = steered.now_s
        steered.steers_again()
    answers = steered.answers
    lost = ~answers.is_ok
    assert (answers.ended_s[lost] > killed_s - SLACK_S).all()
    assert (answers.intended_s[lost] < back_s + SLACK_S).all()
    arrived, completed, gone, in_flight = steered.counted.tolist()
    assert (completed, in_flight) == (answers.is_ok.sum(), 0)
    assert 1 <= gone <= (lost & (answers.intended_s < killed_s + SLACK_S)).sum(), "those in flight, and not those after them"
    assert arrived == completed + gone
    assert balancer.n_restarts == 1
    back = next(one for one in steered.decisions[n:] if one.trouble != "unreachable")
    assert [one.kind for one in back.noticed] == ["started again"], "in the first step that reaches it"
    begun = next(one.weights for one in steered.decisions[n:] if not one.held_because)
    assert begun is not None
    assert np.abs(begun - 100).max() <= 30, "a step from the initial weights"
    assert steered.weights == [INITIAL, INITIAL]


def test_a_haproxy_that_is_reloaded_loses_nothing(bed: TestBed, balancer: Balancer) -> None:
    """The process before serves what it has, and logs it: for so long it is not taken for lost."""
    with Steered(bed, balancer, 6.0, ttl_s=10.0, rate_hz=6.0, work_s=0.5) as steered:
        old = bed.proxy.process
        assert old is not None
        words = [*bed.proxy._words, "-sf", str(old.pid)]
        bed.proxy.process = subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        assert comes_true(bed.proxy.answers)
        steered.steers_again()
        old.wait()
    n = steered.schedule.n
    assert steered.answers.is_ok.all()
    assert steered.counted.tolist() == [n, n, 0, 0]
    assert balancer.n_restarts == 1


def test_a_stats_socket_that_is_removed(bed: TestBed, balancer: Balancer) -> None:
    with Steered(bed, balancer, 5.0, ttl_s=10.0) as steered:
        aside = f"{bed.socket}.aside"
        os.rename(bed.socket, aside)
        assert steered.decides(lambda one: one.held_because != "").trouble == "unreachable"
        time.sleep(1.0)
        os.rename(aside, bed.socket)
        assert steered.weights == [STEERED, STEERED]
        steered.steers_again()
    assert steered.answers.is_ok.all()
    assert steered.counted.tolist() == [steered.schedule.n, steered.schedule.n, 0, 0]
    assert steered.controller.n_held["unreachable"] > 0
    assert balancer.n_restarts == balancer.n_foreign == 0


def test_a_log_that_falls_silent(bed: TestBed, balancer: Balancer) -> None:
    with Steered(bed, balancer, 8.0, ttl_s=10.0) as steered:
        path = str(bed.log_socket)
        os.rename(path, f"{path}.aside")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
            deaf.bind(path)
            steered.policy.asked = np.ones((2, 2))
            held = steered.decides(lambda one: one.trouble == "log")
            there = steered.weights
            assert held.weights is not None
            assert held.weights.tolist() == there
            time.sleep(0.5)
            assert steered.weights == there
        os.rename(f"{path}.aside", path)
        steered.policy.asked = np.array([STEERED, STEERED]) / 256
        steered.steers_again()
    assert steered.answers.is_ok.all()
    arrived, completed, lost, _ = steered.counted.tolist()
    assert lost == 0
    assert arrived >= completed
    missing = steered.controller.telemetry.lines.missing
    assert completed + missing == pytest.approx(steered.schedule.n, abs=3)


def test_a_policy_that_has_no_idea(bed: TestBed, balancer: Balancer) -> None:
    with Steered(bed, balancer, 6.0, ttl_s=1.0) as steered:
        steered.policy.asked = np.full((2, 2), np.nan)
        held = steered.decides(lambda one: one.held_because != "")
        assert held.trouble == "policy"
        assert held.weights is not None
        assert held.weights.tolist() == [STEERED, STEERED]
        assert comes_true(lambda: steered.weights == [INITIAL, INITIAL])
        steered.policy.asked = np.array([STEERED, STEERED]) / 256
        steered.steers_again()
    assert steered.answers.is_ok.all()
    assert steered.counted.tolist() == [steered.schedule.n, steered.schedule.n, 0, 0]
    assert balancer.n_foreign == 0


def test_a_decision_that_is_late_is_not_written(bed: TestBed, balancer: Balancer) -> None:
    clock = iter(np.arange(0.0, 100.0, 0.3))
    policy: Any = Policy()
    controller = Controller(balancer, policy, Safety(), applies=True, now=lambda: float(next(clock)), slow_s=0.25)
    decision = controller.step()
    assert (decision.trouble, decision.held_because) == ("slow", "the decision took 0.300 s, more than 0.25 s")
    assert decision.asked is not None
    assert controller.n_held["slow"] == 1
    assert balancer.look().weights.tolist() == [INITIAL, INITIAL]
    clock = iter(np.arange(0.0, 100.0, 0.2))
    assert controller.step().trouble == ""
    assert balancer.look().weights.tolist() == [STEERED, STEERED]
