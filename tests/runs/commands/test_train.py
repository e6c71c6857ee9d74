"""Commands do what they say, print what was found, and leave it on disk."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from hierarchy.config import ExperimentConfig
from hierarchy.tracking.mlflow_store import open_store, store_uri
from runs.cli import main, parse
from runs.commands import COMMANDS
from runs.settings.experiment import experiment_of
from runs.settings.files import BASE_KEY, PRESETS, preset_names

Capture = pytest.CaptureFixture[str]
UNTRACKED = ["--tracking.enabled", "false"]


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def read(path: Path) -> Any:
    return json.loads(path.read_text())


# Training.


@pytest.fixture(scope="module")
def finished(tiny_config: ExperimentConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one tiny experiment that was run by the command line; `all.json` is beside it."""
    root = tmp_path_factory.mktemp("cli")
    settings = root / "tiny.yaml"
    settings.write_text(yaml.safe_dump(dataclasses.asdict(tiny_config)), encoding="utf-8")
    assert run("train", "--config", settings, "--out", root / "out", "--json", root / "all.json", *UNTRACKED) == 0
    return root / "out"


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """Its folder to write in."""
    return shutil.copytree(finished, tmp_path / "copied")


def test_training_writes_its_results_twice_when_asked(finished: Path) -> None:
    found = read(finished / "results.json")
    assert found == read(finished.parent / "all.json")
    assert found["arms"]["learned"]["objective"]["mean"] is not None
    assert found["preset"] == "default"


