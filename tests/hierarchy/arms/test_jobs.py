"""Jobs whose results were kept are not done again, if they are the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from hierarchy.arms.jobs import Jobs
from hierarchy.executors.inline import Inline
from hierarchy.storage.ledger import Ledger

DONE: list[int] = []
"""What was really done, in this process."""


class BrokenError(Exception):
    """A job that can't be done."""


def squared(n: int) -> int:
    if n < 0:
        raise BrokenError
    DONE.append(n)
    return n * n


def doubled(n: int) -> int:
    DONE.append(n)
    return 2 * n


def results(ledger: Ledger, *numbers: int, function=squared, workers: int = 1) -> tuple[list[int], list[int], int]:
    """Of jobs: results, numbers for which they were really done, and steps that were counted."""
    DONE.clear()
    steps: list[int] = []
    executor = Inline()
    executor.n_workers = workers
    jobs = Jobs(executor, steps.append, ledger)
    got = jobs.results([jobs.submit(function, n, n_steps=10) for n in numbers])
    return got, list(DONE), sum(steps)


def test_they_are_done_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert results(ledger, 1, 2) == ([1, 4], [1, 2], 20)
    assert results(ledger, 1, 2, 3) == ([1, 4, 9], [3], 30)
    assert results(Ledger(), 1, 2) == ([1, 4], [1, 2], 20)


def test_one_that_failed_is_done_again_and_those_before_it_are_not(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with pytest.raises(BrokenError):
        results(ledger, 1, -1)
    assert results(ledger, 1, 2) == ([1, 4], [2], 20)


def test_another_function_in_the_same_place_is_another_job(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    results(ledger, 3)
    assert results(ledger, 3, function=doubled) == ([6], [3], 10)


def test_other_workers_split_work_otherwise(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    results(ledger, 3)
    assert results(ledger, 3, workers=2)[1] == [3]
