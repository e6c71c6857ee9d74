"""What knows an algorithm by name is the algorithm, its networks and its registry, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OWN = ("nets", "lower", "upper", "team")
"""Packages of `hierarchy` that may name algorithms."""
ALGORITHMS = re.compile("(?<![a-z])ppo|(?<![A-Z])PPO|(?i:td3|lstm)")
"""Names of algorithms, also as parts of longer ones; `heappop` and `SUPPORT` are none."""
FILES = sorted(
    str(path.relative_to(ROOT / "hierarchy"))
    for path in (ROOT / "hierarchy").rglob("*.py")
    if path.relative_to(ROOT / "hierarchy").parts[0] not in OWN
)


@pytest.mark.parametrize("name", FILES)
def test_no_algorithm_is_named(name: str) -> None:
    text = (ROOT / "hierarchy" / name).read_text(encoding="utf-8")
    named = [line for line in text.splitlines() if ALGORITHMS.search(line)]
    assert not named, named


@pytest.mark.parametrize(
    "module", ["hierarchy.config", "hierarchy.protocols", "hierarchy.lower", "hierarchy.upper", "hierarchy.team"]
)
def test_settings_cost_no_learning_library(module: str) -> None:
    heavy = {"torch", "stable_baselines3", "sb3_contrib", "mlflow", "minari", "h5py", "d3rlpy", "ray"}
    code = f"import sys, {module}; print(sorted({heavy!r} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout == "[]\n"
    )
