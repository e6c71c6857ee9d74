"""Who is asked to stop does so where training can go on from, and at once where there is none or it is asked twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from hierarchy.stopping import INTERRUPTED, STOP_WORKER, Stopping

ASKED = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def stopping() -> Iterator[Stopping]:
    """One that listens; signals are given back afterwards."""
    before = {number: signal.getsignal(number) for number in (*ASKED, STOP_WORKER)}
    one = Stopping()
    one.listen()
    yield one
    for number, handler in before.items():
        signal.signal(number, handler)


class Ended(BaseException):
    """A process has ended, with a status."""


@pytest.fixture
def _ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of this process is told from its going on."""

    def end(status: int) -> None:
        raise Ended(status)

    monkeypatch.setattr(os, "_exit", end)


@pytest.mark.parametrize("number", ASKED)
def test_where_nothing_is_in_training_it_stops_at_once(stopping: Stopping, number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


@pytest.mark.usefixtures("_ends")
@pytest.mark.parametrize("number", ASKED)
def test_who_trains_goes_on_until_it_stops_by_itself_or_is_asked_again(stopping: Stopping, number: signal.Signals) -> None:
    with stopping.in_training():
        signal.raise_signal(number)
        assert stopping.asked
        with pytest.raises(KeyboardInterrupt):
            stopping.stop()
        with pytest.raises(Ended, match=str(INTERRUPTED)):
            signal.raise_signal(number)


@pytest.mark.usefixtures("_ends")
def test_a_worker_hears_of_it_from_its_parent_alone_and_ends(stopping: Stopping) -> None:
    worker = Stopping()
    worker.listen_as_worker()
    for number in ASKED:
        signal.raise_signal(number)
    assert not worker.asked
    with worker.in_training():
        for _ in range(2):
            signal.raise_signal(STOP_WORKER)
        assert worker.asked
        with pytest.raises(Ended, match=str(INTERRUPTED)):
            worker.stop()
    with pytest.raises(Ended, match=str(INTERRUPTED)):
        signal.raise_signal(STOP_WORKER)
