"""`results.json` has one schema, is written whole or not at all, and reads the same as a table."""

from __future__ import annotations

import dataclasses
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
from hierarchy.evidence import results, tables
from hierarchy.evidence.episodes import Episodes
from hierarchy.evidence.results import Facts, Results
from hierarchy.evidence.statistics import t_interval
from hierarchy.storage import files
from tests.hierarchy.episodes import TERMS, episodes

SPEC = envs.describe(LoadBalancingConfig())

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
    assert found["schema"] == 3
    assert (found["preset"], found["seed"], found["training_seeds"]) == ("tiny", 0, [0])
    assert found["timings_s"].keys() == {"compiling", "lower", "upper", "ablation", "total"}
    assert found["lower"].keys() == {"timesteps", "steps_per_s"}
    assert found["upper"].keys() == {"meta_steps", "lower_steps_per_s"}


def test_every_arm_is_there_and_has_the_keys_of_the_schema(found: dict[str, Any], trained: Any) -> None:
    assert list(found["arms"]) == list(arms_of(trained.config.env))
    there = {name: arm for name, arm in found["arms"].items() if arm is not None}
    assert found["arms"].keys() - there.keys() == {"fixed_custom", "tuned_static", "flat", "best_constant"}
    for name, arm in there.items():
        assert arm.keys() == {"kind", "algorithm", "knows", "objective", "blocks", "metrics", "context"}, name
        assert arm["objective"].keys() == {"mean", "median", "iqm", "ci95", "bootstrap_ci95", "per_seed"}
        assert arm["objective"]["bootstrap_ci95"] is None, "there is one training seed"
        assert arm["metrics"].keys() == set(METRICS)
        assert (arm["context"] is None) == (name in RULES)
        assert arm["context"] is None or arm["context"].keys() == set(TERMS)


def test_metrics_name_latency_and_cost_with_their_units(found: dict[str, Any]) -> None:
    needed = {"latency_mean_ms", "latency_p95_ms", "latency_p99_ms", "cost_usd_per_h"}
    assert needed <= found["arms"]["learned"]["metrics"].keys()


def test_every_other_arm_is_compared_with_ours(found: dict[str, Any]) -> None:
    others = [name for name, arm in found["arms"].items() if arm is not None and name != "learned"]
    assert list(found["comparisons"]) == [f"learned_vs_{name}" for name in ("best_rule", *others)]
    for compared in found["comparisons"].values():
        assert compared.keys() == {"rival", "difference", "percent", "ci95", "bootstrap_ci95", "p_better"}


def test_the_best_rule_is_compared_first(found: dict[str, Any]) -> None:
    scores = {name: arm["objective"]["mean"] for name, arm in found["arms"].items() if arm and arm["kind"] == "rule"}
    best = max(scores, key=lambda name: scores[name])
    assert found["comparisons"]["learned_vs_best_rule"] == found["comparisons"][f"learned_vs_{best}"]
    assert found["comparisons"]["learned_vs_best_rule"]["rival"] == best


def test_what_was_found_is_told_with_what_it_cost(found: dict[str, Any]) -> None:
    tuned = {name for name, rule in RULES.items() if rule.has_numbers}
    assert tuned | {"fixed_best"} <= found["found"].keys()
    for name in tuned:
        known = found["found"][name]
        assert known.keys() == {"numbers", "mean", "standard_error", "n_trials", "n_cut_short", "n_lower_steps"}
        assert known["n_lower_steps"] > 0


def test_arms_say_what_they_know(found: dict[str, Any]) -> None:
    knows = {name: arm["knows"] for name, arm in found["arms"].items() if arm is not None}
    assert knows["learned"] == knows["fixed_best"] == knows["sed"] == knows["autoscale"] == "measurements"
    others = {knows[name] for name in ("regime_oracle", "delayed_oracle", "fixed_hindsight")}
    assert len(others) == 3
    assert "measurements" not in others


def test_the_figures_agree_with_each_other(found: dict[str, Any], trained: Any) -> None:
    ours = found["arms"]["learned"]["objective"]
    assert ours["mean"] == pytest.approx(np.mean(ours["per_seed"]))
    assert len(ours["per_seed"]) == trained.config.ablation.n_seeds
    for compared in found["comparisons"].values():
        theirs = found["arms"][compared["rival"]]["objective"]
        assert compared["difference"] == pytest.approx(ours["mean"] - theirs["mean"])
    timings = found["timings_s"]
    assert timings["total"] >= timings["lower"] + timings["upper"] + timings["ablation"]


