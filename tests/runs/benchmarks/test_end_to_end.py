"""Processes that are measured from outside."""

from __future__ import annotations

import sys

import pytest

from runs.benchmarks.end_to_end import Finished


def finished(code: str) -> Finished:
    return Finished([sys.executable, "-c", code])


def test_a_process_that_fails_is_an_error_with_its_last_words() -> None:
    with pytest.raises(RuntimeError, match="failed: no"):
        finished("raise SystemExit('no')")


def test_a_process_is_measured_by_its_own_memory() -> None:
    small, large = (finished(f"x = b'x' * ({size} << 20); import time; time.sleep(0.1)").peak_mb for size in (1, 200))
    assert 150 < large - small < 250


def test_a_process_is_measured_from_start_to_end() -> None:
    assert 0.2 < finished("import time; time.sleep(0.2)").elapsed_s < 5.0
