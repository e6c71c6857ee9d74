"""`results.json` has one schema, is written whole or not at all, and reads the same as a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import envs
from envs.core.validation import SettingError
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.rules import RULES
from envs.load_balancing.statistics import METRICS
from hierarchy.arms import arms_of
from hierarchy.evidence import results
from hierarchy.storage import files
from tests.hierarchy.episodes import TERMS

TOP = {"schema", "preset", "seed", "training_seeds", "timings_s", "lower", "upper", "ablation", "arms", "comparisons"} | {
    "gap_closed",
    "found",
    "notes",
}


@pytest.fixture(scope="module")
def found(trained: Any) -> dict[str, Any]:
    return json.loads((trained.out / "results.json").read_text())


# The schema.


def test_the_file_is_what_training_returned(found: dict[str, Any], trained: Any) -> None:
    assert found == json.loads(json.dumps(trained.results))


def test_the_file_has_the_keys_of_the_schema(found: dict[str, Any]) -> None:
    assert found.keys() == TOP
    assert found["schema"] == 6
    assert (found["preset"], found["seed"], found["training_seeds"]) == ("tiny", 0, [0])
    assert found["timings_s"].keys() == {"compiling", "lower", "upper", "ablation", "total"}
    assert found["lower"].keys() == {"timesteps", "steps_per_s"}
    assert found["upper"].keys() == {"meta_steps", "lower_steps_per_s", "lower_steps", "candidates"}


def test_every_arm_is_there_and_has_the_keys_of_the_schema(found: dict[str, Any], trained: Any) -> None:
    assert list(found["arms"]) == list(arms_of(trained.config.env))
    there = {name: arm for name, arm in found["arms"].items() if arm is not None}
    took = found["found"]["gate"]["name"]
    assert found["arms"].keys() - there.keys() == {"fixed_custom", "tuned_static", "flat", "best_constant"}
    for name, arm in there.items():
        assert arm.keys() == {"kind", "algorithm", "knows", "objective", "blocks", "metrics", "constraints", "context"}, name
        assert arm["objective"].keys() == {"mean", "median", "iqm", "ci95", "bootstrap_ci95", "per_seed"}
        assert arm["objective"]["bootstrap_ci95"] is None, "there is one training seed"
        assert arm["metrics"].keys() == set(METRICS)
        assert (arm["context"] is None) == ((took if name == "gated" else name) in RULES)
        assert arm["context"] is None or arm["context"].keys() == set(TERMS)


def test_metrics_name_latency_and_cost_with_their_units(found: dict[str, Any]) -> None:
    needed = {"latency_mean_ms", "latency_p95_ms", "latency_p99_ms", "cost_usd_per_h"}
    assert needed <= found["arms"]["learned"]["metrics"].keys()


def test_every_other_arm_is_compared_with_ours(found: dict[str, Any]) -> None:
    others = [name for name, arm in found["arms"].items() if arm is not None and name != "learned"]
    ours = [f"learned_vs_{name}" for name in ("best_rule", *others)]
    assert list(found["comparisons"]) == [*ours, "gated_vs_best_rule"]
    for compared in found["comparisons"].values():
        assert compared.keys() == {"rival", "difference", "percent", "ci95", "bootstrap_ci95", "p_better"}


def test_the_best_rule_is_compared_first(found: dict[str, Any]) -> None:
    scores = {name: arm["objective"]["mean"] for name, arm in found["arms"].items() if arm and arm["kind"] == "rule"}
    best = max(scores, key=lambda name: scores[name])
    assert found["comparisons"]["learned_vs_best_rule"] == found["comparisons"][f"learned_vs_{best}"]
    assert found["comparisons"]["learned_vs_best_rule"]["rival"] == best


def test_what_was_found_is_told_with_what_it_cost(found: dict[str, Any]) -> None:
    tuned = {name for name, rule in envs.rules(LoadBalancingConfig()).items() if rule.has_numbers}
    assert tuned | {"fixed_best"} <= found["found"].keys()
    for name in tuned:
        known = found["found"][name]
        assert known.keys() == {"numbers", "mean", "standard_error", "n_trials", "n_cut_short", "n_lower_steps", "beyond"}
        assert known["n_lower_steps"] > 0


def test_arms_say_what_they_know(found: dict[str, Any]) -> None:
    knows = {name: arm["knows"] for name, arm in found["arms"].items() if arm is not None}
    assert knows["learned"] == knows["fixed_best"] == knows["sed"] == knows["autoscale"] == "measurements"
    others = {knows[name] for name in ("regime_oracle", "delayed_oracle", "fixed_hindsight")}
    assert len(others) == 3
    assert "measurements" not in others


def test_arms_say_their_kind_and_what_they_learned_by(found: dict[str, Any]) -> None:
    kinds = {name: (arm["kind"], arm["algorithm"]) for name, arm in found["arms"].items() if arm is not None}
    assert kinds["learned"] == ("learned", "td3")
    assert kinds["fixed_best"] == ("mix", None)
    assert kinds["delayed_oracle"] == ("oracle", None)
    assert kinds["sed"] == ("rule", None)
    assert kinds["gated"] == ("gated", None)


def test_the_figures_agree_with_each_other(found: dict[str, Any], trained: Any) -> None:
    ours = found["arms"]["learned"]["objective"]
    assert ours["mean"] == pytest.approx(np.mean(ours["per_seed"]))
    assert len(ours["per_seed"]) == trained.config.ablation.n_seeds
    for name, compared in found["comparisons"].items():
        ours, theirs = (found["arms"][one]["objective"] for one in (name.partition("_vs_")[0], compared["rival"]))
        assert compared["difference"] == pytest.approx(ours["mean"] - theirs["mean"])
    timings = found["timings_s"]
    assert timings["total"] >= timings["lower"] + timings["upper"] + timings["ablation"]


def test_phases_report_what_they_did(found: dict[str, Any], trained: Any) -> None:
    assert found["lower"]["timesteps"] == trained.config.lower.timesteps
    assert found["upper"]["meta_steps"] == trained.config.upper.meta_steps
    assert found["lower"]["steps_per_s"] > 0
    assert found["upper"]["lower_steps_per_s"] > 0


# As a file.


def test_a_file_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    files.write_json({"a": np.float64(0.1), "n": np.int64(3), "none": None}, path)
    assert json.loads(path.read_text()) == {"a": 0.1, "n": 3, "none": None}
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), np.float64("nan"), object()], ids=["nan", "inf", "numpy nan", "object"]
)
def test_what_json_does_not_know_is_refused_and_the_old_file_stays(tmp_path: Path, value: object) -> None:
    path = tmp_path / "results.json"
    files.write_json({"a": 1}, path)
    with pytest.raises((ValueError, TypeError)):
        files.write_json({"a": value}, path)
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_a_file_of_another_schema_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text('{"schema": 1}')
    with pytest.raises(SettingError, match=rf"^results.json must be of schema 6, got 1: {path} .+$"):
        results.read(tmp_path)
    path.write_text("{")
    with pytest.raises(SettingError, match=r"^results.json must be a JSON file that can be read, got .+$"):
        results.read(tmp_path)
