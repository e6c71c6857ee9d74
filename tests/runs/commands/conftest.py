"""Commands that must be refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runs.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def refused(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a command that must be refused with status 2, one line and nothing written; returns the line."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> str:
        before = set(tmp_path.rglob("*"))
        status = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert (status, printed.out) == (2, "")
        assert printed.err.startswith("metabalance: ")
        assert printed.err.count("\n") == 1, printed.err
        assert not [path for path in set(tmp_path.rglob("*")) - before if path.is_file()]
        return printed.err.removeprefix("metabalance: ").strip()

    return run
