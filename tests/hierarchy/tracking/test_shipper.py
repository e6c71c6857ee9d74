"""A journal gets to a store exactly once, whatever fails between them and whenever."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchy.tracking import shipper as shipping
from hierarchy.tracking.cursor import Cursor
from hierarchy.tracking.history import lines, read
from hierarchy.tracking.journal import Journal
from hierarchy.tracking.records import Again, Artifact, Begin, Description, End, Metrics, Record, Session
from hierarchy.tracking.shipper import LONGEST_S, LostRunError, RefusedError, Shipper, Synced, pause_s, requests


class AwayError(Exception):
    """The store does not answer."""


class KilledError(BaseException):
    """The process is no more."""


class Books:
    """What a store holds: runs by key, points as a table with a key of their own, so that the same point is one row."""

    def __init__(self) -> None:
        self.made: dict[str, str] = {}
        self.points: list[tuple[str, str, int, float, int]] = []
        self.status: dict[str, str] = {}
        self.files: dict[tuple[str, str], str] = {}


class Store:
    """A destination that keeps books and fails as planned: before a request takes effect, after it, or with the process."""

    def __init__(self, folder: Path, books: Books, plan: Iterator[str]) -> None:
        self.folder, self.books, self.plan = folder, books, plan
        self.runs: dict[str, str] = {}
        self.requests: list[list[Record]] = []
        self.n_checks = 0

    def check(self) -> None:
        self.n_checks += 1

    def open(self) -> None:
        """Nothing is to be made ready."""

    def begin(self, session: Session, runs: Mapping[str, str]) -> None:
        for key, run_id in runs.items():
            if self.books.made.get(key) != run_id:
                raise LostRunError
        self.runs = dict(runs)

    def deliver(self, records: Sequence[Record]) -> None:
        self.requests.append(list(records))
        planned = next(self.plan, "")
        if planned == "refuse" and not isinstance(records[0], (Session, Begin)):
            raise RefusedError
        if planned == "before":
            raise AwayError
        for record in records:
            self.take(record)
        if planned == "after":
            raise AwayError
        if planned == "kill":
            raise KilledError

    def take(self, record: Record) -> None:
        if isinstance(record, Session):
            self.begin(record, {})
            return
        if isinstance(record, Begin):
            self.runs[record.run] = self.books.made.setdefault(record.run, f"{len(self.books.made):032x}")
            self.books.status[record.run] = "RUNNING"
            return
        if record.run not in self.books.made:
            raise LostRunError
        if isinstance(record, Again):
            self.runs[record.run], self.books.status[record.run] = self.books.made[record.run], "RUNNING"
        elif isinstance(record, Metrics):
            rows = [(record.run, name, record.step, value, record.time_ms) for name, value in record.values.items()]
            self.books.points += [row for row in rows if row not in self.books.points]
        elif isinstance(record, Artifact):
            copy = self.folder / record.copy
            if not copy.is_file():
                raise RefusedError
            self.books.files[record.run, record.path] = copy.read_text()
        elif isinstance(record, End):
            self.books.status[record.run] = record.status
            self.runs.pop(record.run, None)


def store_of(folder: Path, *plan: str) -> Store:
    """An empty store with a plan."""
    return Store(folder, Books(), iter(plan))


def fill(folder: Path, n_steps: int = 12, *, ends: bool = True) -> None:
    """An experiment with a phase, a file and, if it ends, ends of both runs."""
    journal = Journal.open(folder, "metabalance")
    top = journal.begin("experiment", "one", None, {}, {})
    lower = journal.begin("lower", "lower", top, {}, {})
    for step in range(n_steps):
        journal.metrics(lower, {"a": step / 7, "b": -step / 7}, step)
    path = folder / "file.txt"
    path.write_text("kept")
    journal.artifact(top, path)
    path.write_text("changed")
    if ends:
        journal.end(lower, "FINISHED")
        journal.end(top, "FINISHED")
    journal.close()


def journaled(folder: Path) -> tuple[list[tuple[str, str, int, float, int]], set[str]]:
    """All points of a journal and the keys of its runs."""
    found = [placed.record for placed in read(folder / "journal.jsonl", 0, 1_000_000)]
    points = [
        (one.run, name, one.step, value, one.time_ms)
        for one in found
        if isinstance(one, Metrics)
        for name, value in one.values.items()
    ]
    return points, {one.run for one in found if isinstance(one, Begin)}


def assert_all_there_once(books: Books, folder: Path) -> None:
    points, keys = journaled(folder)
    assert sorted(books.points) == sorted(points)
    assert set(books.made) == keys
    assert set(books.status.values()) == {"FINISHED"}
    assert list(books.files.values()) == ["kept"]


OUTCOMES = st.sampled_from(["", "before", "after", "kill"])


@given(st.lists(OUTCOMES, max_size=12), st.integers(1, 5), st.integers(1, 7))
def test_everything_arrives_once_whatever_fails_and_whoever_dies(
    tmp_path_factory: pytest.TempPathFactory, plan: list[str], n_read: int, n_batch: int
) -> None:
    folder, books, planned = tmp_path_factory.mktemp("shipped"), Books(), iter(plan)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shipping, "N_READ", n_read)
        patch.setattr(shipping, "BATCH", n_batch)
        patch.setattr("os.fsync", lambda _: None)
        fill(folder)
        for _ in range(len(plan) + 1):
            if deliver_or_die(folder, books, planned):
                break
    assert_all_there_once(books, folder)
    assert Shipper(folder, store_of(folder)).synced.n_waiting == 0


def deliver_or_die(folder: Path, books: Books, plan: Iterator[str]) -> bool:
    """Try until all is delivered or the process is killed, which notes nothing; whether it was not."""
    store = Store(folder, books, plan)
    shipper = Shipper(folder, store)
    save = Cursor.save
    with pytest.MonkeyPatch.context() as patch:
        killed: list[KilledError] = []

        def note(self: Cursor, folder: Path) -> None:
            if not killed:
                save(self, folder)

        def deliver(records: Sequence[Record]) -> None:
            try:
                Store.deliver(store, records)
            except KilledError as error:
                killed.append(error)
                raise

        patch.setattr(Cursor, "save", note)
        patch.setattr(store, "deliver", deliver)
        try:
            while not shipper.deliver():
                pass
        except KilledError:
            return False
    return True


def test_what_is_delivered_is_not_sent_again(tmp_path: Path) -> None:
    fill(tmp_path, ends=False)
    first = store_of(tmp_path)
    assert Shipper(tmp_path, first).deliver()
    second = Store(tmp_path, first.books, iter(()))
    assert Shipper(tmp_path, second).deliver()
    assert second.requests == []


def test_metrics_of_a_run_go_together_and_keep_their_place(tmp_path: Path) -> None:
    fill(tmp_path, n_steps=1200)
    batch = read(tmp_path / "journal.jsonl", 0, 10_000)
    groups = list(requests(batch))
    assert [placed for group in groups for placed in group] == batch
    sizes = [sum(len(one.record.values) for one in group if isinstance(one.record, Metrics)) for group in groups]
    assert [size for size in sizes if size] == [500, 500, 500, 500, 400]
    assert all(len(group) == 1 or all(isinstance(one.record, Metrics) for one in group) for group in groups)


def test_metrics_of_different_runs_never_go_together(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "metabalance")
    runs = [journal.begin("arm", name, None, {}, {}) for name in "ab"]
    for step in range(6):
        journal.metrics(runs[step // 2 % 2], {"a": 1.0}, step)
    journal.close()
    groups = requests(read(tmp_path / "journal.jsonl", 0, 100))
    of_runs = [[one.record.run for one in group if isinstance(one.record, Metrics)] for group in groups]
    assert [keys for keys in of_runs if keys] == [[runs[0]] * 2, [runs[1]] * 2, [runs[0]] * 2]


def test_what_is_refused_is_passed_over_by_itself(tmp_path: Path) -> None:
    """Of a request with several records only those are given up that are refused alone."""
    fill(tmp_path, n_steps=3)
    store = store_of(tmp_path, "", "", "", "refuse", "", "refuse", "")
    shipper = Shipper(tmp_path, store)
    assert shipper.deliver()
    assert shipper.synced == Synced(8, 0, 1, f"{tmp_path / 'journal.jsonl'} line 5")
    assert {step for _, _, step, _, _ in store.books.points} == {0, 2}
    assert Shipper(tmp_path, store).synced.n_refused == 1, "who asks later is told, too"
    journal = Journal.open(tmp_path, "metabalance")
    journal.close()
    assert shipper.deliver()
    assert shipper.synced.n_refused == 0, "it is not of the next experiment"


def test_another_store_gets_the_whole_experiment(tmp_path: Path) -> None:
    """Its address has changed between two processes; what it can't get any more is what was written over meanwhile."""
    fill(tmp_path, n_steps=6, ends=False)
    one, other = store_of(tmp_path), store_of(tmp_path)
    assert Shipper(tmp_path, one).deliver()
    journal = Journal.open(tmp_path, "metabalance", resumed=True)
    top = journal.begin("experiment", "one", None, {}, {})
    journal.metrics(journal.begin("lower", "lower", top, {}, {}), {"a": 1.0}, 10)
    journal.close()
    shipper = Shipper(tmp_path, other)
    assert not shipper.deliver(), "it does not know the run that goes on"
    assert shipper.deliver()
    points, keys = journaled(tmp_path)
    assert sorted(other.books.points) == sorted(points)
    assert set(other.books.made) == keys
    assert shipper.synced.n_refused == 1


