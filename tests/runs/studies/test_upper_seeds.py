"""Upper agents of other seeds over the same lower ones: which seeds, what is counted, and how that is told."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.core.validation import SettingError
from hierarchy.building import candidates
from hierarchy.config import ExperimentConfig
from runs.studies import upper_seeds
from runs.studies.study import StudyOptions
from runs.studies.upper_seeds import STUDY, seeds_of
from tests.runs.studies.keeping import comes_back


def a_try(seed: int, *difference: float, trained: bool = True) -> dict[str, Any]:
    return {"seed": seed, "difference": list(difference), "trained": trained}


RESULTS = {
    "0": [a_try(0, 1.0, 3.0), a_try(1, -1.0, -1.1)],
    "1": [a_try(0, 5.0, 3.0), a_try(1, -4.0, 3.0)],
    "2": [a_try(0, 0.0, 0.0, trained=False), a_try(1, 2.0, 2.0)],
}


def test_every_try_has_seeds_of_its_own(tiny_config: ExperimentConfig) -> None:
    drawn = [seed for n in range(30) for seed in seeds_of(tiny_config, n)] + candidates.seeds(tiny_config)
    assert len(set(drawn)) == len(drawn) == 31 * tiny_config.upper.candidates
    assert seeds_of(tiny_config, 3) == seeds_of(tiny_config, 3)


def test_tries_below_the_fixed_mix_are_counted_and_clear_ones_apart(tiny_config: ExperimentConfig) -> None:
    first, second = STUDY.combine(RESULTS, tiny_config)["lower_agents"].values()
    assert (first["per_try"], first["n_below"], first["n_trained"]) == ([2.0, 4.0, 0.0], 0, 2), "the mix itself is not below"
    assert (second["n_below"], second["least"]) == (2, -1.05)
    assert second["n_clearly"] == 1, "4 down and 3 up are no clear loss"
    assert first["mean"] == 2.0
    half = 4.303 * np.std([2.0, 4.0, 0.0], ddof=1) / 3**0.5
    assert first["ci95"] == pytest.approx([2.0 - half, 2.0 + half], rel=1e-3)


def test_the_table_tells_all_of_it(tiny_config: ExperimentConfig) -> None:
    (section,) = STUDY.sections(STUDY.combine(RESULTS, tiny_config))
    assert "Below it: 2 of 6; clearly, by the interval over evaluation seeds: 1." in section.text
    assert [row[0] for row in section.rows[1:]] == ["0", "1"]
    assert section.rows[1][2:] == ["0.000", "0", "0", "2 of 3"]


def test_agents_that_begin_anywhere_are_refused(trained: Any) -> None:
    with pytest.raises(SettingError, match=r"^upper.from_fixed_best must be true for this study, got False$"):
        STUDY.jobs(trained.config, trained.out, StudyOptions())


@pytest.mark.slow
def test_a_try_trains_agents_and_leaves_the_folder_as_it_was(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upper_seeds, "N_TRIES", 2)
    upper = dataclasses.replace(trained.config.upper, from_fixed_best=True, ahead_windows=1)
    before = {path: path.stat().st_mtime_ns for path in trained.out.rglob("*")}
    jobs = STUDY.jobs(dataclasses.replace(trained.config, upper=upper), trained.out, StudyOptions())
    assert [job.variant for job in jobs] == ["0", "1"]
    of_jobs = {job.variant: [STUDY.run_job(job)] for job in jobs}
    assert comes_back(STUDY, of_jobs, tmp_path)
    outcome = STUDY.combine(of_jobs, trained.config)
    (of_lower,) = outcome["lower_agents"].values()
    assert len(of_lower["per_try"]) == 2
    assert np.isfinite(of_lower["per_try"]).all()
    assert {path: path.stat().st_mtime_ns for path in trained.out.rglob("*")} == before
