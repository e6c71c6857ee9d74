"""An agent of either level begins as that of another experiment: what it learns from there is whole, kept and told of."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import envs
from envs.core.validation import SettingError
from envs.load_balancing.config import ServerPool
from hierarchy import experiment as experiments
from hierarchy.config import ExperimentConfig, TrackingConfig
from hierarchy.experiment import Experiment
from hierarchy.phases import candidates, fine_tuning, tuning
from hierarchy.phases.candidate import Candidate
from hierarchy.phases.phase import Workspace
from hierarchy.storage.bundle import bundled, write_bundle
from hierarchy.storage.files import read_json
from hierarchy.storage.folder import OutputFolder
from hierarchy.storage.saved import read_saved
from tests.hierarchy.left import left_by
from tests.hierarchy.tracking.stored import runs_of


@pytest.fixture(scope="module")
def config(untracked_config: ExperimentConfig) -> ExperimentConfig:
    """A checkpoint before every rollout; one upper agent."""
    ablation = replace(untracked_config.ablation, oracles=False, heuristics=False, distilled=False)
    upper = replace(untracked_config.upper, candidates=1)
    return replace(untracked_config, ablation=ablation, upper=upper, checkpoint_s=0.0)


@pytest.fixture(scope="module")
def source(config: ExperimentConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of another experiment, of another training seed."""
    out = tmp_path_factory.mktemp("source") / "source"
    experiments.train(Experiment(replace(config, seed=7), out, "tiny"))
    return out


@pytest.fixture(scope="module")
def bundle(source: Path, config: ExperimentConfig) -> Path:
    """Its pair for others."""
    out = source.parent / "bundle"
    write_bundle(bundled(source, replace(config, seed=7)), out)
    return out


@pytest.fixture
def dearer(config: ExperimentConfig) -> ExperimentConfig:
    """Settings of a world that has changed."""
    assert isinstance(config.env, envs.LoadBalancingConfig)
    pool = replace(config.env.pool, price_usd_per_h=[0.4, 0.3], speed=[0.5, 1.0])
    return replace(config, env=replace(config.env, pool=pool))


def arrays_in(path: Path) -> dict[str, np.ndarray]:
    return dict(read_saved(path).arrays)


def differ(one: Path, other: Path) -> bool:
    """Whether agents act otherwise."""
    ours, theirs = arrays_in(one), arrays_in(other)
    return any((ours[name] != theirs[name]).any() for name in ours if name.startswith("acting."))


def origin_of(path: Path, name: str, seed: int = 7) -> dict[str, Any]:
    sha256 = hashlib.sha256((path / f"{name}.safetensors").read_bytes()).hexdigest()
    return {"path": str(path.resolve()), "sha256": sha256, "seed": seed, "mlflow_run": None}


# Both levels.


@pytest.mark.parametrize("kind", ["folder", "bundle"])
def test_both_levels_learn_on_in_a_world_that_has_changed(
    kind: str, source: Path, bundle: Path, dearer: ExperimentConfig, tmp_path: Path
) -> None:
    """What they began as is in their files, and in the results."""
    path, out = source if kind == "folder" else bundle, tmp_path / "out"
    before = left_by(path)
    experiments.train_lower(Experiment(dearer, out, "tiny"), path)
    experiments.train_upper(Experiment(dearer, out, "tiny"), path)
    results: Any = experiments.ablate(Experiment(dearer, out, "tiny"))
    assert left_by(path) == before
    for name in ("lower", "upper"):
        file = out / f"{name}.safetensors"
        assert read_saved(file).description["begun_from"] == origin_of(path, name)
        assert results["begun_from"][name] == origin_of(path, name)
    assert results["arms"]["learned"] is not None
    assert not (out / ".progress").exists()


def test_an_agent_that_began_as_none_has_no_origin(source: Path) -> None:
    assert "begun_from" not in read_saved(source / "lower.safetensors").description
    assert "begun_from" not in read_json(source / "results.json")


class Begun(Exception):  # noqa: N818  # it is no error
    """Tells what an agent has learned before its first step."""


