"""From arms to figures: means, comparisons and the share of a gap."""

from __future__ import annotations

import numpy as np
import pytest

from envs.load_balancing.statistics import METRICS
from hierarchy.evidence import results
from hierarchy.evidence.arms import Facts, arm_result, combined_arm, comparisons, gap_closed_by
from tests.hierarchy.episodes import FACTS, SPEC, episodes, figures


def test_metrics_are_means_over_seeds_and_contexts_over_windows_too() -> None:
    arm = arm_result(episodes([1.0, 2.0, 6.0], [0.5, 0.3, 0.2]), Facts("mix"), SPEC)
    assert arm["objective"]["mean"] == 3.0
    assert arm["metrics"] == dict.fromkeys(METRICS, 1.0)
    assert arm["context"] == pytest.approx({"fairness": 0.5, "latency": 0.3, "cost": 0.2})
    assert arm_result(episodes([1.0, 2.0]), Facts("mix"), SPEC)["context"] is None


def test_costs_are_told_with_their_bounds_and_over_training_seeds_as_the_objective_is() -> None:
    one, other = (figures(sed=episodes(values)) for values in ([1.0, 2.0, 6.0], [3.0, 4.0, 8.0]))
    alone = one["sed"]["constraints"]["load"]
    assert (alone["bound"], alone["cost"]["mean"], alone["cost"]["per_seed"]) == (0.02, 0.03, [0.01, 0.02, 0.06])
    both = combined_arm([one, other], "sed")
    assert both["constraints"]["load"]["cost"]["per_seed"] == pytest.approx([0.03, 0.05])
    for figure in ("mean", "ci95"):
        assert 100.0 * np.array(both["constraints"]["load"]["cost"][figure]) == pytest.approx(both["objective"][figure])


def test_what_agents_of_several_training_seeds_know_is_all_told() -> None:
    """They may guide other rules, which are told other things."""
    told = ("measurements", "days", "measurements")
    arms = [{"learned": {**figures(learned=episodes([1.0, 2.0]))["learned"], "knows": knows}} for knows in told]
    assert combined_arm(arms, "learned")["knows"] == "measurements or days"


def test_arms_that_are_missing_are_not_compared() -> None:
    arms = figures(learned=episodes([2.0, 3.0]), fixed_custom=None, fixed_equal=episodes([1.0, 1.0]))
    assert list(comparisons([arms])) == ["learned_vs_fixed_equal"]
    assert comparisons([arms])["learned_vs_fixed_equal"]["difference"] == 1.5
    assert comparisons([{**arms, "learned": None}]) == {}


@pytest.mark.parametrize("missing", ["learned", "fixed_best", "delayed_oracle"])
def test_the_gap_needs_all_three_arms(missing: str) -> None:
    base = np.array([0.0, 1.0, 2.0])
    arms = figures(
        fixed_best=episodes(base.tolist()),
        learned=episodes((base + 0.5).tolist()),
        delayed_oracle=episodes((base + 1.0).tolist()),
    )
    whole = gap_closed_by([arms])
    assert whole is not None
    assert whole["mean"] == pytest.approx(0.5)
    assert gap_closed_by([{**arms, missing: None}]) is None


def test_no_gap_is_told_while_an_arm_of_measurements_is_above_the_oracle() -> None:
    base = np.array([0.0, 1.0, 2.0])
    given = {"fixed_best": base, "learned": base + 0.5, "delayed_oracle": base + 1.0}
    there = {name: episodes(values.tolist()) for name, values in given.items()}
    assert gap_closed_by([figures(**there, sed=episodes((base + 0.9).tolist()))]) is not None
    above = {**there, "sed": episodes((base + 1.1).tolist())}
    assert gap_closed_by([figures(**above)]) is None
    whole = results.of_arms(above, {name: FACTS.get(name, Facts("mix")) for name in above}, SPEC)
    assert results.why_no_gap(whole) == "sed, which is told no regime, is above the delayed oracle"
