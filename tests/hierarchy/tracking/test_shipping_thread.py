"""The thread that delivers: it pauses while a store is away, and nobody waits for it for long."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from hierarchy.tracking import shipper as shipping
from hierarchy.tracking.records import Record
from hierarchy.tracking.shipper import LONGEST_S, Shipper, pause_s
from tests.hierarchy.tracking.books import Books, Store, assert_all_there_once, fill, store_of


def test_pauses_double_up_to_a_minute() -> None:
    pauses = [pause_s(n) for n in range(1, 100)]
    assert pauses[0] == shipping.FIRST_S
    assert all(later == min(2 * sooner, LONGEST_S) for sooner, later in itertools.pairwise(pauses))
    assert pauses[-1] == LONGEST_S


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("FIRST_S", 0.02), ("EVERY_S", 0.02), ("PATIENCE_S", 0.5)):
        monkeypatch.setattr(shipping, name, seconds)


@pytest.mark.usefixtures("_hasty")
def test_a_store_that_is_back_gets_what_has_waited(tmp_path: Path) -> None:
    fill(tmp_path)
    store = store_of(tmp_path, *["before"] * 4)
    shipper = Shipper(tmp_path, store)
    shipper.start()
    shipper.finish()
    assert shipper.synced.n_waiting == 0
    assert_all_there_once(store.books, tmp_path)
    assert store.n_checks == 5, "it is asked anew after every failure"
    assert not (tmp_path / "undelivered").exists()


@pytest.mark.usefixtures("_hasty")
def test_the_end_does_not_wait_for_the_pauses_of_an_outage(tmp_path: Path) -> None:
    fill(tmp_path)
    store = store_of(tmp_path, *["before"] * 9)
    shipper = Shipper(tmp_path, store)
    shipper.start()
    shipper.finish()
    assert shipper.synced.n_waiting == 0


@pytest.mark.usefixtures("_hasty")
@pytest.mark.parametrize("fails_first", [False, True])
def test_the_end_waits_for_a_slow_store_and_not_for_a_silent_one(tmp_path: Path, fails_first: bool) -> None:
    fill(tmp_path, n_steps=40)
    silent = threading.Event()

    class Slow(Store):
        def deliver(self, records: Sequence[Record]) -> None:
            time.sleep(0.2)
            if len(self.requests) == 4 + fails_first:
                silent.wait(30)
            super().deliver(records)

    store = Slow(tmp_path, Books(), iter(["before"] * fails_first))
    shipper = Shipper(tmp_path, store)
    shipper.start()
    shipper.finish()
    assert shipper.synced.n_waiting == Shipper(tmp_path, store).synced.n_waiting == 3
    before = sorted(tmp_path.rglob("*"))
    silent.set()
    time.sleep(1.0)
    assert (sorted(tmp_path.rglob("*")), shipper.synced.n_waiting) == (before, 3), "an answer after the end is not heard"
    assert len(store.requests) == 5 + fails_first, "nothing more is asked"


@pytest.mark.usefixtures("_hasty")
def test_making_a_store_ready_takes_as_long_as_it_takes(tmp_path: Path) -> None:
    fill(tmp_path)

    class New(Store):
        def open(self) -> None:
            time.sleep(1.2)

    store = New(tmp_path, Books(), iter(()))
    shipper = Shipper(tmp_path, store)
    shipper.start()
    shipper.finish()
    assert shipper.synced.n_waiting == 0
