"""Phases run together or one by one over a folder, are reproduced by their seed, and leave what they learned."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th

from envs.core.validation import SettingError
from envs.load_balancing.objectives import OBJECTIVES
from hierarchy import experiment as experiments
from hierarchy.arms import flat
from hierarchy.building import lower as building
from hierarchy.config import AblationConfig, ExperimentConfig
from hierarchy.evidence.recordings import load_curves
from hierarchy.executors.inline import Inline
from hierarchy.experiment import Experiment
from hierarchy.storage.folder import NotTrainedError
from hierarchy.storage.lock import alone_in
from hierarchy.storage.saved import read_saved
from hierarchy.tracking.progress import Silent
from tests.hierarchy.episodes import PICTURES
from tests.hierarchy.experiments import Recorded, names

pytestmark = pytest.mark.slow

TRAINED = {"config.json", "curves.json", "lower.safetensors", "upper.safetensors"}
FILES = TRAINED | {"found.json", "episodes.npz", "moves.json", "results.json"} | PICTURES


# Phase by phase.


def test_every_phase_adds_its_files(make: Callable[..., Experiment]) -> None:
    out = make().out
    experiments.train_lower(make())
    assert names(out) == TRAINED - {"upper.safetensors"}
    experiments.train_upper(make())
    assert names(out) == TRAINED
    experiments.ablate(make())
    assert names(out) == FILES


def test_what_was_made_with_an_agent_goes_with_it(make: Callable[..., Experiment]) -> None:
    """Nothing pairs an upper agent, mixes or results with a lower agent that they were not made with."""
    made = {"found.json", "episodes.npz", "moves.json", "results.json"}
    out = make().out
    experiments.train(make())
    experiments.train_upper(make())
    assert not made & names(out)
    assert names(out) >= TRAINED
    assert experiments.ablate(make())["upper"] is None, "how that one was trained is not told by its predecessor's results"
    experiments.train_lower(make(seed=8))
    assert not (made | {"upper.safetensors"}) & names(out)
    with pytest.raises(NotTrainedError, match=r"upper.safetensors \(made by train-upper\)"):
        experiments.ablate(make(seed=8))


def test_a_folder_that_another_experiment_writes_to_is_left_alone(make: Callable[..., Experiment]) -> None:
    experiments.train_lower(make())
    before = {path: path.read_bytes() for path in make().out.iterdir()}
    with alone_in(make().out):
        for run in (experiments.train, experiments.train_lower, experiments.train_upper):
            with pytest.raises(SettingError, match=r"^out must be a folder that no other experiment writes to, got "):
                run(make(seed=8))
    assert {path: path.read_bytes() for path in make().out.iterdir()} == before


def test_phases_one_by_one_find_what_training_at_once_finds(make: Callable[..., Experiment]) -> None:
    experiments.train_lower(make("by_phase"))
    experiments.train_upper(make("by_phase"))
    by_phase = experiments.ablate(make("by_phase"))
    at_once = experiments.train(make("at_once"))
    assert by_phase["arms"] == at_once["arms"]
    assert (by_phase["lower"], by_phase["upper"]) == (None, None)
    assert by_phase["comparisons"] == at_once["comparisons"]


def test_curves_of_both_phases_are_kept_however_they_are_run(make: Callable[..., Experiment]) -> None:
    experiments.train_lower(make("by_phase"))
    experiments.train_upper(make("by_phase"))
    experiments.train(make("at_once"))
    by_phase, at_once = load_curves(make("by_phase").out), load_curves(make("at_once").out)
    assert by_phase.keys() == at_once.keys() == {"lower", "upper"}
    assert by_phase["lower"]["reward/cost"] == at_once["lower"]["reward/cost"]
    assert by_phase["upper"]["upper/objective"] == at_once["upper"]["upper/objective"]


def test_training_tracked_finds_what_training_untracked_finds(make: Callable[..., Experiment], trained: Any) -> None:
    assert json.loads(json.dumps(experiments.train(make())["arms"])) == json.loads(json.dumps(trained.results["arms"]))


def test_the_same_seed_gives_the_same_bits(make: Callable[..., Experiment]) -> None:
    one, two, other = (experiments.train(make(str(n), seed=seed))["arms"] for n, seed in enumerate((4, 4, 5)))
    assert one == two
    assert one["learned"] != other["learned"]
    assert one["sed"] != other["sed"]


def test_the_settings_are_kept_beside_the_agents(make: Callable[..., Experiment]) -> None:
    experiment = make()
    experiments.train_lower(experiment)
    kept = json.loads((experiment.out / "config.json").read_text())
    assert kept.pop("preset") == "tiny"
    assert kept == dataclasses.asdict(experiment.config)


def test_the_results_are_the_last_ones_written(make: Callable[..., Experiment]) -> None:
    experiment = make()
    found = experiments.train(experiment)
    assert json.loads((experiment.out / "results.json").read_text()) == json.loads(json.dumps(found))


def test_pictures_are_pictures(trained: Any) -> None:
    for name in PICTURES:
        assert (trained.out / name).read_bytes().startswith(b"\x89PNG")


def test_a_saved_agent_is_the_one_that_was_trained(make: Callable[..., Experiment]) -> None:
    experiment = make()
    experiments.train_lower(experiment)
    learner = building.build(experiment.config)
    learner.learn(experiment.config.lower.timesteps)
    kept = read_saved(experiment.out / "lower.safetensors").arrays
    for name, value in learner.saved("lower").arrays.items():
        np.testing.assert_array_equal(kept[name], value, err_msg=name)


@pytest.mark.parametrize(
    ("phase", "there", "missing", "made_by"),
    [
        (experiments.train_upper, [], "lower.safetensors", "train-lower"),
        (experiments.ablate, [], "lower.safetensors", "train-lower"),
        (experiments.ablate, ["lower"], "upper.safetensors", "train-upper"),
    ],
)
def test_a_phase_says_what_it_needs_and_writes_nothing(
    make: Callable[..., Experiment], phase: Callable[[Experiment], Any], there: list[str], missing: str, made_by: str
) -> None:
    experiment = make()
    if there:
        experiments.train_lower(experiment)
    before = names(experiment.out)
    with pytest.raises(NotTrainedError, match=rf"{missing}.*{made_by}") as raised:
        phase(experiment)
    assert str(experiment.out) in str(raised.value)
    assert names(experiment.out) == before


# The agent without a hierarchy.


def flat_config(config: ExperimentConfig) -> AblationConfig:
    return dataclasses.replace(config.ablation, flat=True, heuristics=False)


def test_a_flat_agent_is_one_more_phase_and_one_more_arm(
    make: Callable[..., Experiment], untracked_config: ExperimentConfig
) -> None:
    progress = Recorded()
    upper_config = dataclasses.replace(untracked_config.upper, meta_steps=16, candidate_seeds=4)
    experiment = make(progress=progress, upper=upper_config, ablation=flat_config(untracked_config))
    found = experiments.train(experiment)
    assert names(experiment.out) == FILES | {"flat.safetensors"}
    assert [(unit, done == total) for _, total, unit, done in progress.phases] == [
        ("step", True),
        ("steps", True),
        ("meta steps", True),
        ("steps", True),
        ("lower steps", True),
    ]
    assert progress.phases[3][1] == flat.timesteps(experiment.config)
    assert found["arms"]["flat"] is not None
    assert found["arms"]["flat"]["context"] is None
    assert found["timings_s"].keys() == {"compiling", "lower", "upper", "flat", "ablation", "total"}
    curve = load_curves(experiment.out)["flat"]
    assert curve["step"][-1] == flat.timesteps(experiment.config)
    assert np.isfinite(curve["flat/objective"]).all()


def test_an_ablation_trains_a_flat_agent_that_is_missing_and_only_then(
    make: Callable[..., Experiment], untracked_config: ExperimentConfig
) -> None:
    experiments.train(make())
    experiments.ablate(make(ablation=flat_config(untracked_config)))
    before = (make().out / "flat.safetensors").stat().st_mtime_ns
    progress = Recorded()
    found = experiments.ablate(make(progress=progress, ablation=flat_config(untracked_config)))
    assert found["arms"]["flat"] is not None
    assert [unit for _, _, unit, _ in progress.phases] == ["step", "lower steps"]
    assert (make().out / "flat.safetensors").stat().st_mtime_ns == before


# Progress and time.


def test_all_phases_tell_how_far_they_are(make: Callable[..., Experiment], untracked_config: ExperimentConfig) -> None:
    progress = Recorded()
    experiments.train(make(progress=progress))
    assert [unit for _, _, unit, _ in progress.phases] == ["step", "steps", "meta steps", "lower steps"]
    for phase, total, _, done in progress.phases:
        assert done == total, phase
    assert progress.phases[1][1] == untracked_config.lower.timesteps
    assert progress.ended == 1


def test_the_total_counts_from_the_start_of_the_process(untracked_config: ExperimentConfig, tmp_path: Path) -> None:
    an_hour_ago = time.perf_counter() - 3600
    experiment = Experiment(untracked_config, tmp_path, "tiny", Silent(), an_hour_ago)
    timings = experiments.train(experiment)["timings_s"]
    assert timings["total"] >= 3600
    assert 3600 > timings["lower"] > 0


def test_torch_gets_the_threads_of_the_settings(make: Callable[..., Experiment]) -> None:
    experiments.train_lower(make(threads=2))
    assert th.get_num_threads() == 2


@pytest.mark.parametrize(("n_candidates", "side_by_side"), [(1, False), (3, True)])
def test_workers_are_started_where_candidates_have_enough_to_do(
    make: Callable[..., Experiment],
    untracked_config: ExperimentConfig,
    monkeypatch: pytest.MonkeyPatch,
    n_candidates: int,
    side_by_side: bool,
) -> None:
    given: list[bool] = []

    def recorded(name: str, threads: int, many: bool) -> Inline:
        given.append(many)
        return Inline(threads)

    upper = dataclasses.replace(untracked_config.upper, candidates=n_candidates)
    monkeypatch.setattr(experiments, "executor", recorded)
    monkeypatch.setattr(experiments, "SIDE_BY_SIDE", 2 * (12 + 2 * 3) * upper.meta_period)
    experiments.train_lower(make(upper=upper))
    experiments.train_upper(make(upper=upper))
    assert given == [False, side_by_side]


# Settings that change what is run.


@pytest.mark.parametrize("name", ["satisfaction", "slo"])
def test_any_objective_can_be_trained_for(
    make: Callable[..., Experiment], untracked_config: ExperimentConfig, name: Any
) -> None:
    found = experiments.train(make(env=dataclasses.replace(untracked_config.env, objective=OBJECTIVES[name]())))
    scores = [arm["objective"]["mean"] for arm in found["arms"].values() if arm is not None]
    assert np.isfinite(scores).all()
    assert all(score > 0 for score in scores) if name == "satisfaction" else all(score < 0 for score in scores)


def test_meta_steps_may_be_episodes(make: Callable[..., Experiment], untracked_config: ExperimentConfig) -> None:
    settings = dataclasses.replace(untracked_config.upper, meta_step="episode", episode_windows=2)
    found = experiments.train(make(upper=settings))
    assert found["upper"] is not None
    assert found["upper"]["meta_steps"] == settings.meta_steps
    assert found["arms"]["learned"] is not None


def test_one_evaluation_seed_is_enough_for_results(
    make: Callable[..., Experiment], untracked_config: ExperimentConfig
) -> None:
    found = experiments.train(make(ablation=dataclasses.replace(untracked_config.ablation, n_seeds=1)))
    assert found["gap_closed"] is None
    assert len(found["arms"]["learned"]["objective"]["per_seed"]) == 1
