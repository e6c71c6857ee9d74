"""A phase takes what it needs from the folder, and what is there is not done again."""

from __future__ import annotations

from pathlib import Path

import pytest

from envs.core.validation import SettingError
from hierarchy.evidence import results
from hierarchy.phases.phase import Phase, Workspace, remaining
from hierarchy.phases.training import LOWER, UPPER
from hierarchy.storage.folder import OutputFolder


@pytest.mark.parametrize(
    ("there", "left"), [([], (LOWER, UPPER)), (["lower"], (UPPER,)), (["upper"], (LOWER, UPPER)), (["lower", "upper"], ())]
)
def test_phases_remain_from_the_first_that_is_missing(tmp_path: Path, there: list[str], left: tuple[Phase, ...]) -> None:
    folder = OutputFolder(tmp_path)
    for name in there:
        folder.agent(name).touch()
    assert remaining((LOWER, UPPER), folder) == left


def test_a_workspace_recalls_how_training_went(trained, untracked_config) -> None:  # type: ignore[no-untyped-def]
    workspace = Workspace(untracked_config, OutputFolder(trained.out))
    workspace.recall()
    assert workspace.lower == trained.results["lower"]
    assert workspace.upper == trained.results["upper"]
    assert workspace.timings_s.keys() == {"lower", "upper"}


def test_results_of_another_version_are_no_obstacle(untracked_config, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "results.json").write_text('{"schema": 1}')
    workspace = Workspace(untracked_config, OutputFolder(tmp_path))
    workspace.recall()
    assert workspace.lower is workspace.upper is None
    with pytest.raises(SettingError, match=r"^results.json must be of schema 6, got 1: "):
        results.read(tmp_path)
