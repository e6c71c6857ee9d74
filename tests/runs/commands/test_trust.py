"""No command imports the factory that a folder names unless the user trusts it, or has named it himself."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envs import ComposedConfig
from envs.core.validation import SettingError
from hierarchy import experiment
from hierarchy.config import ExperimentConfig
from hierarchy.experiment import PHASES, WHOLE, Experiment
from hierarchy.phases.phase import RESULTS
from hierarchy.storage.files import plain_settings
from hierarchy.storage.folder import CONFIG_NAME, JOURNAL_NAME, NotTrainedError, OutputFolder, seed_folder
from hierarchy.storage.ledger import Ledger
from hierarchy.storage.trained import config_of
from hierarchy.study import run_seed
from runs.cli import main, parse
from runs.settings.experiment import experiment_of
from runs.studies import STUDIES, suite

Capture = pytest.CaptureFixture[str]
OURS, THEIRS = "tests.envs.walks:make", "sent_along:make"
"""A factory of the user's own, and one that came with the folder: the same world."""
CODE = "from pathlib import Path\n\nfrom tests.envs.walks import make\n\nPath('imported').touch()\n"
FLAG = "--trust-factory"
LINE = f"env.factory must be trusted with {FLAG} (in Python trusts_factory=True) where a folder names it, got {THEIRS}"
OVER_FOLDERS = [name for name, about in STUDIES.items() if about.preset is None]
OVER_PRESETS = [name for name in STUDIES if name not in OVER_FOLDERS]
TAKEN = {
    "evaluate": ["evaluate", "sent"],
    "evaluate in another world": ["evaluate", "sent", "--env.dt_s", "2"],
    "explain": ["explain", "sent"],
    "report": ["report", "sent"],
    "resume": ["resume", "sent"],
    "train-lower from it": ["train-lower", "--from", "sent", "--out", "mine"],
    "train-upper": ["train-upper", "--out", "sent"],
    "ablate": ["ablate", "--out", "sent"],
    "ablate over seeds": ["ablate", "--out", "sent", "--seeds", "1"],
    "study": ["study", "upper_seeds", "sent"],
}
"""Command lines that take their settings from the folder."""


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def with_factory(config: ExperimentConfig, factory: str) -> ExperimentConfig:
    return dataclasses.replace(config, env=ComposedConfig(factory=factory, episode_steps=16))


@pytest.fixture(scope="module")
def config(untracked_config: ExperimentConfig) -> ExperimentConfig:
    """Settings of a world that the user composed."""
    upper = dataclasses.replace(untracked_config.upper, from_fixed_best=True)
    return with_factory(dataclasses.replace(untracked_config, upper=upper, executor="inline"), OURS)


