"""Every sink keeps what concerns it, alone and beside others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hierarchy.evidence.recordings import load_curves
from hierarchy.tracking.curves import FolderCurves
from hierarchy.tracking.progress import ShownProgress, Silent
from hierarchy.tracking.sinks import NOTHING_SHOWN, Begun, Several, Shown, Sink, Work
from tests.hierarchy.tracking.stored import StopError, id_of, runs_of, tracker_of


class Kept(Sink):
    """Keeps every call of a sink and of the runs below it."""

    def __init__(self, calls: list[Any] | None = None) -> None:
        self.calls: list[Any] = [] if calls is None else calls

    @contextmanager
    def begin(self, run: Begun) -> Iterator[Sink]:
        self.calls.append(run)
        try:
            yield Kept(self.calls)
        except BaseException as error:
            self.calls.append(type(error))
            raise
        self.calls.append("end")

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        self.calls.append((dict(values), step))

    def advance(self, n: int) -> None:
        self.calls.append(n)

    def artifact(self, path: Path) -> None:
        self.calls.append(path)

    def describe(self, markdown: str, shown: Shown = NOTHING_SHOWN) -> None:
        self.calls.append((markdown, shown))


WORK = Work("phase 1", 10, "steps")
SHOWN = Shown(("context/a",), ("cost",))


def fill(sink: Sink) -> None:
    """One run with everything that a run can have."""
    with sink.run("lower", "one", parameters={"a": "1"}, tags={"b": "2"}, work=WORK) as run:
        run.metrics({"reward/cost": 0.5}, 4)
        run.advance(4)
        run.artifact(Path("picture.png"))
        run.describe("text", SHOWN)


FILLED = [
    Begun("lower", "one", {"a": "1"}, {"b": "2"}, WORK),
    ({"reward/cost": 0.5}, 4),
    4,
    Path("picture.png"),
    ("text", SHOWN),
    "end",
]


def test_several_sinks_all_take_everything() -> None:
    kept = [Kept(), Kept()]
    fill(Several(kept))
    assert [one.calls for one in kept] == [FILLED, FILLED]
    sink = Several(kept)
    sink.metrics({"a": 1.0}, 2)
    sink.advance(3)
    sink.artifact(Path("b"))
    sink.describe("c")
    assert kept[1].calls[len(FILLED) :] == [({"a": 1.0}, 2), 3, Path("b"), ("c", NOTHING_SHOWN)]


def test_an_error_in_a_run_ends_it_in_every_sink() -> None:
    kept = [Kept(), Kept()]
    with pytest.raises(StopError), Several(kept).run("flat", "flat"):
        raise StopError
    assert [one.calls[-1] for one in kept] == [StopError, StopError]


def test_the_folder_keeps_curves_of_the_phases(tmp_path: Path) -> None:
    fill(FolderCurves(tmp_path))
    with FolderCurves(tmp_path).run("upper", "upper") as run:
        for step in (2, 4):
            run.metrics({"upper/objective": -step}, step)
    assert load_curves(tmp_path) == {
        "lower": {"step": [4.0], "reward/cost": [0.5]},
        "upper": {"step": [2.0, 4.0], "upper/objective": [-2.0, -4.0]},
    }


def log_and_stop(sink: Sink) -> None:
    """A phase that is cut short."""
    with sink.run("lower", "lower") as run:
        run.metrics({"reward/cost": 0.5}, 1)
        raise StopError


def test_a_phase_cut_short_and_runs_that_are_no_phase_leave_no_curve(tmp_path: Path) -> None:
    sink = FolderCurves(tmp_path)
    sink.metrics({"gap_closed": 1.0})
    with sink.run("arm", "learned") as run:
        run.metrics({"objective": 1.0})
    with pytest.raises(StopError):
        log_and_stop(sink)
    assert not list(tmp_path.iterdir())


class Bars(Silent):
    """Keeps how far each phase is."""

    def __init__(self) -> None:
        self.phases: list[list[Any]] = []

    def begin(self, phase: str, total: int, unit: str) -> None:
        self.phases.append([phase, total, unit, 0])

    def advance(self, n: int) -> None:
        self.phases[-1][-1] += n


def test_progress_shows_runs_that_are_work() -> None:
    bars = Bars()
    sink = ShownProgress(bars)
    fill(sink)
    with sink.run("arm", "sed"):
        pass
    assert bars.phases == [[*WORK, 4]]


def fill_without_files(sink: Sink) -> None:
    """One run that needs nothing but a store."""
    with sink.run("lower", "one", parameters={"a": "1"}, tags={"b": "2"}, work=WORK) as run:
        run.metrics({"reward/cost": 0.5}, 4)
        run.advance(4)
        run.describe("text")


def test_mlflow_keeps_a_run_with_its_parameters_and_tags(out_root: Path) -> None:
    with tracker_of(out_root) as tracker, tracker.run("experiment", "all") as tracked:
        fill_without_files(tracked)
    (stored,) = runs_of(out_root, "tags.level = 'lower'")
    assert (stored.data.params, stored.data.metrics) == ({"a": "1"}, {"reward/cost": 0.5})
    assert (stored.data.tags["b"], stored.data.tags["mlflow.note.content"]) == ("2", "text")
    assert stored.data.tags["mlflow.parentRunId"] == id_of(tracked.key, out_root)


def test_in_mlflow_the_ablation_is_no_run_of_its_own(out_root: Path) -> None:
    with (
        tracker_of(out_root) as tracker,
        tracker.run("experiment", "all") as tracked,
        tracked.run("ablation", "ablation", work=WORK) as run,
        run.run("arm", "sed"),
    ):
        pass
    stored = {run.info.run_name: run.data.tags.get("mlflow.parentRunId") for run in runs_of(out_root)}
    assert stored == {"all": None, "sed": id_of(tracked.key, out_root)}


@pytest.mark.parametrize("make", [Sink, lambda: ShownProgress(Silent())], ids=["nothing", "progress"])
def test_what_does_not_concern_a_sink_leaves_nothing(
    make: Callable[[], Sink], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(make())
    assert not list(tmp_path.iterdir())
