"""Servers are switched on before they have weight, and off after they are drained; never twice at once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.core.validation import SettingError
from envs.haproxy.balancer import Balancer
from envs.haproxy.looking import Seen
from envs.haproxy.runtime import Place
from envs.load_balancing.kernel.metering import Look
from hierarchy.live.controller import Controller
from hierarchy.live.power import NOT_SAVED, RETRY_S, Power, PowerConfig, call
from hierarchy.live.safety import Safety
from runs.testbed.bed import TestBed
from tests.envs.haproxy.processes import installed_haproxy
from tests.hierarchy.live.steering import CONFIG, settings_of
from tests.hierarchy.live.test_controller import Fixed
from tests.runs.testbed.beds import comes_true

GRACE_S = 3.0
COMMAND = PowerConfig(command=["switch"], grace_s=GRACE_S)
Calls = list[tuple[str, str]]


def seen(weights: Sequence[int], down: Sequence[bool], flows: Sequence[int], out: Sequence[bool] | None = None) -> Seen:
    n = len(weights)
    look = Look(np.array([flows]), np.zeros(1, np.int64), np.array(down))
    untouchable = np.array(out or [False] * n)
    both = np.array([weights])
    return Seen(look, both, both, untouchable, ("leastconn",), 1, 0, np.zeros(1, np.int64), 0, ())


class Machines:
    """A program that is done when it is told so, and a clock."""

    def __init__(self, config: PowerConfig = COMMAND, least: int = 1) -> None:
        self.now_s, self.said = 0.0, list[tuple[str, str]]()
        self._answers: dict[str, str] = {}
        self._changed = threading.Condition()
        self.power = Power(config, ["s1", "s2"], least, self._call, lambda: self.now_s)

    def _call(self, command: Sequence[str], server: str, word: str, timeout_s: float) -> str:
        self.said.append((server, word))
        with self._changed:
            self._changed.wait_for(lambda: server in self._answers)
            return self._answers.pop(server)

    def answer(self, server: str, wrong: str = "") -> None:
        with self._changed:
            self._answers[server] = wrong
            self._changed.notify_all()

    def done(self, server: str, wrong: str = "") -> None:
        """Let a call end, and be noticed."""
        self.answer(server, wrong)
        assert comes_true(lambda: not self.power._done.empty())

    def step(self, wanted: Sequence[bool], there: Seen, seconds: float = 1.0) -> list[bool]:
        """A step of a controller; who may have weight."""
        self.now_s += seconds
        ready = self.power.ready(there)
        self.power.follow(np.array(wanted), there)
        return ready.tolist()


BOTH, FIRST = [True, True], [True, False]
UP, SECOND_DOWN = [False, False], [False, True]


def test_a_drained_server_is_switched_off_after_a_time_without_requests() -> None:
    machines = Machines()
    machines.step(BOTH, seen([9, 9], UP, [1, 1]))
    for _ in range(5):
        machines.step(FIRST, seen([9, 0], UP, [1, 1]))
    assert machines.said == [], "it has something to do"
    for _ in range(int(GRACE_S) - 1):
        machines.step(FIRST, seen([9, 0], UP, [1, 0]))
    assert machines.said == [], "it had something to do a moment ago"
    machines.step(FIRST, seen([9, 0], UP, [1, 0]))
    assert machines.said == [("s2", "off")]
    assert machines.power.off == ["s2"]


def switched_off(machines: Machines) -> None:
    machines.step(BOTH, seen([9, 9], UP, [0, 0]))
    machines.step(FIRST, seen([9, 0], UP, [0, 0]), GRACE_S)
    machines.done("s2")
    assert machines.step(FIRST, seen([9, 0], UP, [0, 0])) == [True, False]


def test_weight_is_given_when_a_server_is_switched_on_and_up() -> None:
    machines = Machines()
    switched_off(machines)
    assert machines.step(BOTH, seen([9, 0], SECOND_DOWN, [0, 0])) == [True, False]
    assert machines.said[-1] == ("s2", "on")
    assert machines.step(BOTH, seen([9, 0], UP, [0, 0])) == [True, False], "the call is not over"
    machines.done("s2")
    assert machines.step(BOTH, seen([9, 0], SECOND_DOWN, [0, 0])) == [True, False], "it is not up"
    assert machines.step(BOTH, seen([9, 0], UP, [0, 0])) == [True, True]
    assert (machines.power.off, machines.power.n_calls) == ([], 2)


def test_the_newest_wish_counts_and_no_call_overtakes_another() -> None:
    machines = Machines()
    machines.step(BOTH, seen([9, 9], UP, [0, 0]))
    machines.step(FIRST, seen([9, 0], UP, [0, 0]), GRACE_S)
    for wanted in (BOTH, FIRST, BOTH, FIRST, BOTH):
        machines.step(wanted, seen([9, 0], UP, [0, 0]))
    assert machines.said == [("s2", "off")]
    machines.done("s2")
    machines.step(BOTH, seen([9, 0], UP, [0, 0]))
    assert machines.said == [("s2", "off"), ("s2", "on")]


@pytest.mark.parametrize("word", ["on", "off"])
def test_a_call_that_fails_is_told_and_made_again_later(word: str) -> None:
    machines = Machines()
    if word == "on":
        switched_off(machines)
        wanted, there = BOTH, seen([9, 0], SECOND_DOWN, [0, 0])
    else:
        machines.step(BOTH, seen([9, 9], UP, [0, 0]))
        wanted, there = FIRST, seen([9, 0], UP, [0, 0])
    machines.step(wanted, there, GRACE_S)
    n = machines.power.n_calls
    machines.done("s2", "ended with 3")
    machines.step(wanted, there, 0.5)
    assert machines.power.powered() == (NOT_SAVED, (), (f"s2 {word}: ended with 3",))  # nobody knows what it is
    assert machines.power.off == ["s2"]  # it is to be on at the end
    assert machines.power.powered().failures == ()
    machines.step(wanted, there, RETRY_S / 2)
    assert (machines.power.n_calls, machines.power.n_failed) == (n, 1)
    machines.step(wanted, there, RETRY_S)
    assert machines.said[-1] == ("s2", word)
    assert machines.power.n_calls == n + 1


def test_after_a_failure_nobody_knows_so_a_server_is_switched_on_before_it_has_weight() -> None:
    machines = Machines()
    machines.step(BOTH, seen([9, 9], UP, [0, 0]))
    machines.step(FIRST, seen([9, 0], UP, [0, 0]), GRACE_S)
    machines.done("s2", "took more than 60 s")
    assert machines.step(BOTH, seen([9, 0], UP, [0, 0]), RETRY_S) == [True, False]
    machines.step(BOTH, seen([9, 0], UP, [0, 0]), RETRY_S)
    assert machines.said == [("s2", "off"), ("s2", "on")]


def test_enough_servers_are_kept_on_whatever_is_wanted() -> None:
    machines = Machines(least=2)
    machines.step(FIRST, seen([9, 0], UP, [0, 0]))
    machines.step(FIRST, seen([9, 0], UP, [0, 0]), 10 * GRACE_S)
    assert machines.said == []


def test_servers_that_were_taken_out_are_not_switched() -> None:
    machines = Machines()
    machines.step(BOTH, seen([9, 9], UP, [0, 0]))
    machines.step(FIRST, seen([9, 0], UP, [0, 0], [False, True]), 10 * GRACE_S)
    assert machines.said == []


def test_what_was_switched_off_is_switched_on_at_the_end_and_nothing_else() -> None:
    machines = Machines()
    switched_off(machines)
    machines.answer("s2")
    assert machines.power.all_on()
    assert machines.said[-1] == ("s2", "on")
    left = Machines()
    left.step(FIRST, seen([9, 0], SECOND_DOWN, [0, 0]))
    assert left.power.all_on()
    assert left.said == [], "it was off before"


def test_an_end_at_which_a_server_can_not_be_switched_on_is_no_good_one() -> None:
    machines = Machines()
    switched_off(machines)
    machines.answer("s2", "no")
    assert not machines.power.all_on()


def test_without_a_program_all_servers_are_on_and_nothing_is_saved() -> None:
    machines = Machines(PowerConfig())
    assert machines.step(FIRST, seen([9, 0], SECOND_DOWN, [0, 0]), 100.0) == [True, True]
    assert machines.said == []
    assert machines.power.powered() == (NOT_SAVED, (), ())


def program(text: str) -> list[str]:
    return [sys.executable, "-c", f"import sys, time; {text}"]


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        (program("sys.exit(sys.argv[1:] != ['a b', 'on'])"), ""),
        (program("sys.exit(3)"), "ended with 3"),
        (program("time.sleep(60)"), "took more than 0.5 s"),
        (["/nowhere/program"], "No such file or directory"),
    ],
)
def test_what_a_program_says(command: list[str], wrong: str) -> None:
    timeout_s = 0.5 if "sleep" in command[-1] else 20.0
    assert call(command, "a b", "on", timeout_s) == wrong


def test_a_command_must_be_one() -> None:
    with pytest.raises(SettingError, match="command must be a program and arguments"):
        PowerConfig(command=[""])


@pytest.fixture
def bed() -> Iterator[TestBed]:
    installed_haproxy()
    with TestBed(CONFIG) as bed:
        yield bed


def stepped(controller: Controller, condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true while a controller makes steps."""

    def after_a_step() -> bool:
        controller.step()
        return condition()

    return comes_true(after_a_step)


