"""Of upper agents with seeds of their own the best on selection seeds is kept, wherever they are trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import envs
from envs.core.validation import SettingError
from hierarchy.arms import beginnings, gated
from hierarchy.arms.learned import start_learned
from hierarchy.arms.running import Batch, play
from hierarchy.arms.start import Agents
from hierarchy.arms.tuning import n_seeds_met
from hierarchy.building import candidates as building
from hierarchy.building.memory import fitted
from hierarchy.building.upper import Beginning, build
from hierarchy.config import ExperimentConfig
from hierarchy.executors import Executor
from hierarchy.executors.inline import Inline
from hierarchy.executors.processes import Processes
from hierarchy.nets.context_network import form_of
from hierarchy.pair import Held
from hierarchy.phases import candidate, candidates
from hierarchy.phases.candidate import Candidate
from hierarchy.phases.phase import Workspace
from hierarchy.storage import agents
from hierarchy.storage.folder import OutputFolder
from hierarchy.storage.ledger import Ledger
from hierarchy.storage.saved import read_saved
from hierarchy.tracking.sinks import Sink
from hierarchy.upper.memory.belief import BeliefConfig
from hierarchy.upper.memory.none import NoMemory
from tests.hierarchy.conftest import large_lower
from tests.hierarchy.lower.test_figures import Kept

N = 3
FILES = {"lower.safetensors", "upper.safetensors"}


class Noted(Sink):
    """Keeps what it is handed; may interrupt after so many units of work."""

    def __init__(self, interrupt_at: int | None = None) -> None:
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.n_done = 0
        self._interrupt_at = interrupt_at

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        self.logged.append((step, dict(values)))

    def advance(self, n: int) -> None:
        self.n_done += n
        if self._interrupt_at is not None and self.n_done > self._interrupt_at:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def config(tiny_config: ExperimentConfig) -> ExperimentConfig:
    return replace(tiny_config, upper=replace(tiny_config.upper, candidates=N))


@pytest.fixture
def workspace(tmp_path: Path) -> Callable[..., Workspace]:
    """Makes the workspace of an experiment whose lower agent follows its context."""

    def make(config: ExperimentConfig, sink: Sink, executor: Executor | None = None) -> Workspace:
        agents.save(large_lower(config), OutputFolder(tmp_path).agent("lower"), config)
        return Workspace(config, OutputFolder(tmp_path), sink=sink, executor=executor or Inline())

    return make


def alone(config: ExperimentConfig, folder: OutputFolder, seed: int) -> tuple[Any, Kept, float]:
    """A candidate that is trained by itself, its figures, and its objective on selection seeds."""
    lower = agents.load_lower(folder, config)
    learner, kept = build(config, lower, seed), Kept()
    learner.learn(config.upper.meta_steps, kept)
    batch = Batch(config.env, "select", candidate.seeds_of(config), config.ablation.select_windows)
    episodes = play(config, Agents(lower, learner.actor), {}, start_learned, batch)
    return learner, kept, float(episodes.objective.mean())


def are_equal(path: Path, learner: Any) -> bool:
    """Whether a saved agent has the parameters of another one."""
    saved = read_saved(path).arrays
    return all(np.array_equal(saved[name], value) for name, value in learner.saved("other").arrays.items())


def test_seeds_are_drawn_from_that_of_the_settings_which_is_the_first(config: ExperimentConfig) -> None:
    def seeds(seed: int, n: int) -> list[int]:
        return building.seeds(replace(config, seed=seed, upper=replace(config.upper, candidates=n)))

    assert seeds(7, 1) == [7]
    assert seeds(7, 5)[:3] == seeds(7, 3)
    every = [one for seed in range(20) for one in seeds(seed, 5)]
    assert len(set(every)) == len(every)


def test_the_best_on_selection_seeds_is_kept_with_its_figures(
    config: ExperimentConfig, workspace: Callable[..., Workspace]
) -> None:
    sink = Noted()
    work = workspace(config, sink)
    candidates.choose(work)
    folder, seeds = work.folder, building.seeds(config)
    ones = [alone(config, folder, seed) for seed in seeds]
    objectives = [objective for *_, objective in ones]
    best = int(np.argmax(objectives))
    assert best > 0, "another than the first must be best for this to be a test"
    assert objectives.count(objectives[best]) == 1
    assert {path.name for path in folder.path.iterdir()} == FILES
    assert [are_equal(folder.agent("upper"), learner) for learner, *_ in ones] == [n == best for n in range(N)]
    assert work.upper is not None
    assert work.upper["candidates"] == [
        {"seed": seed, "meta_steps": config.upper.meta_steps, "objective": objective, "beyond": 0.0, "kept": n == best}
        for n, (seed, objective) in enumerate(zip(seeds, objectives, strict=True))
    ]
    *first, (_, last) = sink.logged
    expected = ones[best][1].metrics
    assert [one[0] for one in sink.logged] == [one[0] for one in expected]
    assert [values["upper/objective"] for _, values in sink.logged] == [one["upper/objective"] for _, one in expected]
    assert [last[f"upper/candidate_objective/{n}"] for n in range(N)] == objectives
    assert not any("upper/candidate_objective/0" in values for _, values in first)


def test_all_work_is_shown_and_counted_in_lower_steps(config: ExperimentConfig, workspace: Callable[..., Workspace]) -> None:
    sink = Noted()
    work = workspace(config, sink)
    candidates.choose(work)
    per_candidate = 12 + 2 * 3  # meta steps of training, and windows on selection seeds
    assert sink.n_done == candidates.work_of(config).total == N * per_candidate
    assert work.upper is not None
    assert work.upper["lower_steps"] == building.n_lower_steps(config) == N * per_candidate * config.upper.meta_period
    assert building.n_beside(config) == (N - 1) * per_candidate * config.upper.meta_period


def remembering(config: ExperimentConfig) -> ExperimentConfig:
    return replace(config, upper=replace(config.upper, memory=BeliefConfig(n_regimes=2, fit_episodes=3)))


def test_all_candidates_remember_by_what_was_fitted_once_and_is_counted_once(
    config: ExperimentConfig, workspace: Callable[..., Workspace]
) -> None:
    """A fixed mix that stays as it begins among them; and what comes before or after an interruption is the same."""
    config = remembering(replace(config, upper=replace(config.upper, from_fixed_best=True)))
    config = replace(config, upper=replace(config.upper, ahead_windows=2))
    sink = Noted()
    work = workspace(config, sink)
    candidates.choose(work)
    assert work.upper is not None
    raced = work.found["race"].n_lower_steps
    fitting = 3 * config.upper.episode_windows * config.upper.meta_period
    plain = replace(config, upper=replace(config.upper, memory=NoMemory()))
    assert work.upper["lower_steps"] == building.n_lower_steps(config) + raced
    assert building.n_lower_steps(config) == building.n_lower_steps(plain) + fitting
    assert sink.n_done == candidates.work_of(config).total
    expected = fitted(config, agents.load_lower(work.folder, config))
    saved = read_saved(work.folder.agent("upper"))
    assert expected is not None
    for name, buffer in expected.named_buffers():
        assert_array_equal(saved.arrays[f"acting.memory.{name}"], buffer)


def test_what_was_fitted_before_an_interruption_is_not_fitted_again(
    config: ExperimentConfig, workspace: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = remembering(config)
    work = workspace(config, Noted())
    work.ledger = Ledger(tmp_path / "ledger")
    first = candidates.Training(work, Noted(), tmp_path, building.seeds(config))
    monkeypatch.setattr(candidates.memories, "fitted", None)
    again = candidates.Training(work, Noted(), tmp_path, building.seeds(config))
    assert first._memory is not None
    assert again._memory is not None
    assert again._memory.is_fitted
    for one, other in zip(first._memory.buffers(), again._memory.buffers(), strict=True):
        assert_array_equal(one, other)


def test_workers_train_the_same_candidates(config: ExperimentConfig, workspace: Callable[..., Workspace]) -> None:
    results, sinks, saved = [], [Noted(), Noted()], []
    with Processes(n_workers=2) as processes:
        for executor, sink in zip((Inline(), processes), sinks, strict=True):
            work = workspace(config, sink, executor)
            candidates.choose(work)
            assert work.upper is not None
            results.append(work.upper)
            saved.append(read_saved(work.folder.agent("upper")))
    assert results[0]["candidates"] == results[1]["candidates"]
    assert sinks[0].n_done == sinks[1].n_done
    assert {name: array.tobytes() for name, array in saved[0].arrays.items()} == {
        name: array.tobytes() for name, array in saved[1].arrays.items()
    }


def test_a_single_candidate_is_kept_unseen(config: ExperimentConfig, workspace: Callable[..., Workspace]) -> None:
    config, sink = replace(config, upper=replace(config.upper, candidates=1)), Noted()
    work = workspace(config, sink)
    candidates.choose(work)
    assert sink.n_done == candidates.work_of(config).total == config.upper.meta_steps
    assert work.upper is not None
    assert work.upper["candidates"] == [
        {"seed": config.seed, "meta_steps": config.upper.meta_steps, "objective": None, "beyond": 0.0, "kept": True}
    ]
    assert work.upper["lower_steps"] == config.upper.meta_steps * config.upper.meta_period
    assert not any(name.startswith("upper/candidate") for _, values in sink.logged for name in values)


def test_candidates_that_were_done_before_an_interrupt_are_not_trained_again(
    config: ExperimentConfig, workspace: Callable[..., Workspace], tmp_path: Path
) -> None:
    """What is kept, and which figures are shown, is as if there had been none."""
    whole, sink = workspace(config, Noted()), Noted(interrupt_at=12 + 6 + 5)  # in the middle of the second
    candidates.choose(whole)
    cut, ledger = workspace(config, sink), Ledger(tmp_path / "ledger")
    cut.ledger = ledger
    with pytest.raises(KeyboardInterrupt):
        candidates.choose(cut)
    again = Noted()
    rest = workspace(config, again)
    rest.ledger = ledger
    drafts = tmp_path / "ledger" / "drafts"
    before = (drafts / "0.safetensors").stat().st_mtime_ns
    candidates.choose(rest)
    assert whole.upper is not None
    assert rest.upper is not None
    assert rest.upper["candidates"] == whole.upper["candidates"]
    assert (drafts / "0.safetensors").stat().st_mtime_ns == before
    assert again.n_done == candidates.work_of(config).total


def test_one_that_sets_the_best_fixed_mix_is_a_candidate(
    config: ExperimentConfig, workspace: Callable[..., Workspace]
) -> None:
    """The last, and never trained; all others begin there. Arms need not search for the mix again."""
    config = replace(config, upper=replace(config.upper, from_fixed_best=True))
    sink = Noted()
    work = workspace(config, sink)
    candidates.choose(work)
    assert set(work.found) == {"race", "fixed_best"}
    spec, lower = envs.describe(config.env), agents.load_lower(work.folder, config)
    mix = work.found["fixed_best"].mix(spec.terms)
    batch = Batch(config.env, "select", candidate.seeds_of(config), config.ablation.select_windows)
    fixed = play(config, Agents(lower), {}, lambda start: start.pair(Held(mix)), batch).objective.mean()
    assert work.upper is not None
    *trained, last = work.upper["candidates"]
    assert len(trained) == N
    assert last["objective"] == pytest.approx(fixed, abs=1e-9)
    assert last["kept"], "of equal ones, and there are some"
    assert last["objective"] == max(one["objective"] for one in work.upper["candidates"])  # type: ignore[type-var]
    per_candidate = 12 + 2 * 3
    raced = work.found["race"].n_lower_steps
    expected = (N * per_candidate + 2 * 3) * config.upper.meta_period
    assert work.upper["lower_steps"] == building.n_lower_steps(config) + raced == expected + raced
    assert sink.n_done == candidates.work_of(config).total


@pytest.mark.parametrize(("n_trial_seeds", "n_select_seeds"), [(2, 2), (2, 30), (30, 2)])
def test_candidates_and_the_gate_choose_on_seeds_that_no_other_choice_met(
    config: ExperimentConfig, n_trial_seeds: int, n_select_seeds: int
) -> None:
    ablation = replace(config.ablation, n_trial_seeds=n_trial_seeds, n_select_seeds=n_select_seeds)
    config = replace(config, ablation=ablation)
    met, of_gate, ours = n_seeds_met(config), set(gated.seeds_of(config)), set(candidate.seeds_of(config))
    assert len(of_gate) == n_select_seeds
    assert len(ours) == config.upper.candidate_seeds
    assert min(of_gate | ours) >= max(met, n_select_seeds)
    assert not ours & of_gate


def test_the_fixed_mix_is_kept_where_nobody_is_better(
    config: ExperimentConfig, workspace: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no figures of training, and no speed."""
    config = replace(config, upper=replace(config.upper, from_fixed_best=True))
    work, worths = workspace(config, Noted()), iter([0.0, -1.0, -2.0, -3.0])
    monkeypatch.setattr(Candidate, "judged", lambda one, *_: one._replace(objective=next(worths)))
    candidates.choose(work)
    assert work.upper is not None
    assert [one["kept"] for one in work.upper["candidates"]] == [False] * N + [True]
    assert work.upper["meta_steps"] == 0
    assert work.upper["lower_steps_per_s"] > 0
    kept: Any = agents.load_upper(work.folder, config)
    mix = work.found["fixed_best"].mix(envs.describe(config.env).terms)
    contexts = kept.act(np.random.default_rng(0).normal(size=(4, *form_of(kept.module, 1).sizes[:1])).astype(np.float32))
    np.testing.assert_allclose(contexts, np.broadcast_to(mix, (4, 3)), atol=1e-6)