def test_results_may_go_to_a_folder_that_is_not_there_yet(copied: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "all.json"
    assert run("ablate", "--out", copied, "--json", path) == 0
    assert read(path) == read(copied / "results.json")


def test_training_untracked_makes_no_store(finished: Path) -> None:
    assert {path.name for path in finished.parent.iterdir()} == {"out", "tiny.yaml", "all.json"}


def test_training_prints_a_table_and_plain_lines(tiny_settings: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run("train", "--config", tiny_settings, "--out", tmp_path / "out", *UNTRACKED) == 0
    printed = capsys.readouterr()
    results = read(tmp_path / "out" / "results.json")
    for name, arm in results["arms"].items():
        assert (f" {name} " in printed.out) == (arm is not None), name
    assert f"{results['arms']['learned']['objective']['mean']:.3f}" in printed.out
    assert "learned_vs_fixed_best" in printed.out
    assert "gap_closed" in printed.out
    assert str(tmp_path / "out" / "results.json") in printed.out.replace("\n", "")
    for phase in ("phase 1", "phase 2", "ablation"):
        assert any(line.startswith(phase) and line.endswith("done") for line in printed.err.splitlines())
    assert "\x1b" not in printed.out + printed.err


def test_the_total_counts_from_the_start_of_the_process(finished: Path) -> None:
    timings = read(finished / "results.json")["timings_s"]
    assert timings["total"] > timings["lower"] + timings["upper"] + timings["ablation"] + 1.0


@pytest.mark.parametrize("name", ["azure_llm", "marllb"])
def test_training_replays_a_recording(tiny_settings: Path, tmp_path: Path, traces: dict[str, Path], name: str) -> None:
    trace = ["--env.workload.arrivals", "trace", "--env.workload.arrivals.path", traces[name]]
    assert run("train", "--config", tiny_settings, "--out", tmp_path / "out", *trace, *UNTRACKED) == 0
    results = read(tmp_path / "out" / "results.json")
    assert {"learned", "fixed_best", "regime_oracle", "sed"} <= {arm for arm, found in results["arms"].items() if found}
    assert results["arms"]["learned"]["metrics"]["throughput_hz"] > 0
    low, high = results["arms"]["learned"]["objective"]["ci95"]
    assert low <= results["arms"]["learned"]["objective"]["mean"] <= high
    assert read(tmp_path / "out" / "config.json")["env"]["workload"]["arrivals"]["path"] == str(traces[name])


@pytest.mark.parametrize("objective", ["satisfaction", "slo"])
def test_on_a_recording_the_interval_holds_the_mean_of_any_objective(
    tiny_settings: Path, tmp_path: Path, traces: dict[str, Path], objective: str
) -> None:
    trace = [
        "--env.workload.arrivals",
        "trace",
        "--env.workload.arrivals.path",
        traces["marllb"],
        "--env.objective",
        objective,
    ]
    size = ["--ablation.n_seeds", 8, "--ablation.episode_windows", 16]
    assert run("train", "--config", tiny_settings, "--out", tmp_path / "out", *trace, *size, *UNTRACKED) == 0
    for name, arm in read(tmp_path / "out" / "results.json")["arms"].items():
        if arm is not None:
            low, high = arm["objective"]["ci95"]
            assert low <= arm["objective"]["mean"] <= high, name


# Phases over one folder.


def test_phases_go_on_from_the_settings_in_the_folder(tiny_settings: Path, tmp_path: Path, finished: Path) -> None:
    out = tmp_path / "out"
    assert run("train-lower", "--config", tiny_settings, "--out", out, *UNTRACKED) == 0
    assert run("train-upper", "--out", out) == 0
    assert run("ablate", "--out", out, "--json", tmp_path / "all.json") == 0
    by_phase, at_once = read(out / "results.json"), read(finished / "results.json")
    assert by_phase["arms"] == at_once["arms"]
    assert by_phase == read(tmp_path / "all.json")
    assert not (tmp_path / "mlflow.db").exists(), "untracked is a setting, too"


def test_settings_of_a_later_phase_win_over_those_in_the_folder(tiny_settings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("train-lower", "--config", tiny_settings, "--out", out, *UNTRACKED) == 0
    assert run("train-upper", "--out", out, "--upper.meta_steps", 8, "--upper.tau", 0.25) == 0
    kept = read(out / "config.json")
    assert (kept["upper"]["meta_steps"], kept["upper"]["tau"], kept["lower"]["hidden_size"]) == (8, 0.25, 8)


def test_a_fixed_mix_of_ones_own_is_ablated(copied: Path) -> None:
    assert run("ablate", "--out", copied, "--ablation.fixed", "[0,0,2]", "--ablation.heuristics", "false") == 0
    results = read(copied / "results.json")
    assert results["arms"]["fixed_custom"]["context"] == {"fairness": 0.0, "latency": 0.0, "cost": 1.0}
    assert results["arms"]["sed"] is None


# Several training seeds.


@pytest.mark.slow
def test_an_ablation_over_training_seeds_trains_them_and_prints_one_table(
    tiny_settings: Path, tmp_path: Path, capsys: Capture
) -> None:
    out, copy = tmp_path / "out", tmp_path / "all.json"
    assert run("ablate", "--config", tiny_settings, "--out", out, "--seeds", 2, "--json", copy, *UNTRACKED) == 0
    results = read(out / "results.json")
    assert results == read(copy)
    assert results["training_seeds"] == [0, 1]
    assert len(results["arms"]["learned"]["objective"]["per_seed"]) == 2
    assert f"{results['arms']['learned']['objective']['mean']:.3f}" in capsys.readouterr().out
    changed = ["--lower.gamma", 0.5, *UNTRACKED]
    assert run("ablate", "--config", tiny_settings, "--out", out, "--seeds", 2, *changed) == 2
    error = capsys.readouterr().err
    assert error.startswith("metabalance: out must be empty or trained with lower.gamma 0.5, got ")
    assert error.count("\n") == 1


# Where settings come from.


def settings_of(*arguments: object) -> ExperimentConfig:
    return experiment_of(parse(["train", *map(str, arguments)])[1])


def test_the_command_line_wins_over_files_and_files_over_the_preset(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("upper:\n  meta_steps: 111\n  tau: 0.5\nseed: 3\n")
    (tmp_path / "b.yaml").write_text("upper:\n  tau: 0.25\n")
    found = settings_of("--preset", "quick", "--config", tmp_path / "a.yaml", "--config", tmp_path / "b.yaml", "--seed", 7)
    assert (found.seed, found.upper.meta_steps, found.upper.tau) == (7, 111, 0.25)
    assert found.lower == settings_of("--preset", "quick").lower


def test_every_setting_can_be_given_on_the_command_line() -> None:
    found = settings_of("--env.pool.boot_s", 2.5, "--lower.context.alpha", 0.5, "--env.workload.regimes.loads", "[0.1,0.9]")
    assert found.env.pool.boot_s == 2.5
    assert found.lower.context.alpha == 0.5
    assert found.env.workload.regimes.loads == [0.1, 0.9]


def test_without_a_preset_settings_are_those_of_the_default_preset() -> None:
    assert settings_of() == settings_of("--preset", "default")
    assert settings_of("--preset", "scratch") == ExperimentConfig(), "the defaults of the code"


def keys_of(tree: dict[str, Any], prefix: str = "") -> set[str]:
    out: set[str] = set()
    for key, value in tree.items():
        out |= keys_of(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"}
    return out


@pytest.mark.parametrize("name", ["quick", "seed", "default"])
def test_the_presets_of_the_design_are_there(name: str) -> None:
    assert name in preset_names()


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_holds_settings_that_exist_and_their_values_take_effect(name: str) -> None:
    preset = yaml.safe_load((PRESETS / f"{name}.yaml").read_text(encoding="utf-8")) or {}
    preset.pop(BASE_KEY, None)
    found = dataclasses.asdict(settings_of("--preset", name))
    assert keys_of(preset) <= keys_of(found)
    for key in keys_of(preset):
        value, tree = preset, found
        for part in key.split("."):
            value, tree = value[part], tree[part]
        assert tree == value, key


# Help.


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]], ids=str)
def test_the_usage_lists_all_commands(capsys: Capture, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    assert exited.value.code in (0, None)
    printed = capsys.readouterr().out
    assert all(f"  {command} " in printed for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(capsys: Capture, command: str) -> None:
    with pytest.raises(SystemExit) as exited:
        main([command, "--help"])
    assert exited.value.code in (0, None)
    printed = " ".join(capsys.readouterr().out.split())
    of_folder = ("report", "resume", "evaluate", "explain", "export", "promote", "serve", "server", "study", "sync")
    takes = {**dict.fromkeys(of_folder, "folder"), "calibrate": "--to", "dataset": "--to", "top": "address", "audit": "file"}
    assert takes.get(command, "--out") in printed
    assert COMMANDS[command].help.split(",")[0] in printed


def test_help_explains_settings_with_the_words_of_the_code(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "--env.pool.boot_s" in printed
    assert "seconds from starting a drained server until it serves" in printed


# Interrupts.


def wait_for(process: subprocess.Popen[str], text: str) -> str:
    """Lines of the standard error up to the one with a text."""
    assert process.stderr is not None
    lines = ""
    for line in process.stderr:
        lines += line
        if text in line:
            return lines
    raise AssertionError(f"the process ended before it said {text!r}: {lines}")


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=["interrupt", "terminate"])
def test_an_interrupt_leaves_a_checkpoint_and_exits_with_130(
    command: Callable[..., subprocess.Popen[str]], tiny_settings: Path, out_root: Path, stop: signal.Signals
) -> None:
    out = out_root / "out"
    process = command("train", "--config", tiny_settings, "--out", out, "--lower.timesteps", 1_000_000_000)
    try:
        wait_for(process, "1,000,000,000 steps,")
        process.send_signal(stop)
        printed, error = process.communicate(timeout=300)
    finally:
        process.kill()
    assert (process.returncode, printed) == (130, "")
    assert error.splitlines()[-1] == f"metabalance: interrupted; metabalance resume {out} goes on"
    assert "Traceback" not in error
    assert {path.name for path in out.iterdir()} == {".progress", "config.json", "journal.jsonl", "delivered.json"}
    assert list((out / ".progress" / "lower" / "checkpoints").glob("*.safetensors"))
    client = open_store(store_uri(out_root))
    runs = client.search_runs([client.get_experiment_by_name("metabalance").experiment_id])
    assert {run.data.tags["level"]: run.info.status for run in runs} == {"experiment": "KILLED", "lower": "KILLED"}
    (lower,) = (run for run in runs if run.data.tags["level"] == "lower")
    assert lower.data.metrics["reward/latency"] > 0
