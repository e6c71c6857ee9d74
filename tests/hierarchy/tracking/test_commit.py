"""The commit that is logged is that of the code."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hierarchy.tracking import commit
from hierarchy.tracking.commit import git_commit


def test_the_commit_is_that_of_the_checkout() -> None:
    command = ["git", "-C", str(Path(commit.__file__).parent), "log", "-1", "--format=%H"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert git_commit() == (asked.stdout.strip() if asked.returncode == 0 else "unknown")


def test_outside_a_checkout_the_commit_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit(tmp_path) == "unknown"