def test_phases_report_what_they_did(found: dict[str, Any], trained: Any) -> None:
    assert found["lower"]["timesteps"] == trained.config.lower.timesteps
    assert found["upper"]["meta_steps"] == trained.config.upper.meta_steps
    assert found["lower"]["steps_per_s"] > 0
    assert found["upper"]["lower_steps_per_s"] > 0


# From arms to figures.


FACTS = {"delayed_oracle": Facts("oracle", knows="the last regime")}


def figures(**arms: Episodes | None) -> dict[str, Any]:
    """The figures of arms; those that are rules by name are rules."""
    kinds = {name: FACTS.get(name, Facts("rule" if name in RULES else "mix")) for name in arms}
    return {name: None if arm is None else results.arm_result(arm, kinds[name], SPEC) for name, arm in arms.items()}


def test_metrics_are_means_over_seeds_and_contexts_over_windows_too() -> None:
    arm = results.arm_result(episodes([1.0, 2.0, 6.0], [0.5, 0.3, 0.2]), Facts("mix"), SPEC)
    assert arm["objective"]["mean"] == 3.0
    assert arm["metrics"] == dict.fromkeys(METRICS, 1.0)
    assert arm["context"] == pytest.approx({"fairness": 0.5, "latency": 0.3, "cost": 0.2})
    assert results.arm_result(episodes([1.0, 2.0]), Facts("mix"), SPEC)["context"] is None


def test_arms_that_are_missing_are_not_compared() -> None:
    arms = figures(learned=episodes([2.0, 3.0]), fixed_custom=None, fixed_equal=episodes([1.0, 1.0]))
    assert list(results.comparisons([arms])) == ["learned_vs_fixed_equal"]
    assert results.comparisons([arms])["learned_vs_fixed_equal"]["difference"] == 1.5
    assert results.comparisons([{**arms, "learned": None}]) == {}


@pytest.mark.parametrize("missing", ["learned", "fixed_best", "delayed_oracle"])
def test_the_gap_needs_all_three_arms(missing: str) -> None:
    base = np.array([0.0, 1.0, 2.0])
    arms = figures(
        fixed_best=episodes(base.tolist()),
        learned=episodes((base + 0.5).tolist()),
        delayed_oracle=episodes((base + 1.0).tolist()),
    )
    whole = results.gap_closed_by([arms])
    assert whole is not None
    assert whole["mean"] == pytest.approx(0.5)
    assert results.gap_closed_by([{**arms, missing: None}]) is None


def test_no_gap_is_told_while_an_arm_of_measurements_is_above_the_oracle() -> None:
    base = np.array([0.0, 1.0, 2.0])
    given = {"fixed_best": base, "learned": base + 0.5, "delayed_oracle": base + 1.0}
    there = {name: episodes(values.tolist()) for name, values in given.items()}
    assert results.gap_closed_by([figures(**there, sed=episodes((base + 0.9).tolist()))]) is not None
    above = {**there, "sed": episodes((base + 1.1).tolist())}
    assert results.gap_closed_by([figures(**above)]) is None
    whole = results.of_arms(above, {name: FACTS.get(name, Facts("mix")) for name in above}, SPEC)
    assert results.why_no_gap(whole) == "sed, which knows measurements only, is above the delayed oracle"


def test_on_a_trace_intervals_come_from_blocks_of_the_recording() -> None:
    scores = np.array([[1.0, 1.0], [3.0, 3.0]])
    position = np.array([[0.1, 0.1], [0.9, 0.9]])
    arm = dataclasses.replace(episodes([2.0, 2.0]), window_objective=scores, recorded_position=position)
    assert results.arm_result(arm, Facts("mix"), SPEC)["objective"]["ci95"] == pytest.approx(
        t_interval(np.array([1.0, 3.0]))
    )
    other = dataclasses.replace(arm, objective=arm.objective - 1.0, window_objective=scores - 1.0)
    compared = results.comparisons([figures(learned=arm, fixed_equal=other)])
    assert compared["learned_vs_fixed_equal"]["ci95"] == pytest.approx([1.0, 1.0])


def recorded(windows: np.ndarray) -> Episodes:
    """An arm of two evaluation seeds that replay one recording of 20 blocks, two windows each."""
    position = np.tile((np.arange(40) + 0.5)[:, None] / 40, (1, 2))
    scores = np.tile(windows[:, None], (1, 2))
    return dataclasses.replace(episodes(scores.mean(0).tolist()), window_objective=scores, recorded_position=position)