@pytest.fixture(scope="module")
def finished(config: ExperimentConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny experiment in that world."""
    out = tmp_path_factory.mktemp("finished") / "out"
    experiment.train(Experiment(config, out, "tiny"))
    return out


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], bool]]:
    """Whether the code in the current folder, which came along, was run."""
    (tmp_path / f"{THEIRS.partition(':')[0]}.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    yield (tmp_path / "imported").exists
    sys.modules.pop(THEIRS.partition(":")[0], None)


@pytest.fixture
def sent(finished: Path, config: ExperimentConfig, tmp_path: Path, imported: object) -> Path:
    """The folder as somebody may have sent it: finished, cut short, tracked, and naming code of theirs."""
    folder = OutputFolder(shutil.copytree(finished, tmp_path / "sent"))
    theirs = with_factory(config, THEIRS)
    folder.save_config("tiny", theirs)
    folder.journal.touch()
    begun = Experiment(theirs, folder.path, "tiny").workspace().get_state()
    whole = {"phases": ["compiling", "lower"], "preset": "tiny", "study_run": None, **begun}
    Ledger(folder.progress, RESULTS).put(WHOLE, whole)
    return folder.path


# What takes its settings from the folder.


@pytest.mark.parametrize("words", TAKEN.values(), ids=TAKEN)
def test_a_command_refuses_the_factory_of_a_folder(
    refused: Callable[..., str], sent: Path, imported: Callable[[], bool], words: list[str]
) -> None:
    assert refused(*words) == LINE
    assert not imported()


@pytest.mark.parametrize("words", TAKEN.values(), ids=TAKEN)
def test_a_command_imports_it_where_it_is_trusted(sent: Path, imported: Callable[[], bool], words: list[str]) -> None:
    assert run(*words, FLAG) == 0
    assert imported()


@pytest.mark.parametrize("name", OVER_FOLDERS)
def test_every_study_of_a_folder_does_both(
    refused: Callable[..., str], sent: Path, imported: Callable[[], bool], capsys: Capture, name: str
) -> None:
    assert refused("study", name, sent) == LINE
    assert not imported()
    run("study", name, sent, FLAG)
    assert imported()
    assert FLAG not in capsys.readouterr().err, "what else may not suit a study is another matter"


@pytest.mark.parametrize("name", OVER_PRESETS)
def test_a_study_of_a_preset_takes_no_settings_from_a_folder(sent: Path, name: str) -> None:
    assert experiment_of(parse(["study", name, str(sent)])[1]).env.family == "load_balancing"


def test_the_suite_goes_on_from_no_cell_that_names_a_factory(
    untracked_config: ExperimentConfig,
    finished: Path,
    config: ExperimentConfig,
    tmp_path: Path,
    imported: Callable[[], bool],
) -> None:
    cell = suite.cell_folder(tmp_path, suite.DEFAULT, suite.PROFIT, config.seed)
    shutil.copytree(finished, cell)
    OutputFolder(cell).save_config("suite", with_factory(config, THEIRS))
    with pytest.raises(SettingError, match=r"^env\.factory must be trusted "):
        suite.transferred(tmp_path, suite.DEFAULT, suite.PROFIT, config.seed)
    with pytest.raises(NotTrainedError, match=r"^out must be empty or trained with env\.family load_balancing"):
        suite.run_cells(untracked_config, tmp_path, suite.DEFAULT)
    assert not imported()


def test_the_settings_of_a_folder_may_name_it_in_any_way(
    refused: Callable[..., str], sent: Path, imported: Callable[[], bool]
) -> None:
    for env in ({"factory": THEIRS}, {"": {"family": "composed", "factory": THEIRS}}, {"": "composed", "factory": THEIRS}):
        (sent / CONFIG_NAME).write_text(json.dumps({"env": env}))
        assert refused("evaluate", sent) == LINE
    assert not imported()


# What does not.


def test_sync_needs_no_world(sent: Path, imported: Callable[[], bool]) -> None:
    assert (sent / JOURNAL_NAME).is_file()
    assert run("sync", sent) == 0
    assert not imported()


def test_who_trains_anew_takes_no_settings_from_a_folder(
    sent: Path, imported: Callable[[], bool], tiny_settings: Path
) -> None:
    assert run("train-lower", "--config", tiny_settings, "--tracking.enabled", "false", "--out", sent) == 0
    assert config_of(sent).env.family == "load_balancing"
    assert not imported()


# What the user names himself.


@pytest.mark.parametrize("words", [["evaluate", "sent"], ["train-upper", "--out", "sent"], ["ablate", "--out", "sent"]])
@pytest.mark.parametrize("factory", [OURS, THEIRS])
def test_a_factory_on_the_command_line_is_trusted_and_takes_the_place_of_the_other(
    sent: Path, imported: Callable[[], bool], words: list[str], factory: str
) -> None:
    assert run(*words, "--env.factory", factory) == 0
    assert imported() == (factory == THEIRS)


@pytest.mark.parametrize("factory", [OURS, THEIRS])
def test_a_factory_in_a_file_that_is_named_is_trusted(
    sent: Path, imported: Callable[[], bool], tmp_path: Path, factory: str
) -> None:
    (tmp_path / "mine.yaml").write_text(f"env:\n  factory: {factory}\n")
    assert run("evaluate", sent, "--config", "mine.yaml") == 0
    assert imported() == (factory == THEIRS)


def test_a_file_that_is_named_and_names_none_trusts_none(
    refused: Callable[..., str], sent: Path, imported: Callable[[], bool], tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text("env:\n  family: composed\n  dt_s: 2\n")
    assert refused("evaluate", sent, "--config", "mine.yaml") == LINE
    assert not imported()


def test_a_world_without_a_factory_needs_no_trust(
    refused: Callable[..., str], sent: Path, imported: Callable[[], bool]
) -> None:
    for words in (["--env.family", "spark"], ["--preset", "quick"]):
        assert refused("evaluate", sent, *words).startswith("lower.safetensors must be trained for terms ")
    assert not imported()


def cut_short(*words: object) -> None:
    """Run a command up to where all phases are over."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Experiment, "_published", interrupt)
        assert run(*words) == 130


def test_who_asks_for_the_same_again_goes_on(config: ExperimentConfig, imported: Callable[[], bool], tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(json.dumps(plain_settings(config)))
    words = ["train", "--config", "mine.json", "--env.factory", THEIRS, "--out", "mine"]
    cut_short(*words)
    before = (tmp_path / "mine" / "lower.safetensors").stat().st_mtime_ns
    assert run(*words) == 0
    assert (tmp_path / "mine" / "lower.safetensors").stat().st_mtime_ns == before
    assert imported()


@pytest.mark.parametrize("world", ["composed", "load_balancing"])
def test_what_is_done_of_an_experiment_brings_no_code_along(
    refused: Callable[..., str],
    config: ExperimentConfig,
    untracked_config: ExperimentConfig,
    imported: Callable[[], bool],
    tmp_path: Path,
    capsys: Capture,
    world: str,
) -> None:
    """Whoever goes on with it does so in the world that was asked for."""
    settings = config if world == "composed" else dataclasses.replace(config, env=untracked_config.env)
    (tmp_path / "mine.json").write_text(json.dumps(plain_settings(settings)))
    words = ["train", "--config", "mine.json", "--out", "mine"]
    cut_short(*words)
    capsys.readouterr()
    ledger = Ledger(OutputFolder(tmp_path / "mine").progress, RESULTS)
    over = [phase for phase in PHASES if ledger.get(phase) is not None]
    assert "ablation" in over
    for phase in over:
        ledger.put(phase, {**ledger.get(phase), "config": plain_settings(with_factory(config, THEIRS))})
    ours = OURS if world == "composed" else "none"
    line = f"env.factory must be {ours} in .progress, as in the settings, got {THEIRS}"
    for again in (words, ["resume", "mine", FLAG]):
        assert refused(*again) == line
    assert not imported()


@pytest.mark.parametrize("executor", ["inline", pytest.param("processes", marks=pytest.mark.slow)])
def test_training_seeds_go_on_wherever_they_are_run(
    finished: Path, config: ExperimentConfig, imported: Callable[[], bool], tmp_path: Path, executor: str
) -> None:
    """Each is held against what its folder says, in a process of its own."""
    theirs, out = with_factory(dataclasses.replace(config, executor=executor), THEIRS), tmp_path / "mine"
    for seed in (0, 1):
        shutil.copytree(finished, seed_folder(out, seed))
        OutputFolder(seed_folder(out, seed)).save_config("tiny", dataclasses.replace(theirs, seed=seed))
    OutputFolder(out).save_config("tiny", theirs)
    agents = {path: path.stat().st_mtime_ns for path in out.rglob("lower.safetensors")}
    words = ["ablate", "--seeds", "2", "--out", out]
    assert run(*words) == 2
    with pytest.raises(NotTrainedError, match=rf"^out must be empty or trained with env\.factory {OURS}, got .+{THEIRS}$"):
        run_seed(config, seed_folder(out, 0), "tiny", None)
    assert not imported()
    assert run(*words, FLAG) == 0
    assert run(*words, "--env.factory", THEIRS) == 0
    assert {path: path.stat().st_mtime_ns for path in agents} == agents
    assert imported()
