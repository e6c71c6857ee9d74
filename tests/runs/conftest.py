"""The command line as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def command() -> Callable[..., subprocess.Popen[str]]:
    """Starts `metabalance` as a process, as a shell does in the background: in a group of its own, interrupts ignored."""

    def start(*arguments: object) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "runs.cli", *map(str, arguments)]
        root = Path(__file__).resolve().parents[2]
        environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            words,
            stdout=pipe,
            stderr=pipe,
            text=True,
            start_new_session=True,
            env=environment,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        )

    return start
