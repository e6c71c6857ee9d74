"""A journal keeps what it was given, whatever ends its process, and goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.core.validation import SettingError
from hierarchy.tracking.history import n_lines, read
from hierarchy.tracking.journal import Journal, end_left
from hierarchy.tracking.records import Again, Artifact, Begin, End, Metrics, Record, Session
from hierarchy.tracking.sinks import Shown
from tests.docs.pages import ROOT


def records(folder: Path) -> list[Record]:
    return [placed.record for placed in read(folder / "journal.jsonl", 0, 1_000_000)]


def of_type(folder: Path, kind: type[Any]) -> list[Any]:
    return [record for record in records(folder) if isinstance(record, kind)]


def points(folder: Path) -> list[tuple[str, str, int, float]]:
    return [(one.run, name, one.step, value) for one in of_type(folder, Metrics) for name, value in one.values.items()]


def opened(folder: Path, *, resumed: bool = False) -> Journal:
    return Journal.open(folder, "metabalance", resumed=resumed)


def begin_two(journal: Journal) -> tuple[str, str]:
    """An experiment and its first phase."""
    top = journal.begin("experiment", "one", None, {"a": "1"}, {"seed": "0"})
    return top, journal.begin("lower", "lower", top, {}, {})


def test_every_call_is_a_line_at_once(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    _, lower = begin_two(journal)
    n_before = n_lines(tmp_path / "journal.jsonl")
    journal.metrics(lower, {"a": 1.0}, 1)
    journal.describe(lower, "text", Shown(("p",), ("m",)))
    journal.end(lower, "FINISHED")
    assert n_before == 3
    assert n_lines(tmp_path / "journal.jsonl") == 6
    journal.close()


def test_a_file_is_kept_as_it_was_when_it_was_journaled(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("first")
    journal = opened(tmp_path)
    top, _ = begin_two(journal)
    journal.artifact(top, path)
    path.write_text("second")
    journal.close()
    (artifact,) = of_type(tmp_path, Artifact)
    assert artifact.path == "results.json"
    assert (tmp_path / artifact.copy).read_text() == "first"


# What a kill leaves.


@given(st.data())
def test_a_line_that_was_cut_short_is_dropped_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    journal = opened(folder)
    _, lower = begin_two(journal)
    for step in range(5):
        journal.metrics(lower, {"a": float(step)}, step)
    journal.close()
    path, before = folder / "journal.jsonl", records(folder)
    size = path.stat().st_size
    cut = data.draw(st.integers(0, size))
    os.truncate(path, cut)
    n_whole = path.read_bytes().count(b"\n")
    opened(folder, resumed=True).close()
    assert records(folder)[:n_whole] == before[:n_whole]
    assert len(records(folder)) == max(n_whole, 1), "an empty journal begins a session"


KILLED = """
import os, signal, sys
from pathlib import Path
from hierarchy.tracking.journal import Journal, end_left
journal = Journal.open(Path(sys.argv[1]), "metabalance")
run = journal.begin("lower", "lower", None, {}, {})
for step in range(1000):
    journal.metrics(run, {"a": step / 7}, step)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [(step, value) for _, _, step, value in points(tmp_path)] == [(step, step / 7) for step in range(1000)]


def test_another_experiment_in_the_folder_ends_what_a_kill_left_open(tmp_path: Path) -> None:
    killed = opened(tmp_path)
    top, lower = begin_two(killed)
    killed.end(lower, "FINISHED")
    killed.close()
    other = opened(tmp_path)
    again = begin_two(other)
    other.close()
    assert not {top, lower} & set(again)
    ends = [(end.run, end.status) for end in of_type(tmp_path, End)]
    assert ends == [(lower, "FINISHED"), (top, "KILLED")]
    assert len(of_type(tmp_path, Session)) == 2


# An experiment that goes on.


def test_a_resumed_experiment_goes_on_with_its_runs(tmp_path: Path) -> None:
    first = opened(tmp_path)
    top, lower = begin_two(first)
    first.metrics(lower, {"a": 1.0, "b": 1.0}, 10)
    first.metrics(lower, {"a": 2.0}, 20)
    first.end(lower, "KILLED")
    first.close()
    second = opened(tmp_path, resumed=True)
    assert begin_two(second) == (top, lower)
    second.metrics(lower, {"a": 1.0, "b": 1.0}, 10)
    second.metrics(lower, {"a": 2.0, "b": 2.0}, 20)
    second.metrics(lower, {"a": 3.0, "b": 3.0}, 30)
    second.close()
    found = [(name, step) for _, name, step, _ in points(tmp_path)]
    assert found == [("a", 10), ("b", 10), ("a", 20), ("b", 20), ("a", 30), ("b", 30)]
    assert [again.run for again in of_type(tmp_path, Again)] == [top, lower]
    assert len(of_type(tmp_path, Session)) == len(of_type(tmp_path, Begin)) - 1 == 1


