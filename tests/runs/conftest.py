"""Traces of two public formats, and the command line as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

SHARED_TRACES = Path(__file__).resolve().parents[2].parent / "shared" / "traces"
"""Public recordings beside the checkout, where there are any; they are not part of the project."""


def write_azure(path: Path, n: int = 400) -> Path:
    """A recording in the format of the Azure LLM inference traces."""
    rng = np.random.default_rng(0)
    time = datetime(2023, 11, 16, 18, 15, 46)
    lines = ["TIMESTAMP,ContextTokens,GeneratedTokens"]
    for gap_s, context, generated in zip(
        rng.exponential(0.2, n), rng.integers(1, 4000, n), rng.integers(1, 900, n), strict=True
    ):
        time += timedelta(seconds=float(gap_s))
        lines.append(f"{time:%Y-%m-%d %H:%M:%S.%f}0,{context},{generated}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_marllb(path: Path, n: int = 400) -> Path:
    """A recording in the format of MARLLB's for-loop traces."""
    rng = np.random.default_rng(0)
    times, loops = rng.exponential(0.005, n).cumsum(), rng.integers(1, 9_000_000, n)
    lines = ["time\tquery", *(f"{t}\t/dummy.php/?n={k}" for t, k in zip(times, loops, strict=True))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def traces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A recording per format: the real one where it is there, else one drawn at random."""
    folder = tmp_path_factory.mktemp("traces")
    real = {"azure_llm": "azure_llm_conv_2023.csv", "marllb": "marllb_poisson_rate_200_first20k.csv"}
    write = {"azure_llm": write_azure, "marllb": write_marllb}
    there = {name: SHARED_TRACES / file for name, file in real.items()}
    return {name: path if path.is_file() else write[name](folder / f"{name}.csv") for name, path in there.items()}


@pytest.fixture(scope="session")
def command() -> Callable[..., subprocess.Popen[str]]:
    """Starts `metabalance` as a process, in a process group of its own, as a shell would."""

    def start(*arguments: object) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "runs.cli", *map(str, arguments)]
        root = Path(__file__).resolve().parents[2]
        environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}
        pipe = subprocess.PIPE
        return subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, start_new_session=True, env=environment)

    return start
