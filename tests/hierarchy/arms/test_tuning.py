"""A search finds what is best, spends what it may, and goes by paired differences only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from envs.core.rules import Trial
from hierarchy.arms.found import chosen
from hierarchy.arms.scores import Scores, ranking
from hierarchy.arms.tuning import BATCH, N_FINALISTS, Budget, search

BEST = {"up": 0.7, "hold": 12, "signal": "flows"}
BUDGET = Budget(100, 32)


def suggest(trial: Trial) -> dict[str, Any]:
    """Numbers of each kind."""
    return {
        "up": trial.suggest_float("up", 0.0, 1.0),
        "hold": trial.suggest_int("hold", 1, 100, log=True),
        "signal": trial.suggest_categorical("signal", ["work", "flows"]),
    }


def worth(numbers: Mapping[str, Any]) -> float:
    """Best at `BEST`, where it is 0."""
    off = abs(numbers["up"] - BEST["up"]) + abs(np.log(numbers["hold"] / BEST["hold"]))
    return -float(off) - 0.5 * (numbers["signal"] != BEST["signal"])


class Course:
    """Scores numbers by their worth, a level per seed that is the same for all, and noise of their own."""

    def __init__(self, level: float = 0.0, noise: float = 0.0) -> None:
        self.levels = level * np.random.default_rng(0).integers(-8, 8, 64)
        self.runs: list[tuple[list[Mapping[str, Any]], list[int]]] = []
        self._noise, self._rng = noise, np.random.default_rng(1)

    def __call__(self, candidates: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> Scores:
        self.runs.append((list(candidates), list(seeds)))
        scores = np.array([[worth(one)] for one in candidates]) + self.levels[list(seeds)]
        return Scores.unbounded(scores + self._noise * self._rng.normal(size=scores.shape))

    @property
    def n_episodes(self) -> int:
        return sum(len(candidates) * len(seeds) for candidates, seeds in self.runs)


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_an_optimum_that_is_known(seed: int) -> None:
    tried, scores = search(Course(1.0, 0.1), suggest, [], BUDGET, seed)
    best = tried[ranking(scores)[0]]
    assert best["signal"] == BEST["signal"]
    assert worth(best) > -0.2
    at_random = np.median([worth(numbers) for numbers in tried[:BATCH]])
    assert np.median([worth(numbers) for numbers in tried[-BATCH:]]) > at_random + 0.5, "later trials build on earlier ones"


def test_what_a_seed_is_like_for_all_changes_nothing() -> None:
    """Else a trial that was cut short after easy seeds would pass for a good one."""
    plain, _ = search(Course(), suggest, [], BUDGET, 0)
    hilly, _ = search(Course(2.0**10), suggest, [], BUDGET, 0)
    assert plain == hilly


def test_it_is_reproduced_by_the_seed() -> None:
    one, again, other = (search(Course(1.0, 0.1), suggest, [], Budget(32, 8), seed) for seed in (5, 5, 6))
    assert one[0] == again[0]
    assert all(np.array_equal(ours.objective, theirs.objective) for ours, theirs in zip(one[1], again[1], strict=True))
    assert one[0] != other[0]


def test_first_numbers_are_tried_first() -> None:
    first = [{"up": 0.25, "hold": 3, "signal": "work"}, BEST]
    tried, scores = search(Course(), suggest, first, Budget(8, 4), 0)
    assert tried[:2] == first
    assert ranking(scores)[0] == 1


def test_seeds_on_which_the_best_shows_nothing_do_not_throw_it_out_of_every_batch() -> None:
    """On the first eight seeds there is no surge: there whatever is made for one loses a little."""

    class Surges(Course):
        def __call__(self, candidates: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> Scores:
            self.runs.append((list(candidates), list(seeds)))
            ready = np.array([[one["signal"] == BEST["signal"]] for one in candidates])
            surge = np.array(seeds)[None] >= 8
            own = np.array([[worth(one)] for one in candidates]) / 1e3
            return Scores.unbounded(np.where(surge, 10.0 * ready, -0.1 * ready) + own)

    tried, scores = search(Surges(), suggest, [], BUDGET, 0)
    assert tried[ranking(scores)[0]]["signal"] == BEST["signal"]


@pytest.mark.parametrize(("n_trials", "n_seeds"), [(1, 1), (4, 2), (16, 8), (17, 8), (40, 12), (100, 32)])
def test_it_takes_the_episodes_that_it_says(n_trials: int, n_seeds: int) -> None:
    course, budget = Course(1.0, 0.1), Budget(n_trials, n_seeds)
    tried, scores = search(course, suggest, [], budget, 0)
    assert len(tried) == len(scores) == n_trials
    assert course.n_episodes == budget.n_episodes == sum(map(len, scores))
    assert budget.n_episodes < (n_trials + N_FINALISTS) * n_seeds or n_seeds == 1


def test_batches_begin_with_other_seeds_and_trials_run_in_full_or_are_cut_short() -> None:
    course = Course(1.0, 0.1)
    _, scores = search(course, suggest, [], BUDGET, 0)
    round_of_seeds = [*range(32)] * 2
    rungs = [
        round_of_seeds[8 * begin :][first:last]
        for begin in (0, 1, 2, 3, 0, 1, 2)
        for first, last in ((0, 8), (8, 16), (16, 32))
    ]
    assert [seeds for _, seeds in course.runs] == [*rungs, [*range(32, 64)]]
    assert [len(run) for run, _ in course.runs[:3]] == [16, 6, 2]
    assert {len(met) for met in scores} == {8, 16, 32, 64}
    assert sum(len(met) >= 32 for met in scores) == 6 * 2 + 1, "two of each batch, one of the last one's four"


def test_the_final_is_on_seeds_that_nobody_was_chosen_by() -> None:
    """Lucky numbers win up to there; over all seeds the best win."""

    class Lucky(Course):
        def __call__(self, candidates: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> Scores:
            luck = 0.2 if max(seeds) < 8 else -0.2
            lucky = np.array([[luck * (one["up"] == 0.5)] for one in candidates])
            return Scores.unbounded(super().__call__(candidates, seeds).objective + lucky)

    first = [BEST | {"up": 0.5}, BEST | {"up": 0.65}]
    course = Lucky()
    tried, scores = search(course, suggest, first, Budget(BATCH * 2, 8), 0)
    finalists, seeds = course.runs[-1]
    assert seeds == [*range(8, 16)]
    assert first[0] in finalists
    assert_array_equal([len(met) for met in scores if len(met) > 8], [16] * len(finalists))
    best = chosen(tried, scores, 0, 0)
    assert best.mean == max(met.mean for met in scores if len(met) == 16)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_beyond_a_bound_is_not_taken(seed: int) -> None:
    """The cost of a seed swings, so that single seeds are beyond the bound where the mean is within it."""

    class Bounded(Course):
        def __call__(self, candidates: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> Scores:
            cost = np.array([[one["up"] - 0.5] for one in candidates]) + np.where(np.array(seeds) % 2, 0.1, -0.1)
            return Scores(super().__call__(candidates, seeds).objective, cost[..., None])

    tried, scores = search(Bounded(1.0, 0.1), suggest, [BEST], BUDGET, seed)
    best = chosen(tried, scores, 0, 0)
    assert 0.3 < best.numbers["up"] <= 0.5
    assert best.beyond == 0.0
    assert abs(np.log(best.numbers["hold"] / BEST["hold"])) < 0.3


def test_what_is_known_of_the_winner_is_of_all_its_seeds() -> None:
    met = [np.array([1.0, 2.0, 3.0, 6.0]), np.array([9.0]), np.array([0.0, 0.0, 0.0, 4.0])]
    best = chosen([{"a": 1}, {"a": 2}, {"a": 3}], [Scores.unbounded(values) for values in met], 1, 77)
    assert best.numbers == {"a": 1}
    assert best.mean == 3.0
    assert best.standard_error == pytest.approx(np.std(met[0], ddof=1) / 2.0)
    assert (best.n_trials, best.n_cut_short, best.n_lower_steps) == (3, 1, 77)