def test_the_last_step_of_a_series_is_its_largest(tmp_path: Path) -> None:
    first = opened(tmp_path)
    _, lower = begin_two(first)
    for step in (5, 3):
        first.metrics(lower, {"a": 1.0}, step)
    first.close()
    second = opened(tmp_path, resumed=True)
    begin_two(second)
    second.metrics(lower, {"a": 1.0}, 4)
    second.close()
    assert [step for _, _, step, _ in points(tmp_path)] == [5, 3]


def test_a_run_is_known_by_its_level_its_name_and_the_run_above(tmp_path: Path) -> None:
    first = opened(tmp_path)
    top, lower = begin_two(first)
    first.close()
    second = opened(tmp_path, resumed=True)
    others = [
        second.begin("lower", "other", top, {}, {}),
        second.begin("upper", "lower", top, {}, {}),
        second.begin("lower", "lower", None, {}, {}),
    ]
    assert second.begin("lower", "lower", top, {}, {}) == lower
    assert second.begin("lower", "lower", top, {}, {}) != lower, "it was begun once"
    second.close()
    assert not {top, lower} & set(others)


def test_what_is_resumed_is_the_last_experiment_of_the_folder(tmp_path: Path) -> None:
    keys = []
    for _ in range(2):
        journal = opened(tmp_path)
        top, lower = begin_two(journal)
        keys.append(top)
        journal.metrics(lower, {"a": 1.0}, 5)
        journal.close()
    resumed = opened(tmp_path, resumed=True)
    assert begin_two(resumed)[0] == keys[1]
    resumed.close()


def test_within_one_process_a_step_may_be_journaled_twice(tmp_path: Path) -> None:
    """Only what an earlier process journaled is known to be the same."""
    journal = opened(tmp_path)
    _, lower = begin_two(journal)
    for step, value in ((0, 1.0), (0, 2.0), (-3, 3.0)):
        journal.metrics(lower, {"a": value}, step)
    journal.close()
    assert [(step, value) for _, _, step, value in points(tmp_path)] == [(0, 1.0), (0, 2.0), (-3, 3.0)]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), max_size=30),
    st.lists(st.integers(0, 30), max_size=3),
)
def test_however_often_it_is_killed_and_resumed_every_point_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, series: list[tuple[str, int]], kills: list[int]
) -> None:
    """A process that is resumed computes again what its last checkpoint did not have."""
    folder = tmp_path_factory.mktemp("resumed")
    steps = {"a": 0, "b": 0}
    all_points = []
    for name, gap in series:
        steps[name] += gap + 1
        all_points.append((name, steps[name], float(steps[name])))
    begins = [0, *(min(kill, len(all_points)) // 2 for kill in kills)]
    ends = [*(min(kill, len(all_points)) for kill in kills), len(all_points)]
    for n, (start, end) in enumerate(zip(begins, ends, strict=True)):
        journal = opened(folder, resumed=n > 0)
        _, lower = begin_two(journal)
        for name, step, value in all_points[start:end]:
            journal.metrics(lower, {name: value}, step)
        journal.close()
    found = [(name, step, value) for _, name, step, value in points(folder)]
    assert sorted(found) == sorted(all_points)


# Other people's folders.


def test_nobody_else_writes_to_an_open_journal(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with pytest.raises(SettingError, match=r"^journal must be one that no other process writes to, got .*journal\.jsonl"):
        opened(tmp_path)
    journal.close()
    opened(tmp_path).close()


def line(**fields: object) -> str:
    return json.dumps(fields) + "\n"


SESSION = line(record="session", experiment="m", above=1, time_ms=1)
KEY = "0" * 32
BEGIN = line(record="begin", run=KEY, level="arm", name="a", parent=None, parameters={}, tags={}, time_ms=1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense\n", "line 1 must be a JSON object, got 'nonsense'"),
        (SESSION + "{}\n" + SESSION, "line 2 must be a record that is one of "),
        (BEGIN, "line 1 must be the beginning of a session, got Begin"),
        (SESSION + BEGIN + BEGIN, "line 3 must be a run that was not begun before, got 0000"),
        (SESSION + line(record="again", run=KEY, time_ms=2), "line 2 must be of a run that was begun before, got 0000"),
    ],
)
def test_a_damaged_journal_is_refused_with_file_and_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(text)
    for resumed in (False, True):
        with pytest.raises(SettingError) as refused:
            opened(tmp_path, resumed=resumed)
        assert str(refused.value).startswith(f"{path} {said}")
    assert path.read_text() == text, "what was there is left alone"


def test_runs_that_were_left_open_are_ended_once(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    trial = journal.begin("trial", "trial-0", None, {}, {})
    upper = journal.begin("upper", "upper", trial, {}, {})
    journal.end(upper, "FAILED")
    with pytest.raises(SettingError, match="no other process writes to"):
        end_left(tmp_path)
    journal.close()
    for _ in range(2):
        end_left(tmp_path)
        assert [(one.run, one.status) for one in of_type(tmp_path, End)] == [(upper, "FAILED"), (trial, "KILLED")]


def test_a_folder_without_a_journal_has_nothing_to_end(tmp_path: Path) -> None:
    end_left(tmp_path)
    assert not list(tmp_path.iterdir())
