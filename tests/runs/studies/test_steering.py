"""The study of steering measures one policy under contexts along an edge of the simplex, on the same seeds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from hierarchy.storage.saved import read_saved
from runs.studies import steering
from runs.studies.study import StudyOptions
from tests.runs.studies.keeping import comes_back

pytestmark = pytest.mark.usefixtures("drawn")


def test_the_edge_goes_from_latency_first_to_cost_first() -> None:
    contexts = steering.edge(5, ("fairness", "latency", "cost"))
    assert contexts[0].tolist() == [0.0, 1.0, 0.0]
    assert contexts[-1].tolist() == [0.0, 0.0, 1.0]
    assert_allclose(contexts.sum(-1), 1.0)
    assert_allclose(np.diff(contexts[:, 2]), 0.25)
    assert_allclose(steering.edge(5, ("cost", "latency")), contexts[:, [2, 1]])


def test_all_regimes_get_one_load_and_keep_their_mixes(trained: Any) -> None:
    regimes = trained.config.env.workload.regimes
    found = steering.at_load(trained.config.env, 0.4).workload.regimes
    assert found.loads == [0.4]
    assert found.interactive_shares == regimes.interactive_shares


def test_contexts_are_measured_on_the_same_seeds(trained: Any) -> None:
    policy = trained.config.lower.actor(read_saved(trained.out / "lower.safetensors"))
    same = np.tile([0.0, 1.0, 0.0], (3, 1))
    for figures in steering.measure(trained.config, policy, same, 4, 12):
        assert figures.shape == (4, 3)
        assert_allclose(figures, figures[:, :1].repeat(3, axis=1), rtol=1e-6)
        assert len(np.unique(figures[:, 0])) > 1


def test_agents_whose_upper_ones_begin_with_a_mix_for_every_state_are_measured_alike(trained: Any) -> None:
    policy = trained.config.lower.actor(read_saved(trained.out / "lower.safetensors"))
    begins = replace(trained.config, upper=replace(trained.config.upper, from_fixed_best=True, ahead_windows=2))
    corner = np.array([[0.0, 1.0, 0.0]])
    for one, other in zip(
        *(steering.measure(config, policy, corner, 2, 12) for config in (trained.config, begins)), strict=True
    ):
        assert_array_equal(one, other)


def test_the_study_says_what_it_measured(trained: Any, tmp_path: Path) -> None:
    study = steering.Steering(n_seeds=2, episode_s=5.0)
    (job,) = study.jobs(trained.config, trained.out, StudyOptions())
    of_job = study.run_job(job)
    assert comes_back(study, of_job, tmp_path)
    found = study.combine({job.variant: [of_job]}, trained.config)
    cost, latency = np.array(found["cost_usd_per_h"]), np.array(found["latency_mean_ms"])
    assert cost.shape == latency.shape == (2, steering.N_POINTS)
    assert found["cost_first_to_latency_first_cost"] == cost[:, -1].mean() / cost[:, 0].mean()
    assert found["latency_first_to_cost_first_latency"] == latency[:, 0].mean() / latency[:, -1].mean()
    (section,) = study.sections(found)
    assert [row[0] for row in section.rows[1:]] == [f"{i / 8:.3f}" for i in range(9)]
    study.draw(found, tmp_path)
    assert (tmp_path / "steering.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_without_a_lower_agent_has_no_jobs(trained: Any, tmp_path: Path) -> None:
    assert steering.STUDY.jobs(trained.config, tmp_path, StudyOptions()) == []
