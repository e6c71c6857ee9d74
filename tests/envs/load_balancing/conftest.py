"""Recordings of every format, for the tests of recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.envs.load_balancing.recordings import FORMATS, written

REAL = Path(__file__).resolve().parents[4] / "shared" / "traces"
"""Where copies of the real traces may lie beside the checkout."""
REAL_FILES = {"azure_llm": "azure_llm_conv_2023.csv", "marllb": "marllb_poisson_rate_200_first20k.csv"}


@pytest.fixture(params=[*FORMATS, *(f"real {name}" for name in REAL_FILES)])
def trace_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A trace of every format; the real ones where they lie beside the checkout, else more of their format."""
    name = request.param.removeprefix("real ")
    real = REAL / REAL_FILES.get(name, "")
    if request.param.startswith("real ") and real.is_file():
        return real
    return written(tmp_path, FORMATS[name](2500))
