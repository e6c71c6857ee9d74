"""Arms on a recording: its blocks are what an interval is taken over, beside training seeds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hierarchy.evidence import results
from hierarchy.evidence.arms import Facts, arm_result, comparisons
from hierarchy.evidence.episodes import Episodes
from hierarchy.evidence.results import Results
from hierarchy.evidence.statistics import t_interval
from tests.hierarchy.episodes import FACTS, SPEC, episodes, figures


def test_on_a_trace_intervals_come_from_blocks_of_the_recording() -> None:
    scores = np.array([[1.0, 1.0], [3.0, 3.0]])
    position = np.array([[0.1, 0.1], [0.9, 0.9]])
    arm = dataclasses.replace(episodes([2.0, 2.0]), window_objective=scores, recorded_position=position)
    assert arm_result(arm, Facts("mix"), SPEC)["objective"]["ci95"] == pytest.approx(t_interval(np.array([1.0, 3.0])))
    other = dataclasses.replace(arm, objective=arm.objective - 1.0, window_objective=scores - 1.0)
    compared = comparisons([figures(learned=arm, fixed_equal=other)])
    assert compared["learned_vs_fixed_equal"]["ci95"] == pytest.approx([1.0, 1.0])


def recorded(windows: np.ndarray) -> Episodes:
    """An arm of two evaluation seeds that replay one recording of 20 blocks, two windows each."""
    position = np.tile((np.arange(40) + 0.5)[:, None] / 40, (1, 2))
    scores = np.tile(windows[:, None], (1, 2))
    return dataclasses.replace(episodes(scores.mean(0).tolist()), window_objective=scores, recorded_position=position)


def on_recording(n_training: int, luck: float = 0.0) -> Results:
    """Training seeds on one recording: what learned gains by block is the same for each but for its luck."""
    gain = 1.0 + 0.5 * np.repeat(np.random.default_rng(0).normal(size=20), 2)
    lucks = luck * np.random.default_rng(1).normal(size=n_training)
    facts = {"fixed_best": Facts("mix"), "learned": Facts("learned"), "delayed_oracle": FACTS["delayed_oracle"]}
    of_seeds = []
    for own in lucks:
        arms: dict[str, Episodes | None] = {
            "fixed_best": recorded(np.zeros(40)),
            "learned": recorded(gain + own),
            "delayed_oracle": recorded(2.0 + np.roll(gain, 6)),
        }
        of_seeds.append(results.of_arms(arms, facts, SPEC))
    return results.combined(of_seeds)


def test_more_training_seeds_on_one_recording_say_no_more_about_other_recordings() -> None:
    alone, many = on_recording(1), on_recording(10)
    for name in ("fixed_best", "delayed_oracle"):
        one, other = (found["comparisons"][f"learned_vs_{name}"] for found in (alone, many))
        assert other["ci95"] == pytest.approx(one["ci95"])
        assert other["bootstrap_ci95"] is None, "it would take seeds as units"
    assert alone["gap_closed"] is not None
    assert many["gap_closed"] is not None
    assert many["gap_closed"]["ci95"] == pytest.approx(alone["gap_closed"]["ci95"])
    assert np.ptp(many["gap_closed"]["ci95"]) > 0.1


def test_blocks_count_where_training_seeds_gain_alike() -> None:
    found = on_recording(10, luck=0.01)["comparisons"]["learned_vs_fixed_best"]
    of_blocks = on_recording(1)["comparisons"]["learned_vs_fixed_best"]
    assert np.ptp(found["ci95"]) == pytest.approx(np.ptp(of_blocks["ci95"]), rel=0.01)
    assert np.ptp(found["ci95"]) > 0.4


def test_luck_in_training_counts_on_a_recording_too() -> None:
    narrow, wide = (on_recording(5, luck)["comparisons"]["learned_vs_fixed_best"]["ci95"] for luck in (0.0, 1.0))
    assert np.ptp(wide) > 2.0 * np.ptp(narrow)
