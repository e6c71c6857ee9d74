"""A journal gets to a store exactly once, whatever fails between them and whenever."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchy.tracking import shipper as shipping
from hierarchy.tracking.cursor import Cursor
from hierarchy.tracking.history import lines, read
from hierarchy.tracking.journal import Journal
from hierarchy.tracking.records import Description, End, Metrics, Record
from hierarchy.tracking.shipper import Shipper, Synced, requests
from tests.hierarchy.tracking.books import Books, KilledError, Store, assert_all_there_once, fill, journaled, store_of

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


def test_an_open_journal_is_read_only_as_far_as_lines_are_whole(tmp_path: Path) -> None:
    fill(tmp_path)
    path = tmp_path / "journal.jsonl"
    whole = list(lines(path))
    with path.open("ab") as file:
        file.write(b'{"record": "metr')
    assert list(lines(path)) == whole
    assert isinstance(read(path, whole[-2][1], 5)[0].record, End)
    assert not any(isinstance(placed.record, Description) for placed in read(path, 0, 100))
