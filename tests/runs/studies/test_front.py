"""Volumes that points cover, and what a term of a context is measured by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
