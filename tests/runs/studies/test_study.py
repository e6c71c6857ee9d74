"""Every study has what its command and the report need, and runs from the command line."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.core.validation import SettingError
from hierarchy.executors import EXECUTORS
from runs.cli import main
from runs.settings.files import preset_names
from runs.studies import STUDIES, study_of
from runs.studies.running import run_study
from runs.studies.study import Job, StudyOptions

pytestmark = pytest.mark.usefixtures("drawn")

SMALL = ["--ablation.n_seeds", "2", "--ablation.select_windows", "2", "--ablation.episode_windows", "2"]


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_says_what_it_is(name: str) -> None:
    study = study_of(name)
    assert all(caption.file.endswith(".png") and caption.title and caption.text for caption in study.captions)
    assert STUDIES[name].question
    assert STUDIES[name].preset in (None, *preset_names())


@pytest.mark.slow
@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_study_runs_from_the_command_line(
    trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], executor: str
) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(trained.out, folder)
    assert main(["study", "held_out", str(folder), "--executor", executor, *SMALL]) == 0
    found = json.loads((folder / "held_out.json").read_text())
    printed = capsys.readouterr().out
    for name, table in found.items():
        assert f"Held out: {name}" in printed
        assert f"{table['arms']['learned']['objective']['mean']:.3f}" in printed


def test_jobs_come_back_in_the_order_of_training_seeds_whoever_is_first(trained: Any, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    for seed in (1, 0):
        copied = shutil.copytree(trained.out, folder / f"seed-{seed}")
        saved = json.loads((copied / "config.json").read_text())
        (copied / "config.json").write_text(json.dumps({**saved, "seed": seed}))
    jobs = study_of("held_out").jobs(trained.config, folder, StudyOptions())
    assert [job.config.seed for job in jobs] == sorted(job.config.seed for job in jobs)
    assert {job.config.seed for job in jobs} == {0, 1}


class Runs:
    """Stands for the jobs of a study: counts them, and is cut short in one."""

    def __init__(self, cut_at: int = -1) -> None:
        self.seen, self._cut_at = list[str](), cut_at

    def __call__(self, study: Any, job: Job) -> Any:
        self.seen.append(job.variant)
        if len(self.seen) == self._cut_at:
            raise KeyboardInterrupt
        return {"variant": job.variant, "seed": np.array([job.config.seed]), "at": job.folder}


@pytest.fixture
def studied(trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Runs], dict[str, Any]]:
    """Runs a study of a folder with jobs that do nothing."""
    folder = shutil.copytree(trained.out, tmp_path / "mine")
    config = dataclasses.replace(trained.config, executor="inline")
    study = type(study_of("held_out"))
    monkeypatch.setattr(study, "combine", lambda self, results, config: {name: len(of) for name, of in results.items()})
    monkeypatch.setattr(study, "draw", lambda self, results, folder: None)

    def run(runs: Runs) -> dict[str, Any]:
        monkeypatch.setattr(study, "run_job", lambda self, job: runs(self, job))
        return run_study("held_out", config, folder, StudyOptions(), lambda line: None)

    run.folder = folder  # type: ignore[attr-defined]
    return run


def test_a_study_that_is_cut_short_goes_on_where_it_was(studied: Any) -> None:
    cut, rest = Runs(cut_at=2), Runs()
    with pytest.raises(KeyboardInterrupt):
        studied(cut)
    found = studied(rest)
    assert len(found) > 1
    assert [*cut.seen[:1], *rest.seen] == list(found), "what was over is not done again"
    again = Runs()
    studied(again)
    assert again.seen == list(found), "a study that has ended leaves nothing to go on with"
    assert not (studied.folder / ".held_out").exists()


@pytest.mark.parametrize("file", ["lower.safetensors", "found.json"])
def test_what_was_kept_of_another_folder_is_not_taken(studied: Any, file: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        studied(Runs(cut_at=2))
    changed = studied.folder / file
    changed.write_bytes(changed.read_bytes() + b" ")
    rest = Runs()
    assert list(studied(rest)) == rest.seen


def test_a_folder_with_nothing_to_study_is_refused(trained: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"^folder must be an output folder with agents that study adaptation can take"):
        run_study("adaptation", trained.config, tmp_path, StudyOptions())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, "trace must be a trace that can be read, got {path} (No such"),
        ("", "trace must be a trace with requests, got {path} (empty)"),
        ("time\tquery\n1.0\t/?n=3\nzwei\t/?n=3\n", "{path}:3: "),
        (
            "time\tquery\n1.0\t/?n=3\n2.0\t/?n=3\n",
            "trace must be such that two requests apart in time are on either",
        ),
    ],
)
@pytest.mark.parametrize("name", ["held_out", "scenarios"])
def test_a_recording_that_can_not_be_replayed_is_refused_before_the_study(
    trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str | None, line: str
) -> None:
    path = tmp_path / "trace.csv"
    if text is not None:
        path.write_text(text)
    assert main(["study", name, str(trained.out), "--trace", str(path)]) == 2
    assert capsys.readouterr().err.startswith("metabalance: " + line.format(path=path))


@pytest.mark.parametrize(("name", "option", "value"), [("steering", "seeds", "2"), ("front", "trace", __file__)])
def test_an_option_that_a_study_does_not_take_is_refused(
    trained: Any, capsys: pytest.CaptureFixture[str], name: str, option: str, value: str
) -> None:
    assert main(["study", name, str(trained.out), f"--{option}", value]) == 2
    line = f"metabalance: {option} must be left out, study {name} does not take it, got {value}\n"
    assert capsys.readouterr().err == line
