"""Agents within a bound stand beside those that pay a penalty, which is chosen on other seeds, and those without a bound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.core.validation import SettingError
from envs.load_balancing.config import Constraints
from hierarchy.config import ExperimentConfig
from hierarchy.lower.constrained_ppo import ConstrainedPPOConfig
from hierarchy.lower.recurrent_ppo import RecurrentPPOConfig
from hierarchy.storage.trained import config_of
from runs.settings.experiment import preset_config
from runs.studies import bounds
from runs.studies.running import run_study
from runs.studies.study import StudyOptions

CONFIG = preset_config("bounded")


def test_variants_differ_in_what_keeps_the_bound_alone() -> None:
    bounded, unbounded, penalty = (bounds.variant_of(CONFIG, name, 3.0) for name in ("bounded", "unbounded", "penalty"))
    assert bounded == CONFIG
    assert isinstance(penalty.lower, ConstrainedPPOConfig)
    assert penalty.lower.multipliers.fixed == {"load": 3.0}
    assert replace(penalty.lower, multipliers=CONFIG.lower.multipliers) == CONFIG.lower  # type: ignore[attr-defined]
    assert penalty.env == CONFIG.env
    assert isinstance(unbounded.lower, RecurrentPPOConfig)
    same = {name: value for name, value in vars(CONFIG.lower).items() if name not in ("algorithm", "multipliers")}
    assert vars(unbounded.lower) == {**same, "algorithm": "recurrent_ppo"}
    of_default = preset_config("default")
    assert unbounded.lower == of_default.lower
    opened = replace(unbounded.env, constraints=of_default.env.constraints)  # type: ignore[attr-defined,call-arg]
    assert opened == of_default.env


@pytest.mark.parametrize(
    ("of_penalties", "best"),
    [
        ({1.0: (9.0, 0.5), 3.0: (2.0, 0.01), 10.0: (1.0, 0.0)}, 3.0),
        ({1.0: (9.0, 0.5), 3.0: (2.0, 0.011), 10.0: (1.0, 0.0)}, 10.0),
        ({1.0: (9.0, 0.5), 3.0: (8.0, 0.4)}, 3.0),
    ],
)
def test_the_penalty_is_the_best_that_keeps_the_bound(of_penalties: dict[float, Any], best: float) -> None:
    assert bounds.chosen(of_penalties, 0.01) == best


def test_seeds_within_the_bound_and_within_a_point_of_it_are_counted() -> None:
    ours, other = (np.array([1.0, 2.0]), np.array([0.01, 0.03])), (np.array([3.0, 3.0]), np.array([0.0, 0.02]))
    found = bounds.compared({"bounded": ours, "sed": other}, 0.01)
    assert [one["n_within"] for one in found.values()] == [1, 1]
    assert [one["n_within_a_point"] for one in found.values()] == [1, 2]
    assert found["sed"]["bounded_minus_it"]["per_seed"] == [-2.0, -1.0]


def test_it_is_about_one_bound_and_an_algorithm_that_keeps_it() -> None:
    two = replace(CONFIG.env, constraints=Constraints(load=0.1, late=0.1))  # type: ignore[call-arg]
    with pytest.raises(SettingError, match=r"env.constraints must be one bound for this study, .* got {'load': 0.1, 'late'"):
        bounds.variant_of(replace(CONFIG, env=two), "bounded")
    with pytest.raises(SettingError, match=r"lower.algorithm must be constrained_ppo for this study, got recurrent_ppo"):
        bounds.variant_of(replace(CONFIG, lower=preset_config("default").lower), "bounded")


def test_a_penalty_is_chosen_on_other_seeds(tmp_path: Path) -> None:
    with pytest.raises(
        SettingError, match=r"seeds must be seeds without 100, 101, which a penalty is chosen on, got 99, 100"
    ):
        bounds.STUDY.jobs(replace(CONFIG, seed=99), tmp_path, StudyOptions(seeds=2))


@pytest.mark.slow
def test_the_chosen_penalty_is_trained_on_the_seeds_of_the_others(
    untracked_config: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "PENALTIES", (0.5, 2.0))
    monkeypatch.setattr(bounds, "CHOICE_SEEDS", (7,))
    env = replace(untracked_config.env, constraints=Constraints(spend_usd_per_h=0.2))  # type: ignore[call-arg]
    plain = {name: value for name, value in vars(untracked_config.lower).items() if name != "algorithm"}
    arms = replace(untracked_config.ablation, oracles=False, flat=False, n_trials=4)
    config = replace(untracked_config, env=env, lower=ConstrainedPPOConfig(**plain), ablation=arms, executor="inline")
    found = run_study("bounds", config, tmp_path, StudyOptions(seeds=2))
    assert found["penalty"] in (0.5, 2.0)
    folders = {path.parent.relative_to(tmp_path / "bounds").as_posix() for path in tmp_path.rglob("results.json")}
    chosen = f"penalty-{found['penalty']:g}"
    seeds = [f"seed-{config.seed + i}" for i in range(2)]
    expected = {f"{name}/{seed}" for name in ("bounded", "unbounded", chosen) for seed in seeds}
    assert folders == expected | {f"penalty-{one:g}/seed-7" for one in (0.5, 2.0)}
    assert config_of(tmp_path / "bounds" / chosen / seeds[0]).lower.multipliers.fixed == {  # type: ignore[attr-defined]
        "spend_usd_per_h": found["penalty"]
    }
    assert list(found["arms"])[:3] == ["bounded", "penalty", "unbounded"]
    assert {"sed", "autoscale", "fixed_best"} <= found["arms"].keys()
    assert all(len(one["cost"]["per_seed"]) == 2 for one in found["arms"].values())
    rows = bounds.STUDY.sections(found)[0].rows
    assert [row[0] for row in rows[1:]] == [*found["arms"]]
