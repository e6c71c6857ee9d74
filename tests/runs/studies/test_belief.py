"""Agents that remember windows are held against those that don't, seed by seed, over lower agents that stay as they are."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.core.validation import SettingError
from hierarchy.upper.memory.belief import BeliefConfig
from hierarchy.upper.memory.none import NoMemory
from hierarchy.upper.memory.stacked import StackedConfig
from runs.studies.belief import FIXED, STUDY, VARIANTS, variant_of
from runs.studies.study import StudyOptions
from tests.runs.studies.keeping import comes_back


def with_upper(config: Any, **changes: Any) -> Any:
    return dataclasses.replace(config, upper=dataclasses.replace(config.upper, **changes))


def test_variants_differ_in_what_is_remembered_alone(tiny_config: Any) -> None:
    given = with_upper(tiny_config, memory=BeliefConfig(n_regimes=7))
    of = {name: variant_of(given, name) for name in VARIANTS}
    assert [one.upper.memory for one in of.values()] == [NoMemory(), StackedConfig(), BeliefConfig(n_regimes=7)]
    assert all(with_upper(one, memory=NoMemory()) == tiny_config for one in of.values())


def test_differences_are_of_the_same_training_seed(tiny_config: Any) -> None:
    def of(*objectives: float) -> list[dict[str, Any]]:
        return [
            {"seed": n, "objective": np.array([one - 1, one + 1]), "trained": one > 1.0} for n, one in enumerate(objectives)
        ]

    results = STUDY.combine({"plain": of(1.0, 5.0), "belief": of(2.0, 7.0), FIXED: of(0.0, 1.0)}, tiny_config)
    assert results["seeds"] == [0, 1]
    assert results["arms"]["belief"]["objective"]["per_seed"] == [2.0, 7.0]
    assert results["arms"]["belief"]["minus"]["plain"]["per_seed"] == [1.0, 2.0]
    assert results["arms"]["belief"]["minus"][FIXED]["per_seed"] == [2.0, 6.0]
    assert results["arms"][FIXED]["minus"].keys() == {"plain"}
    low, high = results["arms"]["belief"]["minus"]["plain"]["ci95"]
    half = 12.706 * np.std([1.0, 2.0], ddof=1) / 2**0.5
    assert (low, high) == pytest.approx((1.5 - half, 1.5 + half), rel=1e-3)
    (section,) = STUDY.sections(results)
    assert [row[0] for row in section.rows] == ["arm", "plain", "belief", FIXED]
    assert section.rows[1][2] == section.rows[3][3] == ""
    assert [row[4] for row in section.rows[1:]] == ["1 of 2", "2 of 2", ""]


def test_whole_episodes_are_refused(trained: Any) -> None:
    with pytest.raises(SettingError, match=r"^upper.meta_step must be window for this study, got episode$"):
        STUDY.jobs(with_upper(trained.config, meta_step="episode"), trained.out, StudyOptions())


@pytest.mark.slow
def test_all_are_trained_over_the_same_lower_agent_which_stays_as_it_was(trained: Any, tmp_path: Path) -> None:
    memory = BeliefConfig(n_regimes=2, fit_episodes=2)
    config = with_upper(trained.config, memory=memory, candidates=1, from_fixed_best=True, ahead_windows=1)
    before = {path: path.stat().st_mtime_ns for path in trained.out.rglob("*")}
    jobs = STUDY.jobs(config, trained.out, StudyOptions(seeds=1))
    assert [job.variant for job in jobs] == ["plain", "stacked", "belief", FIXED]
    of_jobs = {job.variant: [STUDY.run_job(job)] for job in jobs}
    assert comes_back(STUDY, of_jobs, tmp_path)
    assert all(one["objective"].shape == (config.ablation.n_seeds,) for (one,) in of_jobs.values())
    outcome = STUDY.combine(of_jobs, config)
    assert all(np.isfinite(one["objective"]["mean"]) for one in outcome["arms"].values())
    assert {path: path.stat().st_mtime_ns for path in trained.out.rglob("*")} == before
