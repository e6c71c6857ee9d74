"""A command whose training seeds run on Ray is interrupted, and goes on."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from runs.cli import main
from tests.hierarchy.executors.rays import until
from tests.hierarchy.left import left_by

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("drawn")
def test_an_interrupt_leaves_a_checkpoint_from_which_resume_goes_on(
    command: Callable[..., subprocess.Popen[str]], tiny_settings: Path, tmp_path: Path
) -> None:
    """Jobs hear of it wherever they are: the first checkpoint comes by itself, the second by the interrupt."""
    out, whole = tmp_path / "out", tmp_path / "whole"
    settings = ["--config", str(tiny_settings), "--lower.timesteps", "6400", "--checkpoint_s", "3600", "--seeds", "2"]
    settings += ["--tracking.enabled", "false"]
    process = command("ablate", *settings, "--executor", "ray", "--out", out)
    try:
        until(lambda: list(out.glob("seed-*/.progress/lower/checkpoints/1.json")))
        process.send_signal(signal.SIGINT)
        printed, error = process.communicate(timeout=300)
    finally:
        process.kill()
    assert (process.returncode, printed) == (130, "")
    assert error.splitlines()[-1] == f"metabalance: interrupted; metabalance resume {out} goes on"
    assert "Traceback" not in error
    assert list(out.glob("seed-*/.progress/lower/checkpoints/2.json"))
    assert not list(out.glob("seed-*/results.json"))
    assert main(["resume", str(out)]) == 0
    assert main(["ablate", *settings, "--executor", "inline", "--out", str(whole)]) == 0
    found, expected = left_by(out), left_by(whole)
    assert found.pop("config.json") != expected.pop("config.json"), "it says what ran the jobs"
    assert found == expected
