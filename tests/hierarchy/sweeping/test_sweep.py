"""A sweep's trials are whole experiments on selection seeds; killed anywhere and gone on with, it ends as if let be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envs.core.finite import NonFiniteError
from envs.core.rng import Role
from envs.core.validation import SettingError
from hierarchy.arms import gated, running
from hierarchy.arms.tuning import n_seeds_met
from hierarchy.config import ExperimentConfig
from hierarchy.phases import candidate, candidates, scoring
from hierarchy.stopping import PrunedError
from hierarchy.sweeping import trial as trials
from hierarchy.sweeping.running import run_sweep
from hierarchy.sweeping.space import Choices
from hierarchy.sweeping.storage import Ended
from hierarchy.sweeping.sweep import Sweep, check_folder
from hierarchy.sweeping.trial import Trial, forget, run_trial
from hierarchy.tracking.progress import Silent
from runs.settings.space import sweep_of
from tests.hierarchy.sweeping.swept import agents_of, small, sweep_from, trials_of
from tests.hierarchy.writes import Writes

pytestmark = pytest.mark.slow

N = 3


@pytest.fixture(scope="module")
def config(untracked_config: ExperimentConfig) -> ExperimentConfig:
    return small(untracked_config)


@pytest.fixture(scope="module")
def whole(config: ExperimentConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that was let be."""
    out = tmp_path_factory.mktemp("sweep") / "whole"
    run_sweep(sweep_from(config, N), out, Silent())
    return out


def first_trial(config: ExperimentConfig, out: Path) -> Trial:
    return Trial(0, config, out / "trial-0", "tiny", None)


def nobody(rung: int, objective: float) -> None:
    pass


def test_every_trial_is_there_once_and_the_best_has_the_highest_objective(whole: Path) -> None:
    found = trials_of(whole)
    assert [one["number"] for one in found] == list(range(N))
    assert all((whole / f"trial-{n}" / "lower.safetensors").is_file() for n in range(N))
    objectives = {one["number"]: one["objective"] for one in found if one["state"] == "complete"}
    best = json.loads((whole / "trials.json").read_text())["best"]
    assert objectives[best] == max(objectives.values())
    assert len(set(objectives.values())) > 1, "trials should differ"


