"""What is to be gained: whom the planner is held against, over which episodes, and how that is told."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.core.validation import SettingError
from envs.load_balancing.config import Randomisation, Telemetry
from hierarchy.config import ExperimentConfig
from hierarchy.storage.folder import OutputFolder
from runs.studies import headroom
from runs.studies.headroom import STUDY
from runs.studies.rollouts import Horizon
from runs.studies.study import StudyOptions
from tests.hierarchy.episodes import result_of
from tests.runs.studies.keeping import comes_back


def of_seed(planner: list[float], best: list[float], mix: list[float], counts: list[float] | None = None) -> dict[str, Any]:
    """The pair gets a quarter of what the planner gains over the best rule."""
    values = {
        "planner": planner,
        "learned": [low + (high - low) / 4 for low, high in zip(best, planner, strict=True)],
        "fixed_best": mix,
        "autoscale": [9.0] * len(best),
        "autoscale_pools": best,
        "best_rule": best,
    }
    arms = {name: result_of(of_arm, counts) for name, of_arm in values.items()}
    kinds = {"planner": "oracle", "learned": "learned", "fixed_best": "mix"}
    arms = {name: {**arm, "kind": kinds.get(name, "rule")} for name, arm in arms.items()}
    return {"arms": arms, "best_rule": "autoscale_pools"}


SEEDS = [of_seed([3.0, 5.0], [2.0, 4.0], [1.0, 1.0]), of_seed([6.0, 8.0], [4.0, 2.2], [1.0, 2.0])]


def gains(seeds: list[dict[str, Any]], config: ExperimentConfig) -> dict[str, Any]:
    found: dict[str, Any] = STUDY.combine({"planner": seeds}, config)["comparisons"]
    return found


def test_gains_are_over_the_rule_that_was_best_on_selection_seeds(tiny_config: ExperimentConfig) -> None:
    """Not over the one that happens to be best now."""
    found = gains(SEEDS, tiny_config)
    assert found["best_rule"]["difference"] == pytest.approx(5.5 - 3.05)
    assert found["best_rule"]["percent"] == pytest.approx(100 * 2.45 / 3.05)
    assert found["fixed_best"]["difference"] == 5.5 - 1.25


def test_they_are_over_the_rule_that_is_best_now_too(tiny_config: ExperimentConfig) -> None:
    """A planner that beats the chosen rule may be behind one that was not chosen."""
    now = gains(SEEDS, tiny_config)["best_rule_in_hindsight"]
    assert now["rival"] == "autoscale"
    assert now["difference"] == 5.5 - 9.0
    modest = [
        {**seed, "arms": {**seed["arms"], "autoscale": seed["arms"]["fixed_best"] | {"kind": "rule"}}} for seed in SEEDS
    ]
    assert gains(modest, tiny_config)["best_rule_in_hindsight"]["rival"] == "autoscale_pools"


def test_training_seeds_are_the_unit_where_there_are_several(tiny_config: ExperimentConfig) -> None:
    """Gains over the rule are 1 and 3.9 on average; 12.706 is the t of one degree of freedom."""
    low, high = gains(SEEDS, tiny_config)["best_rule"]["ci95"]
    assert (high - low) / 2 == pytest.approx(12.706 * 2.9 / 2, rel=1e-3)
    low, high = gains(SEEDS[1:], tiny_config)["best_rule"]["ci95"]
    assert (high - low) / 2 == pytest.approx(12.706 * 3.8 / 2, rel=1e-3), "episodes of a single one"


def test_blocks_are_the_unit_on_a_recording(tiny_config: ExperimentConfig) -> None:
    """However many episodes and training seeds replay the same two blocks, in which gains are 1 and 4."""
    one = of_seed([3.0, 8.0], [2.0, 4.0], [1.0, 2.0], counts=[5.0, 5.0])
    low, high = gains([one, one, one], tiny_config)["best_rule"]["ci95"]
    assert (high - low) / 2 == pytest.approx(12.706 * 3.0 / 2, rel=1e-3)


@pytest.mark.parametrize(("gain", "words"), [(0.19, "10 % are not shown"), (0.21, "10 % are shown")])
def test_enough_is_shown_by_the_lower_end_of_an_interval(gain: float, words: str, tiny_config: ExperimentConfig) -> None:
    """Of an objective of 2."""
    seeds = [of_seed([2.0 + gain], [2.0], [0.0]) for _ in range(3)]
    (section,) = STUDY.sections(STUDY.combine({"planner": seeds}, tiny_config))
    assert words in section.text


@pytest.mark.parametrize(
    ("fields", "setting"),
    [
        ({"randomise": Randomisation(speed=[0.5, 2.0])}, "env.randomise"),
        ({"telemetry": Telemetry(noise=0.1)}, "env.telemetry"),
    ],
)
def test_a_world_that_the_planner_does_not_know_is_refused(fields: dict[str, Any], setting: str, trained: Any) -> None:
    config = dataclasses.replace(trained.config, env=dataclasses.replace(trained.config.env, **fields))
    with pytest.raises(SettingError, match=f"^{setting} must be .+ for this study"):
        STUDY.jobs(config, trained.out, StudyOptions())


def test_the_pair_got_a_share_of_what_the_planner_gains(tiny_config: ExperimentConfig) -> None:
    steady = [of_seed([3.0, 5.0], [2.0, 4.0], [1.0, 1.0]), of_seed([6.1, 4.1], [5.0, 3.0], [1.0, 2.0])]
    outcome = STUDY.combine({"planner": steady}, tiny_config)
    assert outcome["shares"]["best_rule"]["mean"] == pytest.approx(0.25)
    (section,) = STUDY.sections(outcome)
    assert "Share of its gain over best_rule that learned got: 0.25 (0.25 to 0.25)." in section.text
    assert "over best_rule_in_hindsight that learned got: not told" in section.text, "the planner is behind that one"


def test_an_episode_is_as_long_whatever_a_window_is(tiny_config: ExperimentConfig) -> None:
    for dt_s, period, n_windows in ((0.25, 20, 180), (1.0, 10, 90)):
        config = dataclasses.replace(
            tiny_config,
            env=dataclasses.replace(tiny_config.env, dt_s=dt_s),
            upper=dataclasses.replace(tiny_config.upper, meta_period=period),
        )
        assert headroom.n_windows(config) == n_windows


def test_a_share_of_a_loss_is_a_share_of_its_size(tiny_config: ExperimentConfig) -> None:
    """Who loses 1 where another loses 2 gains half of what that one lost."""
    found = gains([of_seed([-1.0], [-2.0], [-4.0])], tiny_config)
    assert (found["best_rule"]["percent"], found["fixed_best"]["percent"]) == (50.0, 75.0)


def test_the_table_has_every_arm_and_the_text_holds_gains_against_what_was_asked_for(tiny_config: ExperimentConfig) -> None:
    (section,) = STUDY.sections(STUDY.combine({"planner": SEEDS}, tiny_config))
    assert [row[0] for row in section.rows] == [
        "arm",
        "planner",
        "learned",
        "fixed_best",
        "autoscale",
        "autoscale_pools",
        "best_rule",
    ]
    assert "late % batch" in section.rows[0]
    assert "planner - best_rule: 2.450 " in section.text
    assert "+80.3 % of its objective; 10 % are not shown." in section.text, "the interval is wide"
    assert "(autoscale_pools)" in section.text
    assert "planner - best_rule_in_hindsight (autoscale): -3.500 " in section.text


@pytest.mark.slow
def test_a_seed_meets_its_own_rules_and_mix_in_the_same_episodes(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headroom, "EPISODE_S", 2.0)  # windows of a second
    monkeypatch.setattr(headroom, "N_EPISODES", 3)
    monkeypatch.setattr(headroom, "Horizon", lambda: Horizon(0.5, 0.5, 1.0, 2, 2, 2))
    (job,) = STUDY.jobs(trained.config, trained.out, StudyOptions())
    found = STUDY.run_job(job)
    assert comes_back(STUDY, found, tmp_path)
    kept = json.loads((trained.out / "found.json").read_text())
    rules = {"autoscale", "autoscale_class", "autoscale_pools", "autoscale_forecast", "autoscale_shifts"}
    arms = found["arms"]
    assert arms.keys() == {"planner", "learned", "fixed_best", "best_rule", *rules}
    assert kept[found["best_rule"]]["mean"] == max(kept[name]["mean"] for name in rules)
    assert arms["best_rule"] == arms[found["best_rule"]]
    values = np.array([one["objective"]["per_seed"] for one in arms.values()])
    assert values.shape == (9, 3)
    assert np.isfinite(values).all()
    assert arms["planner"]["knows"] != arms["best_rule"]["knows"]


def test_a_folder_whose_rules_have_no_numbers_is_refused(trained: Any, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    shutil.copytree(trained.out, folder)
    found = OutputFolder(folder).found
    kept = json.loads(found.read_text())
    found.write_text(json.dumps({name: one for name, one in kept.items() if not name.startswith("autoscale")}))
    with pytest.raises(SettingError, match=r"folder must be one whose rules have numbers .+, got .+bare$"):
        headroom.found_in(trained.config, OutputFolder(folder))
