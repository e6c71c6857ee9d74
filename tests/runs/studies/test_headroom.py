"""What is to be gained: whom the planner is held against, over which episodes, and how that is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.core.validation import SettingError
from hierarchy.config import ExperimentConfig
from hierarchy.storage.folder import OutputFolder
from runs.studies import headroom
from runs.studies.headroom import STUDY
from runs.studies.rollouts import Horizon
from runs.studies.study import StudyOptions


def of_seed(planner: list[float], best: list[float], other: list[float], mix: list[float]) -> dict[str, Any]:
    rules = {"autoscale": other, "autoscale_pools": best}
    return {
        "planner": planner,
        "rules": rules,
        "best_rule": "autoscale_pools",
        "base": "autoscale_pools",
        "fixed_best": mix,
    }


SEEDS = [
    of_seed([3.0, 5.0], [2.0, 4.0], [9.0, 9.0], [1.0, 1.0]),
    of_seed([6.0, 8.0], [5.0, 4.0], [9.0, 9.0], [1.0, 2.0]),
]


def test_gains_are_over_the_rule_that_was_best_on_selection_seeds(tiny_config: ExperimentConfig) -> None:
    found = STUDY.combine({"planner": SEEDS}, tiny_config)
    assert found["planner"]["mean"] == 5.5
    rule = found["rivals"]["best_rule"]
    assert rule["objective"]["mean"] == 3.75
    assert rule["gain"]["mean"] == 1.75
    assert rule["share"] == pytest.approx(1.75 / 3.75)
    assert found["rivals"]["fixed_best"]["gain"]["mean"] == 5.5 - 1.25


def test_training_seeds_are_the_unit_where_there_are_several(tiny_config: ExperimentConfig) -> None:
    """Gains over the rule are 1 and 2.5 on average; 12.706 is the t of one degree of freedom."""
    low, high = STUDY.combine({"planner": SEEDS}, tiny_config)["rivals"]["best_rule"]["gain"]["ci95"]
    assert (high - low) / 2 == pytest.approx(12.706 * 1.5 / 2, rel=1e-3)
    low, high = STUDY.combine({"planner": SEEDS[1:]}, tiny_config)["rivals"]["best_rule"]["gain"]["ci95"]
    assert (high - low) / 2 == pytest.approx(12.706 * 3.0 / 2, rel=1e-3), "episodes of a single one"


def test_a_share_of_a_loss_is_a_share_of_its_size(tiny_config: ExperimentConfig) -> None:
    """Who loses 1 where another loses 2 gains half of what that one lost."""
    seeds = [of_seed([-1.0], [-2.0], [-3.0], [-4.0])]
    rivals = STUDY.combine({"planner": seeds}, tiny_config)["rivals"]
    assert rivals["best_rule"]["share"] == 0.5
    assert rivals["fixed_best"]["share"] == 0.75


def test_the_table_holds_what_is_there_against_what_was_asked_for(tiny_config: ExperimentConfig) -> None:
    (section,) = STUDY.sections(STUDY.combine({"planner": SEEDS}, tiny_config))
    assert [row[0] for row in section.rows[1:]] == ["best_rule", "fixed_best"]
    assert [row[-2:] for row in section.rows[1:]] == [["+46.7%", "10%"], ["+340.0%", "15%"]]
    assert "Best rules on selection seeds: autoscale_pools." in section.text


@pytest.mark.slow
def test_a_seed_meets_its_own_rules_and_mix_in_the_same_episodes(trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headroom, "N_WINDOWS", 2)
    monkeypatch.setattr(headroom, "N_EPISODES", 3)
    monkeypatch.setattr(headroom, "Horizon", lambda: Horizon(0.5, 1.0, 2, 2, 2))
    (job,) = STUDY.jobs(trained.config, trained.out, StudyOptions())
    found = STUDY.run_job(job)
    kept = json.loads((trained.out / "found.json").read_text())
    means = {name: kept[name]["mean"] for name in found["rules"]}
    assert found["rules"].keys() == {"autoscale", "autoscale_class", "autoscale_pools", "autoscale_forecast"}
    assert found["best_rule"] == max(means, key=lambda name: means[name])
    assert found["base"] in {"autoscale_pools", "autoscale_forecast"}, "those that act over the backends of the world"
    values = np.array([found["planner"], found["fixed_best"], *found["rules"].values()])
    assert values.shape == (6, 3)
    assert np.isfinite(values).all()


def test_a_folder_whose_rules_have_no_numbers_is_refused(trained: Any, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    shutil.copytree(trained.out, folder)
    found = OutputFolder(folder).found
    kept = json.loads(found.read_text())
    found.write_text(json.dumps({name: one for name, one in kept.items() if not name.startswith("autoscale")}))
    with pytest.raises(SettingError, match=r"folder must be one whose rules have numbers .+, got .+bare$"):
        headroom.rule_numbers(trained.config, OutputFolder(folder))
