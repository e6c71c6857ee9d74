"""Results of several training seeds: the seed is the unit, and arms are compared within it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from envs.load_balancing.statistics import METRICS
from hierarchy.evidence import results
from hierarchy.evidence.arms import Facts
from hierarchy.evidence.episodes import Episodes
from hierarchy.evidence.results import Results
from hierarchy.evidence.statistics import t_interval
from tests.hierarchy.episodes import FACTS, SPEC, TERMS, episodes

SCORES = {
    "learned": np.array([[3.0, 5.0, 4.0, 8.0], [7.0, 7.0, 6.0, 8.0], [1.0, 4.0, 2.0, 5.0]]),
    "fixed_best": np.array([[2.0, 4.5, 3.0, 6.5], [6.0, 5.0, 5.0, 7.5], [0.5, 3.0, 1.0, 4.0]]),
    "delayed_oracle": np.array([[4.0, 5.5, 4.0, 8.5], [8.0, 6.0, 6.5, 9.0], [2.0, 4.5, 2.5, 6.0]]),
}
"""Of every arm in three training seeds with four evaluation seeds each."""


def of_seed(seed: int, **arms: Episodes | None) -> Results:
    """What one training seed found; times and figures depend on the seed."""
    mix = np.roll([0.5, 0.3, 0.2], seed).tolist()
    of_hierarchy = {name: episodes(scores[seed].tolist(), mix) for name, scores in SCORES.items()}
    all_arms = {**of_hierarchy, **arms}
    facts = {name: FACTS.get(name, Facts("mix")) for name in all_arms}
    found = results.of_arms(all_arms, facts, SPEC, "tiny", seed)
    return {
        **found,
        "timings_s": {"lower": 10.0 + seed, "total": 100.0},
        "lower": {"timesteps": 64, "steps_per_s": 100.0 * seed},
        "upper": {
            "meta_steps": 12,
            "lower_steps_per_s": 10.0,
            "lower_steps": 100 * seed,
            "candidates": [{"seed": seed, "objective": 1.5, "kept": True}],
        },
    }


@pytest.fixture
def of_seeds() -> list[Results]:
    return [of_seed(seed) for seed in range(3)]


def test_the_training_seed_is_the_unit_of_several(of_seeds: list[Results]) -> None:
    found = results.combined(of_seeds)
    assert found["training_seeds"] == [0, 1, 2]
    for name, scores in SCORES.items():
        arm = found["arms"][name]
        assert arm is not None
        assert arm["objective"]["per_seed"] == scores.mean(1).tolist()
        assert arm["objective"]["mean"] == pytest.approx(scores.mean())
        assert arm["objective"]["median"] == np.median(scores.mean(1))
        assert arm["objective"]["ci95"] == t_interval(scores.mean(1))
        assert arm["objective"]["bootstrap_ci95"] is not None


def test_arms_are_compared_within_their_training_seed(of_seeds: list[Results]) -> None:
    found = results.combined(of_seeds)
    assert list(found["comparisons"]) == ["learned_vs_fixed_best", "learned_vs_delayed_oracle"]
    for name, compared in found["comparisons"].items():
        difference = SCORES["learned"] - SCORES[name.removeprefix("learned_vs_")]
        assert compared["difference"] == pytest.approx(difference.mean())
        assert compared["ci95"] == pytest.approx(t_interval(difference.mean(1)))
    gain, gap = ((SCORES[name] - SCORES["fixed_best"]).mean() for name in ("learned", "delayed_oracle"))
    assert found["gap_closed"] is not None
    assert found["gap_closed"]["mean"] == pytest.approx(gain / gap)


def test_metrics_and_mixes_are_means_over_training_seeds(of_seeds: list[Results]) -> None:
    arm = results.combined(of_seeds)["arms"]["learned"]
    assert arm is not None
    assert arm["metrics"] == dict.fromkeys(METRICS, 1.5)
    assert arm["context"] == pytest.approx(dict.fromkeys(TERMS, 1 / 3))


def test_candidates_are_those_of_all_training_seeds(of_seeds: list[Results]) -> None:
    upper = results.combined(of_seeds)["upper"]
    assert upper is not None
    assert [candidate["seed"] for candidate in upper["candidates"]] == [0, 1, 2]
    assert (upper["meta_steps"], upper["lower_steps"]) == (12, 100)
    before: Any = {"meta_steps": 24, "lower_steps_per_s": 40.0}
    mixed: Any = results.combined([*of_seeds, {**of_seeds[0], "upper": before}])["upper"]
    assert mixed.keys() == {"meta_steps", "lower_steps_per_s", "candidates"}, "figures that all have"
    assert (mixed["meta_steps"], len(mixed["candidates"])) == (15, 3)
    assert results.combined([*of_seeds, {**of_seeds[0], "upper": None}])["upper"] is None


@pytest.mark.parametrize("lacking", range(3))
def test_an_arm_that_one_training_seed_lacks_is_none(lacking: int) -> None:
    for name in SCORES:
        found = results.combined([of_seed(seed, **({name: None} if seed == lacking else {})) for seed in range(3)])
        assert found["arms"][name] is None
        assert {one for one, arm in found["arms"].items() if arm is not None} == SCORES.keys() - {name}
        assert not [pair for pair in found["comparisons"] if name in pair]
        assert bool(found["comparisons"]) == (name != "learned")
        assert found["gap_closed"] is None


def test_times_of_training_seeds_add_up_and_speeds_are_means(of_seeds: list[Results]) -> None:
    found = results.combined(of_seeds)
    assert found["timings_s"] == {"lower": 33.0, "total": 300.0}
    assert found["lower"] == {"timesteps": 64, "steps_per_s": 100.0}
    of_seeds[1]["lower"] = None
    assert results.combined(of_seeds)["lower"] is None


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_a_phase_that_only_some_training_seeds_ran_takes_its_time_all_the_same(
    of_seeds: list[Results], order: list[int]
) -> None:
    of_seeds[1]["timings_s"]["flat"] = 7.0
    assert results.combined([of_seeds[seed] for seed in order])["timings_s"]["flat"] == 7.0


def test_one_training_seed_alone_says_what_it_said_before(of_seeds: list[Results]) -> None:
    alone = results.combined(of_seeds[:1])
    for key in ("arms", "comparisons", "gap_closed", "timings_s"):
        assert alone[key] == of_seeds[0][key]  # type: ignore[literal-required]
