"""The states of a round are shared out among jobs of the same size on any machine."""

from __future__ import annotations

import pytest

from hierarchy.warm_starts import N_FUTURES, JobSize, WarmStart


@pytest.mark.parametrize(
    ("states", "tries", "jobs"),
    [
        (1_700, 5, [JobSize(85, 10), JobSize(85, 10)]),
        (1_701, 5, [JobSize(78, 11), JobSize(85, 10)]),
        (172, 5, [JobSize(43, 2), JobSize(43, 2)]),
        (10, 5, [JobSize(5, 1), JobSize(5, 1)]),
        (1, 5, [JobSize(1, 1)]),
        (4, 2 * N_FUTURES, [JobSize(1, 2), JobSize(1, 2)]),
    ],
)
def test_at_least_as_many_as_are_asked_for(states: int, tries: int, jobs: list[JobSize]) -> None:
    assert WarmStart(rounds=1, states=states, tries=tries).jobs == jobs
