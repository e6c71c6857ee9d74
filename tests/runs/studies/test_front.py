"""Volumes that points cover, and what a term of a context is measured by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import envs
from envs.core.validation import SettingError
from runs.studies import front
from runs.studies.study import StudyOptions


def test_the_hypervolume_of_one_point_is_its_box() -> None:
    point = front.REFERENCE * np.array([[0.5, 0.25, 0.0]])
    assert front.hypervolume(point) == pytest.approx(0.5 * 0.75 * 1.0)


def test_a_beaten_point_adds_nothing() -> None:
    point = front.REFERENCE * np.array([[0.5, 0.25, 0.1]])
    both = np.concatenate([point, point * 1.1])
    assert front.hypervolume(both) == pytest.approx(front.hypervolume(point))


def test_every_term_is_measured_on_its_own_axis() -> None:
    assert [front.AXES[i] for i in front.axes_of(["fairness", "latency", "cost"])] == [
        "unfairness",
        "latency_mean_ms",
        "cost_usd_per_h",
    ]
    assert front.axes_of(["cost", "latency"]) == front.axes_of(["latency", "cost"])[::-1]


def test_a_world_with_another_term_is_refused() -> None:
    with pytest.raises(SettingError, match=r"^env must be a world .*, got cost, comfort$"):
        front.axes_of(["cost", "comfort"])


def test_the_rules_are_met_once_whatever_the_number_of_training_seeds(trained: Any) -> None:
    jobs = front.STUDY.jobs(trained.config, trained.out, StudyOptions())
    assert [job.variant for job in jobs] == [front.CONTEXTS, front.RULES]
    assert {job.folder for job in jobs} == {Path(trained.out)}


@pytest.mark.slow
def test_a_rule_with_numbers_is_met_with_as_many_as_there_are_contexts(tiny_config: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(front, "GRID_POINTS", 3)
    monkeypatch.setattr(front, "N_SEEDS", 2)
    points = front.rules(tiny_config)
    rules = envs.rules(tiny_config.env)
    assert points.keys() == rules.keys()
    for name, rule in rules.items():
        assert len(points[name]) == (6 if rule.has_numbers else 1), name
        assert np.isfinite(points[name]).all()
    assert len({tuple(point) for point in points["autoscale"]}) > 1


def test_numbers_are_those_that_one_would_try_first_and_others_within_their_ranges(tiny_config: Any) -> None:
    rule = envs.rules(tiny_config.env)["autoscale_pools"]
    config = rule.configured(tiny_config.env)
    tried = front.numbers_to_try(rule, config, 40)
    assert len(tried) == 40
    assert tried == front.numbers_to_try(rule, config, 40)
    assert all(1 <= numbers["least_0"] <= config.pool.n_servers for numbers in tried)
    first = front.numbers_to_try(rule, config, 2)
    assert first == tried[:2]