@pytest.mark.parametrize("name", ["lower", "upper"])
def test_it_has_learned_what_the_source_had_before_its_first_step(
    name: str, source: Path, dearer: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[dict[str, np.ndarray]] = []

    def trained(learner: Any, *_: Any, **__: Any) -> int:
        begun.append(dict(learner.saved("agent").arrays))
        raise Begun

    shutil.copy(source / "lower.safetensors", tmp_path)
    monkeypatch.setattr("hierarchy.phases.training.train", trained)
    monkeypatch.setattr("hierarchy.phases.candidate.train", trained)
    train = experiments.train_lower if name == "lower" else experiments.train_upper
    with pytest.raises(Begun):
        train(Experiment(dearer, tmp_path, "tiny"), source)
    wanted = arrays_in(source / f"{name}.safetensors")
    assert begun[0].keys() == wanted.keys()
    for key, array in wanted.items():
        np.testing.assert_array_equal(begun[0][key], array, err_msg=key)


def test_the_origin_is_a_mark_of_every_run(source: Path, config: ExperimentConfig, out_root: Path) -> None:
    tracked = replace(config, tracking=TrackingConfig())
    experiments.train_lower(Experiment(tracked, out_root / "out", "tiny"), source)
    origin = origin_of(source, "lower")
    for run in runs_of(out_root):
        assert run.data.tags["begun_from"] == origin["path"]
        assert run.data.tags["begun_from_sha256"] == origin["sha256"]
        assert run.data.tags["begun_from_seed"] == "7"
        assert run.data.tags["seed"] == "0"
        assert "begun_from_mlflow_run" not in run.data.tags
    assert len(runs_of(out_root)) == 2


def test_an_equivariant_agent_begins_as_one_of_another_number_of_servers(config: ExperimentConfig, tmp_path: Path) -> None:
    config = replace(config, lower=replace(config.lower, policy="equivariant"))  # type: ignore[call-arg]  # of all of them
    experiments.train_lower(Experiment(config, tmp_path / "two", "tiny"))
    lists = {name: [1.0, 1.0, 2.0] for name in ("speed", "price_usd_per_h", "memory_gb")}
    assert isinstance(config.env, envs.LoadBalancingConfig)
    three = replace(config, env=replace(config.env, pool=ServerPool(cores=[2, 1, 1], **lists)))
    experiments.train_lower(Experiment(three, tmp_path / "three", "tiny"), tmp_path / "two")
    assert read_saved(tmp_path / "three" / "lower.safetensors").description["form"]["n_parts"] == 3


# What is refused, before anything is written.


def lower_of(config: ExperimentConfig, out: Path, path: Path) -> None:
    experiments.train_lower(Experiment(config, out, "tiny"), path)


def upper_of(config: ExperimentConfig, out: Path, path: Path) -> None:
    experiments.train_upper(Experiment(config, out, "tiny"), path)


WIDER = r"safetensors must be an agent whose networks have the same form, got one with \w+ "


@pytest.mark.parametrize(
    ("train", "part", "change", "told"),
    [
        (lower_of, "lower", {"hidden_size": 9}, WIDER),
        (lower_of, "lower", {"normalise_observations": True}, WIDER + "False, not True"),
        (lower_of, "lower", {"clip_reward": 1.0}, "got without returns"),
        (upper_of, "upper", {"hidden_size": 9}, WIDER),
    ],
    ids=["lower, wider", "lower, normalised", "lower, clipped", "upper, wider"],
)
def test_settings_that_the_source_does_not_fit_are_refused(
    train: Callable[..., None],
    part: str,
    change: dict[str, Any],
    told: str,
    source: Path,
    config: ExperimentConfig,
    tmp_path: Path,
) -> None:
    out = shutil.copytree(source, tmp_path / "out")
    before = left_by(out)
    changed = replace(config, **{part: replace(getattr(config, part), **change)})
    with pytest.raises(SettingError, match=told) as error:
        train(changed, out, source)
    assert "\n" not in str(error.value)
    assert left_by(out) == before


@pytest.mark.parametrize("train", [lower_of, upper_of])
def test_what_is_begun_from_stays_as_it_is(train: Callable[..., None], source: Path, config: ExperimentConfig) -> None:
    with pytest.raises(SettingError, match=r"^out must be another folder than that of from, which stays as it is, got "):
        train(config, source, source / ".." / source.name)


# Candidates of the upper level.


@pytest.fixture
def workspace(source: Path, tmp_path: Path) -> Callable[[ExperimentConfig], Workspace]:
    """Makes the workspace of an experiment that fine-tunes the upper agent of the source above its lower one."""

    def make(config: ExperimentConfig) -> Workspace:
        folder = OutputFolder(tmp_path / "out")
        folder.path.mkdir(exist_ok=True)
        shutil.copy(source / "lower.safetensors", folder.path)
        work = Workspace(config, folder)
        fine_tuning.begin_upper(work, source)
        return work

    return make


@pytest.mark.parametrize(("from_fixed_best", "ahead_windows"), [(False, 0), (True, 0), (True, 2)])
def test_the_source_is_a_candidate_as_it_is(
    from_fixed_best: bool,
    ahead_windows: int,
    config: ExperimentConfig,
    workspace: Callable[..., Workspace],
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last; what is trained begins as it instead of at any mix, and the fixed one is a candidate where it is found."""
    upper = replace(config.upper, candidates=2, from_fixed_best=from_fixed_best, ahead_windows=ahead_windows)
    work = workspace(replace(config, upper=upper))
    n_fixed = int(from_fixed_best)
    worths = iter([*n_fixed * [0.0], 9.0, 1.0, 2.0])  # the mix, the source, those that are trained
    monkeypatch.setattr(Candidate, "judged", lambda one, *_: one._replace(objective=next(worths)))
    candidates.choose(work)
    assert work.upper is not None
    ones = work.upper["candidates"]
    assert [one["meta_steps"] for one in ones] == [12, 12, *n_fixed * [0], 0]
    assert [one["kept"] for one in ones] == [False, False, *n_fixed * [False], True]
    kept, wanted = arrays_in(work.folder.agent("upper")), arrays_in(source / "upper.safetensors")
    for name, array in wanted.items():
        np.testing.assert_array_equal(kept[name], array, err_msg=name)
    assert read_saved(work.folder.agent("upper")).description["begun_from"] == origin_of(source, "upper")


def test_a_fixed_mix_that_is_kept_began_as_no_other_agent(
    config: ExperimentConfig, workspace: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = workspace(replace(config, upper=replace(config.upper, from_fixed_best=True)))
    worths = iter([9.0, 1.0, 2.0])
    monkeypatch.setattr(Candidate, "judged", lambda one, *_: one._replace(objective=next(worths)))
    candidates.choose(work)
    assert "begun_from" not in read_saved(work.folder.agent("upper")).description


def test_a_single_candidate_is_held_against_the_source(
    config: ExperimentConfig, workspace: Callable[..., Workspace]
) -> None:
    """All that is run for it is counted."""
    work = workspace(config)
    candidates.choose(work)
    assert work.upper is not None
    assert all(one["objective"] is not None for one in work.upper["candidates"])
    assert work.upper["lower_steps"] == (12 + 2 * 2 * 3) * config.upper.meta_period
    assert candidates.work_of(config, fine_tunes=True).total == 12 + 2 * 2 * 3
    best = max(one["objective"] for one in work.upper["candidates"])  # type: ignore[type-var]  # there are some
    (kept,) = (one for one in work.upper["candidates"] if one["kept"])
    assert kept["objective"] == best


# The rule that is guided.


@pytest.fixture(scope="module")
def guided(config: ExperimentConfig) -> ExperimentConfig:
    assert isinstance(config.env, envs.LoadBalancingConfig)
    actions = replace(config.env.actions, mode="guided", every_steps=2)
    return replace(
        config, env=replace(config.env, actions=actions, backends="class"), lower=replace(config.lower, n_steps=8)
    )


@pytest.mark.parametrize("given", [False, True])
def test_the_rule_of_the_source_is_guided(given: bool, guided: ExperimentConfig, tmp_path: Path) -> None:
    """Whether it was tuned there or its numbers given; nothing is tuned, and later phases go on with it."""
    source, out, settings = tmp_path / "source", tmp_path / "out", guided
    experiments.train_lower(Experiment(settings, source, "tiny"))
    if given:
        rule = envs.base_rule(tuning.recall(guided, OutputFolder(source)).env)
        assert rule is not None
        settings = replace(
            guided, env=envs.with_numbers(guided.env, rule.candidates[0], {**rule.numbers, "hold_off_s_0": 1.25})
        )
        experiments.train_lower(Experiment(settings, source, "tiny"))
    wanted = envs.base_rule(tuning.recall(guided, OutputFolder(source)).env)
    assert wanted is not None
    assert wanted.numbers
    changed = replace(guided, ablation=replace(guided.ablation, n_trials=3), seed=4)  # a search would find others
    lower_of(changed, out, source)
    assert not (out / "rule.json").exists()
    assert envs.base_rule(tuning.recall(changed, OutputFolder(out)).env) == wanted
    assert envs.base_rule(tuning.config_of(out).env) == wanted
