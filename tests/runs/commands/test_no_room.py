"""A disk that is full ends training with one line, and what was kept before is whole."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from hierarchy.storage.checkpoints import Checkpoints

MOST = 500_000
"""Bytes of a file: as many as some checkpoints have, which grow by the figures of training."""


def limited() -> None:
    """The system refuses what goes beyond that, as it does where a disk is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST, MOST))


@pytest.mark.slow
def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(tiny_settings: Path, tmp_path: Path) -> None:
    options = [
        "--tracking.enabled",
        "false",
        "--checkpoint_s",
        "0",
        "--lower.timesteps",
        "1000000",
        "--out",
        tmp_path / "out",
    ]
    command = [sys.executable, "-m", "runs.cli", "train-lower", "--config", tiny_settings, *options]
    process = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=300, preexec_fn=limited, check=False
    )
    said = process.stderr.splitlines()[-1]
    assert (process.returncode, "Traceback" in process.stderr) == (1, False), process.stderr
    assert said.startswith(f"metabalance: {tmp_path / 'out'}")
    assert said.endswith("can't be written (File too large)")
    folder = tmp_path / "out" / ".progress" / "lower" / "checkpoints"
    assert not list(folder.glob(".*")), "nothing half-written"
    assert Checkpoints(folder).latest()["learner"]["counts"]["num_timesteps"] > 0
