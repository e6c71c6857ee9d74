"""An observer that fails, hangs or lags stops nobody: it is counted, and told of once."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable

import pytest

from hierarchy.live import observers as module
from hierarchy.live.controller import Decision
from hierarchy.live.lines import Lines
from hierarchy.live.observers import Observers
from hierarchy.live.reports import Report
from tests.hierarchy.live.told import decision, report

Capture = pytest.CaptureFixture[str]


class Noting:
    """Notes the numbers of steps, and does something at each."""

    name = "noting"

    def __init__(self, do: Callable[[], object] = lambda: None) -> None:
        self.seen: list[int] = []
        self.is_closed = False
        self._do = do

    def observe(self, told: Report) -> None:
        self.seen.append(told.decision.number)
        self._do()

    def close(self) -> None:
        self.is_closed = True


def made(one: Decision, failures: dict[str, int]) -> Report:
    return report(one.number, failures=failures)


def fail() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def until(is_so: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if is_so():
            return
        time.sleep(0.01)
    pytest.fail("it never came to be")


def test_everyone_is_handed_every_step_in_order_and_closed() -> None:
    ones = [Noting(), Noting()]
    with Observers(made, ones) as observers:
        for number in range(50):
            observers.observe(decision(number))
    assert [one.seen for one in ones] == [list(range(50))] * 2
    assert all(one.is_closed for one in ones)


def test_one_that_fails_is_counted_told_of_once_and_asked_again(capsys: Capture) -> None:
    failing, other = Noting(fail), Noting()
    other.name = "other"
    with Observers(made, [failing, other]) as observers:
        for number in range(5):
            observers.observe(decision(number))
    assert failing.seen == other.seen == [0, 1, 2, 3, 4]
    assert observers.failures == {"the report": 0, "noting": 5, "other": 0}
    said = []
    until(lambda: bool(said.append(capsys.readouterr().err) or "".join(said)))
    assert "".join(said).splitlines() == [
        "metabalance: noting has failed ([Errno 28] No space left on device); steering goes on, and this is not said again"
    ]


def test_a_report_that_can_not_be_made_stops_nobody(capsys: Capture) -> None:
    def broken(one: Decision, failures: dict[str, int]) -> Report:
        if one.number == 1:
            raise ZeroDivisionError
        return made(one, failures)

    noting = Noting()
    with Observers(broken, [noting]) as observers:
        for number in range(3):
            observers.observe(decision(number))
    assert noting.seen == [0, 2]
    assert observers.failures["the report"] == 1


def test_one_that_hangs_holds_nobody_up_and_what_it_misses_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 10)
    monkeypatch.setattr(module, "END_S", 0.1)
    release = threading.Event()
    hanging, other = Noting(lambda: release.wait()), Noting()
    other.name = "other"
    with Observers(made, [hanging, other]) as observers:
        for number in range(30):
            observers.observe(decision(number))
            until(lambda number=number: len(other.seen) == number + 1)
        assert observers.failures["noting"] >= 30 - 10 - 1
    assert hanging.seen == [0]
    assert other.is_closed
    release.set()


def test_standard_output_that_nobody_reads_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 10)
    monkeypatch.setattr(module, "END_S", 0.1)
    ours, theirs = os.pipe()
    stream = os.fdopen(theirs, "w")
    with Observers(made, [Lines(stream)]) as observers:
        for number in range(2_000):  # more than a pipe holds
            observers.observe(decision(number))
        assert observers.failures["standard output"] > 0
    with os.fdopen(ours, "rb") as reader:
        assert reader.readline().startswith(b'{"at": ')
        draining = threading.Thread(target=reader.read)
        draining.start()
        until(lambda: not any(one.name == "standard output" for one in threading.enumerate()))
        stream.close()
        draining.join()


def test_a_pipe_that_is_broken_is_counted(capsys: Capture) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as stream, Observers(made, [Lines(stream)]) as observers:
        observers.observe(decision(1))
        observers.observe(decision(2))
        until(lambda: observers.failures["standard output"] == 2)
