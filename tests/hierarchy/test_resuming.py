"""What was cut short anywhere ends, once it is resumed, as what was not: bit for bit, apart from times."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hierarchy import experiment as experiments
from hierarchy.config import ExperimentConfig, TrackingConfig
from hierarchy.experiment import Experiment
from hierarchy.resuming import resume
from hierarchy.storage.folder import NotTrainedError
from hierarchy.study import run_study
from hierarchy.tracking.mlflow_store import open_store, store_uri
from hierarchy.tracking.progress import Silent
from tests.hierarchy.left import TIMES, left_by
from tests.hierarchy.tracking.stored import runs_of
from tests.hierarchy.writes import Writes

pytestmark = pytest.mark.slow

N_PLACES = 3


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Writes:
    return Writes(monkeypatch)


@pytest.fixture
def config(untracked_config: ExperimentConfig) -> ExperimentConfig:
    """Small settings with all that there is: a race, two candidates, all arms; a checkpoint before every rollout."""
    ablation = replace(untracked_config.ablation, flat=True, tuned_static=True)
    upper = replace(untracked_config.upper, from_fixed_best=True)
    return replace(untracked_config, ablation=ablation, upper=upper, checkpoint_s=0.0, executor="inline")


def check_resuming(
    begin: Callable[[Path], object], writes: Writes, root: Path, n_places: int = N_PLACES, first: int = 2
) -> None:
    """Cut what leaves a folder at places all over, and resume it; before the ``first`` there is nothing to go on with."""
    begin(root / "whole")
    whole, n_writes = left_by(root / "whole"), writes.n
    assert n_writes > n_places
    for place in range(n_places):
        out = root / str(place)
        writes.cut(first + place * (n_writes - first) // n_places)
        with pytest.raises(KeyboardInterrupt):
            begin(out)
        resume(out, Silent())
        assert left_by(out) == whole


def test_an_experiment(config: ExperimentConfig, writes: Writes, tmp_path: Path) -> None:
    check_resuming(lambda out: experiments.train(Experiment(config, out, "tiny")), writes, tmp_path)


def test_a_study(config: ExperimentConfig, writes: Writes, tmp_path: Path) -> None:
    check_resuming(lambda out: run_study(config, out, "tiny", 2, Silent()), writes, tmp_path, n_places=2)


FINE_TUNED = {"lower": experiments.train_lower, "upper": experiments.train_upper}


@pytest.fixture
def fine_tune(config: ExperimentConfig, writes: Writes, tmp_path: Path) -> Callable[[str, Path], None]:
    """Fine-tunes the agent of a level of another experiment, the upper one above the lower agent of that."""
    source = tmp_path / "source"
    experiments.train(Experiment(replace(config, seed=7), source, "tiny"))
    writes.cut(-1)

    def begin(name: str, out: Path) -> None:
        if name == "upper":
            out.mkdir()
            shutil.copy(source / "lower.safetensors", out)
        FINE_TUNED[name](Experiment(config, out, "tiny"), source)

    return begin


@pytest.mark.parametrize("name", FINE_TUNED)
def test_fine_tuning(name: str, fine_tune: Callable[[str, Path], None], writes: Writes, tmp_path: Path) -> None:
    check_resuming(lambda out: fine_tune(name, out), writes, tmp_path, first=4)


@pytest.mark.parametrize("name", FINE_TUNED)
def test_fine_tuning_goes_on_without_the_folder_that_it_began_from(
    name: str, fine_tune: Callable[[str, Path], None], writes: Writes, tmp_path: Path
) -> None:
    """What it needs of that is in its own, and refused where it is damaged."""
    fine_tune(name, tmp_path / "whole")
    n_writes = writes.n
    writes.cut(n_writes // 2)
    with pytest.raises(KeyboardInterrupt):
        fine_tune(name, tmp_path / "cut")
    writes.cut(-1)
    shutil.rmtree(tmp_path / "source")
    kept = tmp_path / "cut" / ".progress" / "source.json"
    whole = kept.read_text()
    kept.write_text(whole.replace("acting", "acted"))
    with pytest.raises(NotTrainedError, match=r"and the agent that it began as, got .* with a damaged source\.json$"):
        resume(tmp_path / "cut", Silent())
    kept.write_text(whole)
    resume(tmp_path / "cut", Silent())
    assert left_by(tmp_path / "cut") == left_by(tmp_path / "whole")


def test_who_fine_tunes_another_agent_begins_anew(
    config: ExperimentConfig, writes: Writes, fine_tune: Callable[[str, Path], None], tmp_path: Path
) -> None:
    """The command is the same, and what its folder holds another one."""
    out = tmp_path / "out"
    fine_tune("lower", tmp_path / "whole")
    writes.cut(writes.n - 1)
    with pytest.raises(KeyboardInterrupt):
        fine_tune("lower", out)
    writes.cut(-1)
    experiments.train(Experiment(replace(config, seed=8), tmp_path / "source", "tiny"))
    fine_tune("lower", out)
    again = tmp_path / "again"
    fine_tune("lower", again)
    assert left_by(out) == left_by(again) != left_by(tmp_path / "whole")


def stored(root: Path) -> dict[str, tuple[str, dict[str, list[tuple[int, float]]]]]:
    """Runs of a store by what they are of: how they ended, and every point of every metric but times."""
    client, found = open_store(store_uri(root)), {}
    for run in runs_of(root):
        names = [name for name in run.data.metrics if not name.startswith("timings_s") and name not in TIMES]
        points = {name: client.get_metric_history(run.info.run_id, name) for name in names}
        key = f"{run.data.tags['level']}: {run.info.run_name}, seed {run.data.tags['seed']}"
        assert key not in found, "a run is doubled"
        found[key] = run.info.status, {name: [(one.step, one.value) for one in of] for name, of in points.items()}
    return found


def test_mlflow_shows_one_run_without_gaps_or_doubles(
    config: ExperimentConfig, writes: Writes, tmp_path: Path, empty_store: Path
) -> None:
    config = replace(config, tracking=TrackingConfig())
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
        shutil.copy(empty_store, tmp_path / name / empty_store.name)
    experiments.train(Experiment(config, tmp_path / "whole" / "one", "tiny"))
    n_writes = writes.n
    for part in (0.25, 0.4, 0.9):
        writes.cut(round(part * n_writes / 2))
        with pytest.raises(KeyboardInterrupt):
            experiments.train(Experiment(config, tmp_path / "cut" / "one", "tiny"))
    writes.cut(-1)
    resume(tmp_path / "cut" / "one", Silent())
    assert stored(tmp_path / "cut") == stored(tmp_path / "whole")


def test_who_asks_for_the_same_again_goes_on(config: ExperimentConfig, writes: Writes, tmp_path: Path) -> None:
    config = replace(config, lower=replace(config.lower, timesteps=10 * 32))

    def begin(settings: ExperimentConfig) -> None:
        experiments.train_lower(Experiment(settings, tmp_path, "tiny"))

    writes.cut(6)
    with pytest.raises(KeyboardInterrupt):
        begin(config)
    checkpoints = tmp_path / ".progress" / "lower" / "checkpoints"
    assert list(checkpoints.glob("*.json"))
    numbers = {int(path.stem) for path in checkpoints.glob("*.json")}
    writes.cut(5)
    with pytest.raises(KeyboardInterrupt):
        begin(config)
    assert max(int(path.stem) for path in checkpoints.glob("*.json")) > max(numbers)
    writes.cut(4)
    with pytest.raises(KeyboardInterrupt):
        begin(replace(config, seed=9))
    assert {int(path.stem) for path in checkpoints.glob("*.json")} <= {1}  # others begin anew


def test_there_must_be_something_to_go_on_with(config: ExperimentConfig, tmp_path: Path) -> None:
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(NotTrainedError, match="folder must be one that holds an experiment that was cut short"):
            resume(folder, Silent())
    experiments.train_lower(Experiment(config, tmp_path / "over", "tiny"))
    with pytest.raises(NotTrainedError, match="cut short"):
        resume(tmp_path / "over", Silent())


def test_what_was_cut_short_without_a_comparison_does_not_stand_for_one(
    config: ExperimentConfig, writes: Writes, tmp_path: Path
) -> None:
    """A study completes a folder in which a lower agent alone was being trained."""
    alone, seed = replace(config, lower=replace(config.lower, timesteps=10 * 32)), tmp_path / "seed-0"
    writes.cut(6)
    with pytest.raises(KeyboardInterrupt):
        experiments.train_lower(Experiment(alone, seed, "tiny"))
    writes.cut(-1)
    assert run_study(alone, tmp_path, "tiny", 1, Silent())["arms"]["learned"] is not None
    assert not (seed / ".progress").exists()