def test_a_store_that_was_emptied_gets_the_whole_experiment(tmp_path: Path) -> None:
    fill(tmp_path, n_steps=6, ends=False)
    store = store_of(tmp_path)
    shipper = Shipper(tmp_path, store)
    assert shipper.deliver()
    store.books.__init__()  # type: ignore[misc]
    journal = Journal.open(tmp_path, "metabalance", resumed=True)
    top = journal.begin("experiment", "one", None, {}, {})
    journal.close()
    assert not shipper.deliver()
    assert shipper.deliver()
    points, keys = journaled(tmp_path)
    assert (sorted(store.books.points), set(store.books.made)) == (sorted(points), keys)
    assert store.books.status[top] == "RUNNING"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"delivered": -1, "session": 0, "runs": {}, "n_refused": 0, "first_refused": 0}',
        '{"delivered": 10, "session": 0, "runs": {}, "n_refused": 0, "first_refused": 0}',
        '{"delivered": 999999, "session": 0, "runs": {}, "n_refused": 0, "first_refused": 0}',
        '{"delivered": 0, "session": 0, "runs": {"a": "../b"}, "n_refused": 0, "first_refused": 0}',
    ],
)
def test_a_note_that_is_not_of_the_journal_is_none(tmp_path: Path, text: str) -> None:
    """Everything is sent anew then, which changes nothing where it is already."""
    fill(tmp_path)
    (tmp_path / "delivered.json").write_text(text)
    store = store_of(tmp_path)
    assert Shipper(tmp_path, store).deliver()
    assert_all_there_once(store.books, tmp_path)


