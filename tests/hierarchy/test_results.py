"""`results.json` has one schema, is written whole or not at all, and reads the same as a table."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.load_balancing.heuristics import HEURISTICS
from envs.load_balancing.statistics import METRICS
from hierarchy import results
from hierarchy.ablation import Episodes
from hierarchy.strategies import STRATEGIES

TOP = {"schema", "preset", "seed", "timings_s", "lower", "upper", "arms", "comparisons", "gap_closed"}
TERMS = ("fairness", "latency", "cost")


@pytest.fixture(scope="module")
def found(trained: Any) -> dict[str, Any]:
    return json.loads((trained.out / "results.json").read_text())


def episodes(objective: list[float], context: list[float] | None = None) -> Episodes:
    """Of two windows; every statistic is the number of the seed."""
    scores = np.array(objective)
    seeds = np.arange(len(scores), dtype=float)
    contexts = None if context is None else np.tile(context, (2, len(scores), 1)).astype(float)
    return Episodes(scores, dict.fromkeys(METRICS, seeds), np.tile(scores, (2, 1)), None, contexts)


# The schema.


def test_the_file_is_what_training_returned(found: dict[str, Any], trained: Any) -> None:
    assert found == json.loads(json.dumps(trained.results))


def test_the_file_has_the_keys_of_the_schema(found: dict[str, Any]) -> None:
    assert found.keys() == TOP
    assert found["schema"] == 1
    assert (found["preset"], found["seed"]) == ("tiny", 0)
    assert found["timings_s"].keys() == {"lower", "upper", "ablation", "total"}
    assert found["lower"].keys() == {"timesteps", "steps_per_s"}
    assert found["upper"].keys() == {"meta_steps", "lower_steps_per_s"}


def test_every_arm_is_there_and_has_the_keys_of_the_schema(found: dict[str, Any]) -> None:
    assert list(found["arms"]) == [*STRATEGIES, *HEURISTICS]
    assert found["arms"].pop("fixed_custom") is None
    for name, arm in found["arms"].items():
        assert arm.keys() == {"objective", "metrics", "context"}, name
        assert arm["objective"].keys() == {"mean", "iqm", "ci95", "per_seed"}
        assert arm["metrics"].keys() == set(METRICS)
        assert (arm["context"] is None) == (name in HEURISTICS)
        assert arm["context"] is None or arm["context"].keys() == set(TERMS)


def test_metrics_name_latency_and_cost_with_their_units(found: dict[str, Any]) -> None:
    needed = {"latency_mean_ms", "latency_p95_ms", "latency_p99_ms", "cost_usd_per_h"}
    assert needed <= found["arms"]["td3"]["metrics"].keys()


def test_every_other_arm_is_compared_with_ours(found: dict[str, Any]) -> None:
    others = [name for name, arm in found["arms"].items() if arm is not None and name != "td3"]
    assert list(found["comparisons"]) == [f"td3_vs_{name}" for name in others]
    for compared in found["comparisons"].values():
        assert compared.keys() == {"difference", "percent", "ci95", "p_better"}


def test_the_figures_agree_with_each_other(found: dict[str, Any], trained: Any) -> None:
    ours = found["arms"]["td3"]["objective"]
    assert ours["mean"] == pytest.approx(np.mean(ours["per_seed"]))
    assert len(ours["per_seed"]) == trained.config.ablation.n_seeds
    for name, compared in found["comparisons"].items():
        theirs = found["arms"][name.removeprefix("td3_vs_")]["objective"]
        assert compared["difference"] == pytest.approx(ours["mean"] - theirs["mean"])
    timings = found["timings_s"]
    assert timings["total"] >= timings["lower"] + timings["upper"] + timings["ablation"]


def test_phases_report_what_they_did(found: dict[str, Any], trained: Any) -> None:
    assert found["lower"]["timesteps"] == trained.config.lower.timesteps
    assert found["upper"]["meta_steps"] == trained.config.upper.meta_steps
    assert found["lower"]["steps_per_s"] > 0
    assert found["upper"]["lower_steps_per_s"] > 0


# From arms to figures.


def test_metrics_are_means_over_seeds_and_contexts_over_windows_too() -> None:
    arm = results.arm_result(episodes([1.0, 2.0, 6.0], [0.5, 0.3, 0.2]), METRICS, TERMS)
    assert arm["objective"]["mean"] == 3.0
    assert arm["metrics"] == dict.fromkeys(METRICS, 1.0)
    assert arm["context"] == pytest.approx({"fairness": 0.5, "latency": 0.3, "cost": 0.2})
    assert results.arm_result(episodes([1.0, 2.0]), METRICS, TERMS)["context"] is None


def test_arms_that_are_missing_are_not_compared() -> None:
    arms = {"td3": episodes([2.0, 3.0]), "fixed_custom": None, "sed": episodes([1.0, 1.0])}
    assert list(results.comparisons(arms)) == ["td3_vs_sed"]
    assert results.comparisons(arms)["td3_vs_sed"]["difference"] == 1.5
    assert results.comparisons({**arms, "td3": None}) == {}


@pytest.mark.parametrize("missing", ["td3", "fixed_best", "delayed_oracle"])
def test_the_gap_needs_all_three_arms(missing: str) -> None:
    base = np.array([0.0, 1.0, 2.0])
    arms: dict[str, Episodes | None] = {
        "fixed_best": episodes(base.tolist()),
        "td3": episodes((base + 0.5).tolist()),
        "delayed_oracle": episodes((base + 1.0).tolist()),
    }
    whole = results.gap_closed_by(arms)
    assert whole is not None
    assert whole["mean"] == pytest.approx(0.5)
    assert results.gap_closed_by({**arms, missing: None}) is None


def test_on_a_trace_intervals_come_from_blocks_of_the_recording() -> None:
    scores = np.array([[1.0, 1.0], [3.0, 3.0]])
    position = np.array([[0.1, 0.1], [0.9, 0.9]])
    arm = dataclasses.replace(episodes([2.0, 2.0]), window_objective=scores, recorded_position=position)
    assert results.arm_result(arm, METRICS, TERMS)["objective"]["ci95"] == [1.0, 3.0]
    other = dataclasses.replace(arm, objective=arm.objective - 1.0, window_objective=scores - 1.0)
    assert results.comparisons({"td3": arm, "sed": other})["td3_vs_sed"]["ci95"] == [1.0, 1.0]


# As a table.


def test_the_table_has_all_arms_best_first(trained: Any) -> None:
    rows = [line.split("|")[1].strip() for line in results.markdown(trained.results).splitlines()[2:]]
    scores = {name: arm["objective"]["mean"] for name, arm in trained.results["arms"].items() if arm is not None}
    assert sorted(rows) == sorted(scores)
    assert [scores[name] for name in rows] == sorted(scores.values(), reverse=True)


def test_every_row_of_the_table_has_as_many_cells_as_its_head(trained: Any) -> None:
    assert len({line.count("|") for line in results.markdown(trained.results).splitlines()}) == 1


# As a file.


def test_a_file_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results.write_json({"a": np.float64(0.1), "n": np.int64(3), "none": None}, path)
    assert json.loads(path.read_text()) == {"a": 0.1, "n": 3, "none": None}
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float64("nan"), object()], ids=str)
def test_what_json_does_not_know_is_refused_and_the_old_file_stays(tmp_path: Path, value: object) -> None:
    path = tmp_path / "results.json"
    results.write_json({"a": 1}, path)
    with pytest.raises((ValueError, TypeError)):
        results.write_json({"a": value}, path)
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.json"
    results.write_json({"a": 1}, path)
    write_text = Path.write_text

    def full_disk(self: Path, text: str, **kwargs: Any) -> int:
        write_text(self, text[:4], **kwargs)
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(OSError, match="no space"):
        results.write_json({"a": 2}, path)
    assert json.loads(path.read_text()) == {"a": 1}