def test_a_candidate_within_the_bounds_is_kept_before_a_better_one_beyond_them(
    config: ExperimentConfig, workspace: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    work, worths = workspace(config, Noted()), iter([(9.0, 0.1), (1.0, 0.0), (2.0, 0.0)])

    def judged(one: Candidate, *_: Any) -> Candidate:
        objective, beyond = next(worths)
        return one._replace(objective=objective, beyond=beyond)

    monkeypatch.setattr(Candidate, "judged", judged)
    candidates.choose(work)
    assert work.upper is not None
    assert [one["kept"] for one in work.upper["candidates"]] == [False, False, True]


def test_one_that_begins_with_a_mix_for_every_state_is_a_candidate_too(
    config: ExperimentConfig, workspace: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of all; those that are trained begin like it, and learn with a twin under the fixed mix."""
    config = replace(config, upper=replace(config.upper, from_fixed_best=True, ahead_windows=2))
    begun: list[Beginning] = []

    def examples_of(raced: Any, places: Any, spec: Any, ahead: int, seed: int, memory: Any) -> tuple[np.ndarray, np.ndarray]:
        assert (spec.terms, ahead, seed, memory) == (("fairness", "latency", "cost"), 2, config.seed, None)
        observed = raced.windows[places[0]].observations
        observed = observed.reshape(-1, observed.shape[-1])
        return observed, np.tile([0.1, 0.7, 0.2], (len(observed), 1))

    def noted(config: Any, lower: Any, seed: int, beginning: Beginning, memory: Any) -> Any:
        begun.append(beginning)
        return build(config, lower, seed, beginning, memory)

    monkeypatch.setattr(beginnings, "examples_of", examples_of)
    monkeypatch.setattr(candidate, "build", noted)
    sink = Noted()
    work = workspace(config, sink)
    candidates.choose(work)
    assert [one.examples is None for one in begun] == [True, False] + N * [False]
    assert work.upper is not None
    assert [one["meta_steps"] for one in work.upper["candidates"]] == N * [config.upper.meta_steps] + [0, 0]
    assert sum(one["kept"] for one in work.upper["candidates"]) == 1
    raced = work.found["race"].n_lower_steps
    assert work.found["race"].windows == [], "nobody else learns from them"
    assert work.upper["lower_steps"] == building.n_lower_steps(config) + raced
    assert building.n_lower_steps(config) == (N * (12 + 2 * 3) + 2 * 2 * 3) * config.upper.meta_period
    assert sink.n_done == candidates.work_of(config).total


def test_without_a_race_or_without_windows_there_is_nothing_to_learn_from(config: ExperimentConfig) -> None:
    with pytest.raises(SettingError, match=r"^ahead_windows must be 0 without from_fixed_best, got 3$"):
        replace(config.upper, ahead_windows=3)
    with pytest.raises(SettingError, match=r"^ahead_windows must be 0 where a meta step is an episode, got 3$"):
        replace(config.upper, from_fixed_best=True, ahead_windows=3, meta_step="episode")