def test_copies_go_once_the_store_has_them_and_nothing_else_goes(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    fill(folder)
    store = store_of(folder)
    assert Shipper(folder, store).deliver()
    assert not list((folder / "undelivered").iterdir())
    (elsewhere / "mine").mkdir(parents=True)
    (elsewhere / "mine" / "file.txt").write_text("mine")
    (folder / "delivered.json").unlink()
    (folder / "undelivered").rmdir()
    (folder / "undelivered").symlink_to(elsewhere)
    text = (folder / "journal.jsonl").read_text()
    (copy,) = [json.loads(line)["copy"] for line in text.splitlines() if '"copy"' in line]
    (folder / "journal.jsonl").write_text(text.replace(copy, "undelivered/mine/file.txt"))
    assert Shipper(folder, store).deliver()
    assert (elsewhere / "mine" / "file.txt").read_text() == "mine"


# The thread.


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
    started_s = time.perf_counter()
    shipper.finish()
    elapsed_s = time.perf_counter() - started_s
    assert 1.0 < elapsed_s < 10.0
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


def test_an_open_journal_is_read_only_as_far_as_lines_are_whole(tmp_path: Path) -> None:
    fill(tmp_path)
    path = tmp_path / "journal.jsonl"
    whole = list(lines(path))
    with path.open("ab") as file:
        file.write(b'{"record": "metr')
    assert list(lines(path)) == whole
    assert isinstance(read(path, whole[-2][1], 5)[0].record, End)
    assert not any(isinstance(placed.record, Description) for placed in read(path, 0, 100))
