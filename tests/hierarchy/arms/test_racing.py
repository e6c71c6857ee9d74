"""A race drops the worst, on the same seeds for all, and takes the episodes that it says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hierarchy.arms.racing import Race, is_clear, never, rungs
from hierarchy.arms.scores import Scores, ranking

SEED_NOISE = np.random.default_rng(0).normal(0.0, 100.0, 64)  # the same for all candidates


class Course:
    """Scores a candidate by its own value on every seed, and keeps who met which seeds."""

    def __init__(self, noise: float = 0.0) -> None:
        self.runs: list[tuple[list[float], Sequence[int]]] = []
        self._noise, self._rng = noise, np.random.default_rng(1)

    def __call__(self, candidates: Sequence[float], seeds: Sequence[int]) -> Scores:
        self.runs.append((list(candidates), seeds))
        own = np.array(candidates)[:, None] + SEED_NOISE[list(seeds)]
        return Scores.unbounded(own + self._noise * self._rng.normal(size=own.shape))

    @property
    def n_episodes(self) -> int:
        return sum(len(candidates) * len(seeds) for candidates, seeds in self.runs)


@pytest.mark.parametrize(
    ("n_seeds", "expected"), [(32, (8, 16, 32)), (64, (16, 32, 64)), (2, (1, 2)), (1, (1,)), (12, (3, 6, 12))]
)
def test_rungs_double_up_to_all_seeds(n_seeds: int, expected: tuple[int, ...]) -> None:
    assert rungs(n_seeds) == expected


def test_only_the_best_third_goes_on() -> None:
    course, candidates = Course(), [float(value) for value in np.random.default_rng(2).permutation(16)]
    scores = Race((4, 8, 16, 32), one_in=3).run(course, candidates)
    left = [sorted(run, reverse=True) for run, _ in course.runs]
    assert left == [[float(v) for v in range(15, 15 - n, -1)] for n in (16, 6, 2, 1)]
    n_met = dict(zip(candidates, map(len, scores), strict=True))
    assert [n_met[value] for value in (15.0, 14.0, 13.0, 10.0, 9.0, 0.0)] == [32, 16, 8, 8, 4, 4]


def test_all_meet_the_same_seeds_once_and_in_order() -> None:
    course, candidates = Course(), [3.0, 1.0, 2.0, 0.0, 5.0, 4.0]
    scores = Race((4, 8, 16), one_in=2).run(course, candidates)
    assert [seeds for _, seeds in course.runs] == [range(4), range(4, 8), range(8, 16)]
    for value, met in zip(candidates, scores, strict=True):
        assert_array_equal(met.objective, value + SEED_NOISE[: len(met)])


def test_seeds_may_come_in_another_order() -> None:
    course, order = Course(), [3, 2, 1, 0]
    scores = Race((1, 2, 4), one_in=2).run(course, [1.0, 9.0], seeds=order)
    assert [[*seeds] for _, seeds in course.runs] == [[3], [2], [1, 0]]
    assert_array_equal(scores[1].objective, 9.0 + SEED_NOISE[order])


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 16, 28])
@pytest.mark.parametrize("race", [Race((4, 8, 16, 32), 3), Race((8, 16, 32, 64), 2, 2), Race((1,), 3), Race((1, 2), 2, 2)])
def test_it_takes_the_episodes_that_it_says(race: Race, n: int) -> None:
    course = Course()
    scores = race.run(course, [float(i) for i in range(n)])
    assert course.n_episodes == race.n_episodes(n) == sum(map(len, scores))
    assert sum(len(met) == race.rungs[-1] for met in scores) == race.n_last(n)


def test_it_ends_when_the_choice_is_clear_and_not_before() -> None:
    race, candidates = Race((8, 16, 32, 64), 2, 2), [0.0, 0.1, 0.2, 3.0]
    clear, close = Course(0.1), Course(100.0)
    assert {len(met) for met in race.run(clear, candidates, is_clear)} == {8}
    assert max(map(len, race.run(close, candidates, is_clear))) == 64
    assert max(map(len, race.run(Course(0.1), candidates, never))) == 64


@pytest.mark.parametrize(("gain", "clear"), [(5.1, True), (4.9, False), (-5.1, True), (0.0, False)])
def test_clear_is_five_standard_errors_of_the_paired_difference(gain: float, clear: bool) -> None:
    """What both met on a seed does not count."""
    difference = np.array([1.0, -1.0, 1.0, -1.0]) / np.std([1.0, -1.0, 1.0, -1.0], ddof=1) * 2.0  # standard error 1
    objective = np.stack([SEED_NOISE[:4], SEED_NOISE[:4] + difference + gain, SEED_NOISE[:4] - 1e4])
    assert is_clear(Scores.unbounded(objective).each) == clear
    assert not is_clear(Scores.unbounded(objective[:, :1]).each)
    assert not is_clear(Scores.unbounded(objective[:1]).each)
    within_bounds = Scores(objective, np.full((3, 4, 1), -0.5))
    assert not is_clear(within_bounds.each), "more seeds may show that the best is beyond them"


def test_who_met_more_seeds_comes_first() -> None:
    met = [np.array([9.0]), np.array([1.0, 2.0]), np.array([2.0, 2.0]), np.array([8.0])]
    assert ranking([Scores.unbounded(values) for values in met]) == [2, 1, 0, 3]