def test_trials_are_scored_on_selection_seeds_that_no_choice_has_met(
    config: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played: list[tuple[Role, list[int]]] = []
    made = running.simulation

    def seen(config: ExperimentConfig, role: Role, env_ids: list[int], *others: object) -> object:
        played.append((role, list(env_ids)))
        return made(config, role, env_ids, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(running, "simulation", seen)
    run_trial(first_trial(config, tmp_path), nobody)
    assert {role for role, _ in played} == {"select"}
    *choices, (_, scored) = played
    assert scored == list(scoring.seeds_of(config))
    met = {seed for _, seeds in choices for seed in seeds} | set(range(n_seeds_met(config))) | set(gated.seeds_of(config))
    assert set(candidate.seeds_of(config)) <= met
    assert not set(scored) & met


def test_a_trial_that_is_not_worth_the_rest_ends_at_its_rung(config: ExperimentConfig, tmp_path: Path) -> None:
    rungs: list[int] = []

    def judged(rung: int, objective: float) -> None:
        rungs.append(rung)
        raise PrunedError

    trial = first_trial(config, tmp_path)
    assert run_trial(trial, judged) == Ended()
    assert rungs == [1]
    assert not (trial.folder / "upper.safetensors").exists()
    forget(trial.folder)
    assert not (trial.folder / ".progress").exists()


def test_rungs_are_what_the_best_candidate_so_far_is_worth(
    config: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of those within their bounds."""
    worth, train_one = iter([(0.2, 0.0), (0.9, 0.5), (0.1, 0.0), (0.3, 0.0)]), candidates.train_one

    def scripted(*given: Any) -> candidate.Candidate:
        objective, beyond = next(worth)
        return train_one(*given)._replace(objective=objective, beyond=beyond)

    monkeypatch.setattr(candidates, "train_one", scripted)
    told: dict[int, float] = {}
    four = replace(config, upper=replace(config.upper, candidates=4))
    run_trial(first_trial(four, tmp_path), lambda rung, objective: told.update({rung: objective}))
    assert told == {1: 0.2, 2: 0.2, 3: 0.2, 4: 0.3}


def test_a_trial_that_diverges_has_failed_and_others_go_on(
    config: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Diverging(trials.Experiment):
        def run(self, *given: object, **named: object) -> None:
            if self.out.name == "trial-0":
                raise NonFiniteError("the loss is no number")
            return super().run(*given, **named)  # type: ignore[arg-type, return-value]

    monkeypatch.setattr(trials, "Experiment", Diverging)
    found = run_sweep(sweep_from(config, 2), tmp_path / "out", Silent())
    assert [(one["state"], one["why"]) for one in found["trials"]] == [("failed", "the loss is no number"), ("complete", "")]
    assert found["best"] == 1


def test_cut_short_again_and_again_it_ends_as_one_that_was_let_be(
    config: ExperimentConfig, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes, out = Writes(monkeypatch), tmp_path / "out"
    said: list[str] = []
    while True:
        writes.cut(23)
        try:
            run_sweep(sweep_from(config, N), out, Silent())
        except KeyboardInterrupt as interrupt:
            said.append(str(interrupt))
        else:
            break
    assert len(said) >= N
    assert set(said) == {f"metabalance resume {out} goes on"}
    assert (out / "trials.json").read_bytes() == (whole / "trials.json").read_bytes()
    assert (out / "best.yaml").read_bytes() == (whole / "best.yaml").read_bytes()
    assert agents_of(out) == agents_of(whole)
    assert not list(out.rglob(".progress"))


def test_side_by_side_every_trial_is_there_once(config: ExperimentConfig, tmp_path: Path) -> None:
    """All processes tell one storage of their rungs."""
    out = tmp_path / "out"
    found = run_sweep(sweep_from(replace(config, executor="processes"), N), out, Silent())
    assert [one["number"] for one in found["trials"]] == list(range(N))
    assert all(one["rungs"] for one in found["trials"])
    assert {one["state"] for one in found["trials"]} <= {"complete", "pruned"}
    assert all((out / f"trial-{n}" / "lower.safetensors").is_file() for n in range(N))


def test_more_trials_go_on_from_those_that_are_there(config: ExperimentConfig, whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    agents = agents_of(out)
    found = run_sweep(sweep_from(config, N + 1), out, Silent())
    assert found["trials"][:N] == trials_of(whole)
    assert len(found["trials"]) == N + 1
    assert {name: agents_of(out)[name] for name in agents} == agents


OTHERS: dict[str, tuple[Callable[[Sweep], Sweep], str]] = {
    "space": (lambda one: sweep_of({"lower.n_steps": Choices([8])}, one.base, "tiny", N), "a sweep of space"),
    "preset": (lambda one: replace(one, preset="other"), "a sweep of preset other"),
    "setting": (
        lambda one: replace(one, base=replace(one.base, lower=replace(one.base.lower, gamma=0.5))),
        r"a sweep with lower\.gamma 0\.5",
    ),
    "seed": (lambda one: replace(one, base=replace(one.base, seed=5)), "a sweep with seed 5"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_sweep_is_refused_in_the_folder(name: str, config: ExperimentConfig, whole: Path) -> None:
    change, said = OTHERS[name]
    with pytest.raises(SettingError, match=rf"^out must be empty or {said}"):
        check_folder(change(sweep_from(config, N)), whole)
    check_folder(sweep_from(replace(config, executor="processes", threads=2), N + 5), whole)


def test_a_folder_of_an_experiment_is_refused(config: ExperimentConfig, whole: Path) -> None:
    with pytest.raises(SettingError, match=r"^out must be a folder that holds no experiment"):
        check_folder(sweep_from(config, N), whole / "trial-0")


def test_episodes_on_selection_seeds_last_as_long_whatever_a_window_is(config: ExperimentConfig) -> None:
    space = {"upper.meta_period": Choices([2, 4, 8]), "env.dt_s": Choices([0.5, 1.0])}
    sweep = sweep_of(space, replace(config, ablation=replace(config.ablation, select_windows=8)), "tiny", N)
    seconds = set()
    for period in (2, 4, 8):
        for dt_s in (0.5, 1.0):
            made = sweep.config_of({"upper.meta_period": period, "env.dt_s": dt_s})
            seconds.add(made.ablation.select_windows * made.upper.meta_period * made.env.dt_s)
    assert seconds == {8 * config.upper.meta_period * config.env.dt_s}
