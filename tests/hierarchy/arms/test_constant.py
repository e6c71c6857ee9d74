"""The best constant action is the best one there is, found on selection seeds and compared on others."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs import SparkConfig
from envs.load_balancing.config import Actions
from hierarchy import experiment
from hierarchy.arms import ARMS, Agents
from hierarchy.arms.ablation import Ablation
from hierarchy.arms.constant import Constant, actions_of, find_constant, n_constant_steps
from hierarchy.arms.jobs import Jobs, nothing
from hierarchy.arms.selection import Selection
from hierarchy.building import upper
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.results import Results
from hierarchy.executors.inline import Inline
from hierarchy.experiment import Experiment
from hierarchy.tracking.progress import Silent


@pytest.fixture(scope="module")
def config(untracked_config: ExperimentConfig) -> ExperimentConfig:
    """A tiny stream world whose best constant is an arm."""
    ablation = dataclasses.replace(untracked_config.ablation, constants=True)
    return dataclasses.replace(untracked_config, env=SparkConfig(episode_steps=16), ablation=ablation)


def with_env(config: ExperimentConfig, env: Any) -> ExperimentConfig:
    return dataclasses.replace(config, env=env)


def scored(config: ExperimentConfig, action: np.ndarray, role: Any, seed: int, n_windows: int) -> float:
    """The objective of one episode of one action, run by hand."""
    below = upper.simulation(config, role, [seed], n_windows)
    below.reset()
    constant = Constant(below.world, action[None])
    while not below.ended.all():
        below.advance(constant.decide(below.measurements))
    return float(below.objective(below.statistics())[0])


NOBODY: Any = Agents(lower=None)  # type: ignore[arg-type]  # nothing acts but the constant


def best_constant(config: ExperimentConfig, advance: Any = nothing) -> np.ndarray:
    return find_constant(Selection(config, envs.describe(config.env), NOBODY, Jobs(Inline(), advance)), {})


@pytest.mark.parametrize("world", ["spark", "spark episodes", "spark all choices", "load_balancing"])
def test_the_best_constant_is_the_best_of_all_run_one_by_one(
    config: ExperimentConfig, tiny_config: ExperimentConfig, world: str
) -> None:
    if world == "spark episodes":
        config = dataclasses.replace(config, upper=dataclasses.replace(config.upper, meta_step="episode"))
    if world == "spark all choices":
        few = dataclasses.replace(config.ablation, select_windows=1)
        config = dataclasses.replace(config, env=SparkConfig(actions="all", episode_steps=2), ablation=few)
        config = dataclasses.replace(config, upper=dataclasses.replace(config.upper, meta_period=2))
    if world == "load_balancing":
        config = with_env(config, tiny_config.env)
    settings, actions = config.ablation, actions_of(envs.describe(config.env))
    seeds = range(settings.n_trial_seeds)
    one_by_one = [[scored(config, one, "select", seed, settings.select_windows) for seed in seeds] for one in actions]
    means = np.mean(one_by_one, axis=1)
    assert np.ptp(means) > 0
    assert_array_equal(best_constant(config), actions[means.argmax()])


def test_all_actions_are_run_on_all_selection_seeds(config: ExperimentConfig) -> None:
    told: list[int] = []
    best_constant(config, told.append)
    expected = 20 * config.ablation.n_trial_seeds * config.ablation.select_windows * config.upper.meta_period
    assert sum(told) == n_constant_steps(config, envs.describe(config.env)) == expected


def test_an_action_is_run_on_the_evaluation_seeds(config: ExperimentConfig) -> None:
    action = np.array(6)
    arm = {"best_constant": ARMS["best_constant"]}
    episodes = Ablation(config, NOBODY, Inline()).play(arm, {"constant": action})["best_constant"]
    assert episodes is not None
    expected = [scored(config, action, "evaluate", seed, config.ablation.episode_windows) for seed in range(3)]
    assert_allclose(episodes.objective, expected, rtol=1e-12)
    assert episodes.contexts is None
    assert episodes.statistics["executors"].tolist() == [7.0] * 3
    assert episodes.window_objective.shape == (config.ablation.episode_windows, 3)


@pytest.mark.parametrize(
    ("mode", "levels", "n_servers"), [("weights", [0.0, 1.0], 2), ("levels", [float(level) for level in range(9)], 4)]
)
def test_too_many_and_continuous_actions_are_refused_in_one_line(
    config: ExperimentConfig, tiny_config: ExperimentConfig, mode: Any, levels: list[float], n_servers: int
) -> None:
    """Nine levels of four servers are 6,561 actions."""
    pool = dataclasses.replace(
        tiny_config.env.pool,
        cores=[1] * n_servers,
        speed=[1.0] * n_servers,
        price_usd_per_h=[0.1] * n_servers,
        memory_gb=[4.0] * n_servers,
    )
    env = dataclasses.replace(tiny_config.env, pool=pool, actions=Actions(mode=mode, levels=levels))
    with pytest.raises(ValueError, match=r"^ablation.constants must be false unless there are 1 to 5,000 actions, got .+$"):
        best_constant(with_env(config, env))


# As an arm.


@pytest.fixture(scope="module")
def trained(config: ExperimentConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Path, list[Any]]:
    """A tiny experiment over the stream world, its folder, and what was told of its ablation."""
    out, told = tmp_path_factory.mktemp("constants") / "one", []

    class Recorded(Silent):
        def begin(self, phase: str, total: int, unit: str) -> None:
            told.append([phase, total, 0])

        def advance(self, n: int) -> None:
            told[-1][2] += n

    return experiment.train(Experiment(config, out, "tiny", Recorded())), out, told


def test_the_best_constant_is_an_arm_of_the_results_and_stands_in_the_mixes(
    trained: tuple[Results, Path, list[Any]], config: ExperimentConfig
) -> None:
    found, out, _ = trained
    best = best_constant(config)
    assert json.loads((out / "found.json").read_text())["constant"] == best.tolist()
    arm = found["arms"]["best_constant"]
    assert arm is not None
    seeds, n_windows = range(config.ablation.n_seeds), config.ablation.episode_windows
    expected = [scored(config, best, "evaluate", seed, n_windows) for seed in seeds]
    assert_allclose(arm["objective"]["per_seed"], expected, rtol=1e-12)
    assert arm["metrics"]["executors"] == best + 1
    assert arm["context"] is None
    assert "learned_vs_best_constant" in found["comparisons"]


def test_its_steps_are_counted(trained: tuple[Results, Path, list[Any]]) -> None:
    phase, total, done = trained[-1][-1]
    assert phase == "ablation"
    assert done == total


def test_it_is_no_arm_unless_it_is_asked_for(
    trained: tuple[Results, Path, list[Any]], config: ExperimentConfig, untracked_config: ExperimentConfig
) -> None:
    _, out, _ = trained
    without = dataclasses.replace(config, ablation=untracked_config.ablation)
    found = experiment.ablate(Experiment(without, out, "tiny", Silent()))
    assert found["arms"]["best_constant"] is None
    assert json.loads((out / "found.json").read_text())["constant"] is None
