"""Benchmarks measure what they say, side by side, and tell it the same way everywhere."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hierarchy.tracking.mlflow import open_store, store_uri
from scipy import stats

from hierarchy.config import ExperimentConfig
from runs.benchmarks import BENCHMARKS, end_to_end, plan_of, queueing, stock, world
from runs.benchmarks.end_to_end import Finished
from runs.benchmarks.plan import Agreement, Case, Curve, Plan, Ratio, Target, run
from runs.cli import main
from runs.commands.bench import EXPERIMENT, metric_name

Capture = pytest.CaptureFixture[str]


def silent(_: str) -> None:
    """No progress is shown."""


class Counter:
    """A case that gives the next of its values, and notes when it was asked."""

    def __init__(self, name: str, values: list[float], asked: list[str]) -> None:
        self.name, self._values, self._asked = name, iter(values), asked

    def __call__(self) -> float:
        self._asked.append(self.name)
        return next(self._values)


def case(name: str, values: list[float], asked: list[str], once: bool = False) -> Case:
    return Case(name, "1/s", Counter(name, values, asked), once)


# How it is measured.


def test_cases_are_measured_in_turn_after_a_round_that_is_not_counted() -> None:
    asked: list[str] = []
    report = run(Plan([case("a", [9, 1, 2, 3], asked), case("b", [9, 4, 5, 6], asked)]), 3, silent)
    assert asked == ["a", "b"] * 4
    assert [figure.values for figure in report.cases] == [[1, 2, 3], [4, 5, 6]]
    assert [(figure.median, figure.low, figure.high) for figure in report.cases] == [(2, 1, 3), (5, 4, 6)]


def test_a_long_case_is_measured_once() -> None:
    asked: list[str] = []
    ratio = Ratio("a", "long")
    report = run(Plan([case("a", [9, 1, 2], asked), case("long", [4.0], asked, once=True)], [ratio]), 2, silent)
    assert asked == ["a", "a", "long", "a"]
    assert report.ratios[0].values == [0.25, 0.5]


def test_a_ratio_is_that_of_the_medians_and_spreads_over_rounds() -> None:
    plan = Plan([case("a", [0, 10, 20, 60], []), case("b", [0, 1, 4, 3], [])], [Ratio("a", "b", Target("at least", 5))])
    found = run(plan, 3, silent).ratios[0]
    assert found.median == pytest.approx(20 / 3)
    assert (found.low, found.high) == (5, 20)
    assert found.met


@pytest.mark.parametrize(
    ("side", "value", "met"),
    [("at least", 2.0, True), ("at least", 1.9, False), ("at most", 2.0, True), ("at most", 2.1, False)],
)
def test_a_target_is_met_on_its_side(side: Any, value: float, met: bool) -> None:
    assert Target(side, 2.0).met(value) == met


def test_a_curve_is_the_median_at_every_size() -> None:
    curve = Curve("c", "x", "y", {"line": {1: Counter("", [3, 1, 2], []), 2: Counter("", [7, 7, 9], [])}})
    (drawn,) = run(Plan([], curves=[curve]), 3, silent).curves
    assert (drawn.lines[0].x, drawn.lines[0].y) == ([1, 2], [2, 7])


@pytest.mark.parametrize(("shift", "agree"), [(0.0, True), (5.0, False)])
def test_simulators_agree_when_the_interval_of_their_difference_holds_zero(shift: float, agree: bool) -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(10, 1, 12), rng.normal(10 + shift, 2, 8)
    plan = Plan([], agreements=[Agreement("a", "ms", lambda: list(ours), lambda: list(theirs))])
    (found,) = run(plan, 1, silent).agreements
    expected = stats.ttest_ind(ours, theirs, equal_var=False)
    assert found.agree == agree == (expected.pvalue > 0.05)
    assert found.difference == pytest.approx(ours.mean() - theirs.mean())


def test_names_are_such_as_mlflow_takes() -> None:
    assert metric_name("ratio/1,024 servers / 4 servers: x") == "ratio/1024 servers over 4 servers: x"


# What is measured.


SMALL = {"world": 0.02, "lower": 0.02, "upper": 0.02, "serve": 0.01}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_prints_writes_and_tracks_the_same(name: str, tmp_path: Path, capsys: Capture) -> None:
    out, copy = tmp_path / "out", tmp_path / "copy.json"
    scale = str(SMALL[name])
    assert main(["bench", name, "--rounds", "1", "--scale", scale, "--out", str(out), "--json", str(copy)]) == 0
    found = json.loads(copy.read_text())
    assert found == json.loads((out / "bench" / f"{name}.json").read_text())
    assert found["benchmark"] == name
    assert all(figure["median"] > 0 for figure in [*found["cases"], *found["ratios"]])
    printed = capsys.readouterr().out
    for figure in found["cases"]:
        assert figure["name"].split(":")[0] in printed
    client = open_store(store_uri(out))
    (tracked,) = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert tracked.info.status == "FINISHED"
    for kind, figures in (("case", found["cases"]), ("ratio", found["ratios"])):
        for figure in figures:
            assert tracked.data.metrics[metric_name(f"{kind}/{figure['name']}")] == pytest.approx(figure["median"])
    for drawn in found["curves"]:
        assert (out / "bench" / f"{drawn['name']}.png").stat().st_size > 1000
        for line in drawn["lines"]:
            history = client.get_metric_history(tracked.info.run_id, metric_name(f"{drawn['name']}/{line['name']}"))
            assert {point.step: point.value for point in history} == dict(zip(line["x"], line["y"], strict=True))


@pytest.mark.parametrize("name", BENCHMARKS)
def test_ratios_and_targets_name_cases_that_there_are(name: str) -> None:
    plan = plan_of(name)(1.0)
    names = [case.name for case in plan.cases]
    assert len(set(names)) == len(names)
    assert {ratio.over for ratio in plan.ratios} | {ratio.under for ratio in plan.ratios} | set(plan.targets) <= set(names)


@pytest.mark.slow
def test_four_simulators_of_one_queueing_model_agree() -> None:
    outcomes = {name: simulate(12, 60.0, 5) for name, simulate in queueing.SIMULATORS.items()}
    expected_flows = 12 * 60.0 * queueing.RATE_HZ
    for name, outcome in outcomes.items():
        assert abs(outcome.n_flows - expected_flows) < 5 * np.sqrt(expected_flows), name
        difference = stats.ttest_ind(outcomes["metabalance"].mean_latency_s, outcome.mean_latency_s, equal_var=False)
        assert difference.pvalue > 0.01, name


@pytest.mark.parametrize("name", queueing.SIMULATORS)
def test_a_simulator_is_reproduced_by_its_seed(name: str) -> None:
    simulate = queueing.SIMULATORS[name]
    assert simulate(2, 2.0, 1) == simulate(2, 2.0, 1)
    assert simulate(2, 2.0, 1) != simulate(2, 2.0, 2)


@pytest.fixture
def config() -> ExperimentConfig:
    lower = RecurrentPPOConfig(n_envs=2, n_steps=8, batch_size=8, n_epochs=1, hidden_size=8)
    return ExperimentConfig(lower=lower, upper=TD3Config(meta_period=3, learning_starts=2, batch_size=4))


def test_stock_parts_make_the_whole_experiment(config: ExperimentConfig) -> None:
    agent = stock.agent(config, stock.vec_env(config, "dummy"))
    agent.learn(16)
    check_env(stock.SingleMetaEnv(config, agent), skip_render_check=True)
    upper = stock.upper_agent(config, agent)
    upper.learn(6)
    assert upper.num_timesteps == 6
    mixes = np.eye(3)
    scores = stock.evaluate(config, agent, list(mixes), 5)
    assert len(scores) == 3
    assert np.isfinite(scores).all()


def test_the_stock_agent_acts_on_as_with_all_of_its_memory(config: ExperimentConfig) -> None:
    agent = stock.agent(config, stock.vec_env(config, "dummy"))
    short = dataclasses.replace(config.env, episode_steps=4)
    acting = stock.Predicting(agent, make_single(short))
    assert [acting.run(1) for _ in range(8)] == [False, False, False, True] * 2


def test_a_process_that_fails_is_told() -> None:
    with pytest.raises(RuntimeError, match="failed: no"):
        Finished(end_to_end._python("raise SystemExit('no')"))


def test_a_process_tells_its_own_memory() -> None:
    small, large = (
        Finished(end_to_end._python(f"x = b'x' * ({size} << 20); import time; time.sleep(0.1)")).peak_mb for size in (1, 200)
    )
    assert 150 < large - small < 250


# What is refused.


def test_a_benchmark_without_its_peers_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    monkeypatch.setattr(world, "find_spec", lambda name: None if name == "ciw" else True)
    assert main(["bench", "world", "--out", str(tmp_path / "out")]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "got world without ciw" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["name"]),
        (["speed"], ["name", "world", "speed"]),
        (["world", "--rounds", "0"], ["rounds", ">= 1", "0"]),
        (["world", "--scale", "-1"], ["scale", "> 0", "-1"]),
        (["world", "--threads", "many"], ["threads", "int", "many"]),
        (["world", "--json", "/"], ["json", "file", "/"]),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused_in_one_line(
    arguments: list[str], words: list[str], capsys: Capture, tmp_path: Path
) -> None:
    assert main(["bench", *arguments, "--out", str(tmp_path / "out")]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert [word for word in words if word not in line] == [], line
    assert not (tmp_path / "out").exists()