@pytest.mark.slow
def test_a_machine_that_is_off_is_started_before_haproxy_sends_to_it(bed: TestBed) -> None:
    """The program stops and starts the server itself: no request meets one that is not there."""
    changed: Calls = []

    def switch(command: Sequence[str], server: str, word: str, timeout_s: float) -> str:
        changed.append((server, word))
        number = bed.servers.index(server)
        (bed.machines.start if word == "on" else bed.machines.stop)(number)
        return ""

    with Balancer(CONFIG, settings_of(bed)) as balancer:
        power = Power(PowerConfig(command=["switch"], grace_s=0.2), bed.servers, call=switch)
        policy = Fixed(np.array([[1.0, 0.0], [1.0, 0.0]]))
        controller = Controller(balancer, policy, Safety(largest_change=256), applies=True, power=power)

        def weights(server: int) -> set[int]:
            places = [Place(backend, bed.servers[server]) for backend in bed.backends]
            return {weight.now for weight in balancer.api.weights(places).values()}

        assert stepped(controller, lambda: changed == [("s2", "off")])
        assert weights(1) == {0}
        assert stepped(controller, lambda: bool(balancer.down[1]))
        policy.asked = np.array([[1.0, 0.5], [1.0, 0.5]])
        decision = controller.step()
        assert {one.rule for one in decision.interventions} == {"power"}
        assert weights(1) == {0}, "nothing before it is up"
        given: list[Any] = []

        def has_weight() -> bool:
            given.append((bool(balancer.down[1]), weights(1) != {0}))
            return given[-1][1]

        assert stepped(controller, has_weight)
        assert (True, True) not in given
        assert changed == [("s2", "off"), ("s2", "on")]


@pytest.mark.slow
def test_a_program_that_hangs_stops_no_step(bed: TestBed, tmp_path: Path) -> None:
    with Balancer(CONFIG, settings_of(bed)) as balancer:
        config = PowerConfig(command=program("time.sleep(60)"), grace_s=0.0, timeout_s=1.0)
        power = Power(config, bed.servers)
        controller = Controller(
            balancer, Fixed(np.array([[1.0, 0.0], [1.0, 0.0]])), Safety(largest_change=256), applies=True, power=power
        )
        assert stepped(controller, lambda: power.n_calls == 1)
        assert all(controller.step().held_because == "" for _ in range(10))
        assert stepped(controller, lambda: power.n_failed == 1)
