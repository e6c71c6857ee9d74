"""What sinks get of results."""

from __future__ import annotations

from typing import Any

import pytest

from hierarchy.tracking.publishing import parent_metrics


def test_the_difference_to_the_best_rule_is_published_where_there_are_rules(trained: Any) -> None:
    published = parent_metrics(trained.results)
    compared = trained.results["comparisons"]["learned_vs_best_rule"]
    assert published["learned_vs_best_rule"] == compared["difference"]
    difference = published["objective/learned"] - published[f"objective/{compared['rival']}"]
    assert published["learned_vs_best_rule"] == pytest.approx(difference)
    assert "learned_vs_best_rule" not in parent_metrics({**trained.results, "comparisons": {}})


def test_a_gap_is_published_only_if_there_is_one(trained: Any) -> None:
    assert "gap_closed" not in parent_metrics({**trained.results, "gap_closed": None})
    assert parent_metrics({**trained.results, "gap_closed": {"mean": 0.5, "ci95": [0.2, 0.9]}})["gap_closed"] == 0.5
