"""Jobs count in their folders, and together they are shown as one: never back, and whole in the end."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hierarchy.config import ExperimentConfig
from hierarchy.executors import in_order
from hierarchy.executors.inline import Inline
from hierarchy.study import n_lower_steps, run_study
from hierarchy.tracking import counting
from hierarchy.tracking.counting import NAME, Counted, Together, counted
from hierarchy.tracking.progress import Silent
from hierarchy.tracking.sinks import Sink

PER_UNIT = {"steps": 1, "windows": 10}


class Advanced(Sink):
    def __init__(self) -> None:
        self.steps: list[int] = []

    def advance(self, n: int) -> None:
        self.steps.append(n)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "EVERY_S", 0.0)


def test_units_are_counted_in_steps_and_phases_summed(tmp_path: Path) -> None:
    job = Counted(tmp_path, PER_UNIT)
    for phase, unit in (("one", "steps"), ("two", "windows"), ("three", "pages")):
        job.begin(phase, 7, unit)
        job.advance(3)
        job.advance(4)
    assert json.loads((tmp_path / NAME).read_text()) == {"one": 7, "two": 70, "three": 0}
    assert counted(tmp_path) == 77


def test_who_goes_on_counts_the_phase_anew_and_keeps_those_that_were_over(tmp_path: Path) -> None:
    before = Counted(tmp_path, PER_UNIT)
    for phase in ("one", "two"):
        before.begin(phase, 7, "steps")
        before.advance(5)
    after = Counted(tmp_path, PER_UNIT)
    after.begin("two", 7, "steps")
    after.advance(6)
    assert counted(tmp_path) == 11


@pytest.mark.parametrize("content", ["", "[]", '{"one": "x"}'])
def test_a_count_that_is_damaged_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / NAME).write_text(content)
    assert counted(tmp_path) == 0


def test_a_folder_that_is_gone_is_no_loss(tmp_path: Path) -> None:
    job = Counted(tmp_path / "gone", PER_UNIT)
    job.begin("one", 7, "steps")
    job.advance(5)
    assert counted(tmp_path / "gone") == 0


def test_together_they_never_go_back_and_end_whole(tmp_path: Path) -> None:
    sink, folders = Advanced(), [tmp_path / name for name in "ab"]
    together = Together(folders, 10, sink)
    for folder in folders:
        folder.mkdir()
    for a, b in ((3, 0), (5, 4), (2, 4), (99, 6)):
        (folders[0] / NAME).write_text(json.dumps({"one": a}))
        (folders[1] / NAME).write_text(json.dumps({"one": b}))
        together.look()
    assert sink.steps == [3, 2, 4, 5, 2]
    together.finish(1)
    together.finish(0)
    assert sum(sink.steps) == 20


def test_who_waits_looks_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hierarchy.executors.MEANWHILE_S", 0.001)
    looked = threading.Event()

    class Waits(Inline):
        def submit(self, function, *args):  # type: ignore[no-untyped-def]
            from concurrent.futures import Future

            future: Future[bool] = Future()
            threading.Thread(target=lambda: future.set_result(looked.wait(60))).start()
            return future

    assert in_order(Waits(), time.sleep, [()], lambda number: None, looked.set) == [True]


@pytest.mark.slow
def test_a_training_seed_counts_what_it_is_to_take(
    untracked_config: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the ends of rollouts, which it goes on to; when it is over nothing is left of the count."""
    found: list[int] = []
    write = Counted._write

    def written(self: Counted) -> None:
        write(self)
        found.append(counted(tmp_path / "seed-0" / ".progress"))

    monkeypatch.setattr(Counted, "_write", written)
    config = replace(untracked_config, ablation=replace(untracked_config.ablation, flat=True))
    run_study(config, tmp_path, "tiny", 1, Silent())
    assert found == sorted(found)
    assert found[-1] == pytest.approx(n_lower_steps(config), rel=0.05)
    assert not (tmp_path / "seed-0" / ".progress").exists()