def on_recording(n_training: int, luck: float = 0.0) -> Results:
    """Training seeds on one recording: what learned gains by block is the same for each but for its luck."""
    gain = 1.0 + 0.5 * np.repeat(np.random.default_rng(0).normal(size=20), 2)
    lucks = luck * np.random.default_rng(1).normal(size=n_training)
    facts = {"fixed_best": Facts("mix"), "learned": Facts("learned"), "delayed_oracle": FACTS["delayed_oracle"]}
    of_seeds = []
    for own in lucks:
        arms: dict[str, Episodes | None] = {
            "fixed_best": recorded(np.zeros(40)),
            "learned": recorded(gain + own),
            "delayed_oracle": recorded(2.0 + np.roll(gain, 6)),
        }
        of_seeds.append(results.of_arms(arms, facts, SPEC))
    return results.combined(of_seeds)


def test_more_training_seeds_on_one_recording_say_no_more_about_other_recordings() -> None:
    alone, many = on_recording(1), on_recording(10)
    for name in ("fixed_best", "delayed_oracle"):
        one, other = (found["comparisons"][f"learned_vs_{name}"] for found in (alone, many))
        assert other["ci95"] == pytest.approx(one["ci95"])
        assert other["bootstrap_ci95"] is None, "it would take seeds as units"
    assert alone["gap_closed"] is not None
    assert many["gap_closed"] is not None
    assert many["gap_closed"]["ci95"] == pytest.approx(alone["gap_closed"]["ci95"])
    assert np.ptp(many["gap_closed"]["ci95"]) > 0.1


def test_blocks_count_where_training_seeds_gain_alike() -> None:
    found = on_recording(10, luck=0.01)["comparisons"]["learned_vs_fixed_best"]
    of_blocks = on_recording(1)["comparisons"]["learned_vs_fixed_best"]
    assert np.ptp(found["ci95"]) == pytest.approx(np.ptp(of_blocks["ci95"]), rel=0.01)
    assert np.ptp(found["ci95"]) > 0.4


def test_luck_in_training_counts_on_a_recording_too() -> None:
    narrow, wide = (on_recording(5, luck)["comparisons"]["learned_vs_fixed_best"]["ci95"] for luck in (0.0, 1.0))
    assert np.ptp(wide) > 2.0 * np.ptp(narrow)


# Several training seeds.


SCORES = {
    "learned": np.array([[3.0, 5.0, 4.0, 8.0], [7.0, 7.0, 6.0, 8.0], [1.0, 4.0, 2.0, 5.0]]),
    "fixed_best": np.array([[2.0, 4.5, 3.0, 6.5], [6.0, 5.0, 5.0, 7.5], [0.5, 3.0, 1.0, 4.0]]),
    "delayed_oracle": np.array([[4.0, 5.5, 4.0, 8.5], [8.0, 6.0, 6.5, 9.0], [2.0, 4.5, 2.5, 6.0]]),
}
"""Of every arm in three training seeds with four evaluation seeds each."""


def of_seed(seed: int, **arms: Episodes | None) -> Results:
    """What one training seed found; times and figures depend on the seed."""
    mix = np.roll([0.5, 0.3, 0.2], seed).tolist()
    of_hierarchy = {name: episodes(scores[seed].tolist(), mix) for name, scores in SCORES.items()}
    all_arms = {**of_hierarchy, **arms}
    facts = {name: FACTS.get(name, Facts("mix")) for name in all_arms}
    found = results.of_arms(all_arms, facts, SPEC, "tiny", seed)
    return {
        **found,
        "timings_s": {"lower": 10.0 + seed, "total": 100.0},
        "lower": {"timesteps": 64, "steps_per_s": 100.0 * seed},
        "upper": {"meta_steps": 12, "lower_steps_per_s": 10.0},
    }


@pytest.fixture
def of_seeds() -> list[Results]:
    return [of_seed(seed) for seed in range(3)]


def test_the_training_seed_is_the_unit_of_several(of_seeds: list[Results]) -> None:
    found = results.combined(of_seeds)
    assert found["training_seeds"] == [0, 1, 2]
    for name, scores in SCORES.items():
        arm = found["arms"][name]
        assert arm is not None
        assert arm["objective"]["per_seed"] == scores.mean(1).tolist()
        assert arm["objective"]["mean"] == pytest.approx(scores.mean())
        assert arm["objective"]["median"] == np.median(scores.mean(1))
        assert arm["objective"]["ci95"] == t_interval(scores.mean(1))
        assert arm["objective"]["bootstrap_ci95"] is not None


def test_arms_are_compared_within_their_training_seed(of_seeds: list[Results]) -> None:
    found = results.combined(of_seeds)
    assert list(found["comparisons"]) == ["learned_vs_fixed_best", "learned_vs_delayed_oracle"]
    for name, compared in found["comparisons"].items():
        difference = SCORES["learned"] - SCORES[name.removeprefix("learned_vs_")]
        assert compared["difference"] == pytest.approx(difference.mean())
        assert compared["ci95"] == pytest.approx(t_interval(difference.mean(1)))
    gain, gap = ((SCORES[name] - SCORES["fixed_best"]).mean() for name in ("learned", "delayed_oracle"))
    assert found["gap_closed"] is not None
    assert found["gap_closed"]["mean"] == pytest.approx(gain / gap)


def test_metrics_and_mixes_are_means_over_training_seeds(of_seeds: list[Results]) -> None:
    arm = results.combined(of_seeds)["arms"]["learned"]
    assert arm is not None
    assert arm["metrics"] == dict.fromkeys(METRICS, 1.5)
    assert arm["context"] == pytest.approx(dict.fromkeys(TERMS, 1 / 3))


@pytest.mark.parametrize("lacking", range(3))
def test_an_arm_that_one_training_seed_lacks_is_none(lacking: int) -> None:
    for name in SCORES:
        found = results.combined([of_seed(seed, **({name: None} if seed == lacking else {})) for seed in range(3)])
        assert found["arms"][name] is None
        assert {one for one, arm in found["arms"].items() if arm is not None} == SCORES.keys() - {name}
        assert not [pair for pair in found["comparisons"] if name in pair]
        assert bool(found["comparisons"]) == (name != "learned")
        assert found["gap_closed"] is None


def test_times_of_training_seeds_add_up_and_speeds_are_means(of_seeds: list[Results]) -> None:
    found = results.combined(of_seeds)
    assert found["timings_s"] == {"lower": 33.0, "total": 300.0}
    assert found["lower"] == {"timesteps": 64, "steps_per_s": 100.0}
    of_seeds[1]["lower"] = None
    assert results.combined(of_seeds)["lower"] is None


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_a_phase_that_only_some_training_seeds_ran_takes_its_time_all_the_same(
    of_seeds: list[Results], order: list[int]
) -> None:
    of_seeds[1]["timings_s"]["flat"] = 7.0
    assert results.combined([of_seeds[seed] for seed in order])["timings_s"]["flat"] == 7.0


def test_one_training_seed_alone_says_what_it_said_before(of_seeds: list[Results]) -> None:
    alone = results.combined(of_seeds[:1])
    for key in ("arms", "comparisons", "gap_closed", "timings_s"):
        assert alone[key] == of_seeds[0][key]  # type: ignore[literal-required]


# As a table.


def test_the_table_is_headed_by_the_best_rule_and_the_others_stand_best_first(trained: Any) -> None:
    rows = [line.split("|")[1].strip() for line in tables.markdown(trained.results).splitlines()[2:]]
    scores = {name: arm["objective"]["mean"] for name, arm in trained.results["arms"].items() if arm is not None}
    assert sorted(rows) == sorted(scores)
    assert rows[0] == trained.results["comparisons"]["learned_vs_best_rule"]["rival"]
    others = [scores[name] for name in rows[1:]]
    assert others == sorted(others, reverse=True)


def test_every_row_of_the_table_has_as_many_cells_as_its_head(trained: Any) -> None:
    assert len({line.count("|") for line in tables.markdown(trained.results).splitlines()}) == 1


def test_the_table_tells_loss_and_lateness_of_each_class_in_percent(trained: Any) -> None:
    headings, *rows = tables.table(trained.results)
    metrics = trained.results["arms"]["learned"]["metrics"]
    (ours,) = (row for row in rows if row[0] == "learned")
    for what in ("late", "lost"):
        for of in ("interactive", "batch"):
            cell = ours[headings.index(f"{what} % {of[:5]}")]
            assert float(cell) == pytest.approx(100.0 * metrics[f"{what}_share_{of}"], abs=0.005)


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
    with pytest.raises(SettingError, match=rf"^results.json must be of schema 3, got 1: {path} .+$"):
        results.read(tmp_path)
    path.write_text("{")
    with pytest.raises(SettingError, match=r"^results.json must be a JSON file that can be read, got .+$"):
        results.read(tmp_path)


def test_arms_say_their_kind_and_what_they_learned_by(found: dict[str, Any]) -> None:
    kinds = {name: (arm["kind"], arm["algorithm"]) for name, arm in found["arms"].items() if arm is not None}
    assert kinds["learned"] == ("learned", "td3")
    assert kinds["fixed_best"] == ("mix", None)
    assert kinds["delayed_oracle"] == ("oracle", None)
    assert kinds["sed"] == ("rule", None)
