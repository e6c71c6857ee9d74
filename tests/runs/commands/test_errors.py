"""What is wrong on the command line is told in one line that names field and value, before anything is written."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hierarchy.tracking.mlflow import open_store, store_uri
from runs.cli import main
from runs.commands import COMMANDS

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def refused(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a command that must be refused with status 2, one line and nothing written; returns the line."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> str:
        before = set(tmp_path.rglob("*"))
        status = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert (status, printed.out) == (2, "")
        assert printed.err.startswith("metabalance: ")
        assert printed.err.count("\n") == 1, printed.err
        assert not [path for path in set(tmp_path.rglob("*")) - before if path.is_file()]
        return printed.err.removeprefix("metabalance: ").strip()

    return run


SETTINGS: dict[str, tuple[list[str], list[str]]] = {
    "unknown_key": (["--nope", "1"], ["nope"]),
    "unknown_nested_key": (["--env.pool.nope", "1"], ["env.pool.nope"]),
    "negative_rate": (["--env.workload.rate_hz", "-5"], ["workload.rate_hz", "> 0", "-5"]),
    "no_servers": (["--env.pool.cores", "[]"], ["pool.cores", "at least one server", "[]"]),
    "no_capacity": (["--env.pool.speed", "[0,0,0,0]"], ["pool.speed", "> 0", "[0.0, 0.0, 0.0, 0.0]"]),
    "too_few_fixed_weights": (["--ablation.fixed", "[0.5,0.5]"], ["ablation.fixed", "3 weights", "[0.5, 0.5]"]),
    "negative_fixed_weight": (["--ablation.fixed", "[0.5,-0.5,1]"], ["ablation.fixed", ">= 0", "-0.5"]),
    "no_fixed_weight": (["--ablation.fixed", "[0,0,0]"], ["ablation.fixed", "> 0", "[0.0, 0.0, 0.0]"]),
    "too_few_prices": (["--env.pool.price_usd_per_h", "[0.1]"], ["pool.price_usd_per_h", "(4)", "[0.1]"]),
    "unknown_preset": (["--preset", "nope"], ["preset", "quick", "nope"]),
    "preset_without_a_name": (["--preset"], ["preset"]),
    "not_a_number": (["--lower.timesteps", "abc"], ["lower.timesteps", "int", "abc"]),
    "not_finite": (["--env.dt_s", ".nan"], ["dt_s", "> 0", "nan"]),
    "unknown_word": (["--upper.objective", "fame"], ["upper.objective", "profit", "fame"]),
    "unknown_choice": (["--env.pool.service", "lifo"], ["pool.service", "fcfs", "lifo"]),
    "large_minibatch": (["--lower.batch_size", "99999"], ["lower.batch_size", "99999"]),
    "trace_without_a_path": (["--env.workload.arrivals", "trace"], ["workload.path", "None"]),
    "missing_settings_file": (["--config", "nope.yaml"], ["config", "nope.yaml"]),
    "value_without_a_key": (["stray"], ["stray"]),
    "key_without_a_value": (["--env.dt_s"], ["env.dt_s"]),
    "negative_seed": (["--seed", "-1"], ["seed", ">= 0", "-1"]),
    "unknown_family": (["--env.family", "nope"], ["env.family", "spark", "nope"]),
    "setting_of_another_family": (["--env.family", "spark", "--env.pool.cores", "[4]"], ["env.pool.cores"]),
    "unknown_form": (["--env.family", "spark", "--env.form", "nope"], ["env.form", "extended", "nope"]),
    "no_change_at_all": (["--env.family", "spark", "--env.max_change", "0"], ["env.max_change", "> 0", "0"]),
    "objective_of_another_world": (
        ["--env.family", "spark", "--upper.objective", "profit"],
        ["upper.objective", "latency_mean_ms", "'profit'", "revenue_usd"],
    ),
    "constants_without_end": (
        ["--env.actions.mode", "weights", "--ablation.constants", "true"],
        ["ablation.constants", "Box"],
    ),
    "factory_that_is_none": (["--env.factory", "nope"], ["env.factory", "MODULE:FUNCTION", "nope"]),
    "factory_that_is_not_there": (["--env.factory", "nope:make"], ["env.factory", "imported", "nope:make"]),
    "no_factory": (["--env.family", "composed"], ["env.factory", "MODULE:FUNCTION", "''"]),
    "range_upside_down": (["--env.randomise.speed", "[2,1]"], ["randomise.speed", "low <= high", "[2.0, 1.0]"]),
    "more_servers_than_there_are": (["--env.randomise.n_servers", "[1,9]"], ["randomise.n_servers", "4", "[1, 9]"]),
    "no_history": (["--lower.history", "0"], ["lower.history", "> 0", "0"]),
    "reward_clipped_to_nothing": (["--lower.clip_reward", "0"], ["lower.clip_reward", "> 0", "0"]),
    "unknown_policy": (["--lower.policy", "nope"], ["lower.policy", "equivariant", "nope"]),
    "normalised_parts": (
        ["--lower.policy", "equivariant", "--lower.normalise_observations", "true"],
        ["lower.policy", "joint", "equivariant"],
    ),
    "parts_in_a_world_without": (["--env.family", "spark", "--lower.policy", "equivariant"], ["lower.policy", "joint"]),
}


@pytest.mark.parametrize("command", ["train", "train-lower"])
@pytest.mark.parametrize(("arguments", "words"), SETTINGS.values(), ids=SETTINGS)
def test_a_wrong_setting_is_refused(
    refused: Callable[..., str], tmp_path: Path, command: str, arguments: list[str], words: list[str]
) -> None:
    line = refused(command, "--out", tmp_path / "out", *arguments)
    assert [word for word in words if word not in line] == [], line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("n_seeds", [0, -2])
def test_a_study_has_at_least_one_training_seed(refused: Callable[..., str], tmp_path: Path, n_seeds: int) -> None:
    assert refused("ablate", "--out", tmp_path / "out", "--seeds", n_seeds) == f"seeds must be >= 1, got {n_seeds}"


def test_only_an_ablation_takes_several_training_seeds(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "seeds" in refused("train", "--out", tmp_path / "out", "--seeds", 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nope: 1\n", ["nope"]),
        ("env:\n  pool:\n    coers: [1, 2]\n", ["env", "pool.coers"]),
        ("env:\n  workload:\n    rate_hz: -5\n", ["workload.rate_hz", "-5"]),
        ("lower:\n  timesteps: many\n", ["lower.timesteps", "many"]),
        ("env: [1\n", ["settings.yaml"]),
    ],
    ids=["unknown_key", "unknown_nested_key", "negative_rate", "not_a_number", "not_yaml"],
)
def test_a_wrong_settings_file_is_refused(refused: Callable[..., str], tmp_path: Path, text: str, words: list[str]) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(text, encoding="utf-8")
    line = refused("train", "--out", tmp_path / "out", "--config", settings)
    assert [word for word in words if word not in line] == [], line
    assert not (tmp_path / "out").exists()


def test_an_unknown_command_is_refused(refused: Callable[..., str]) -> None:
    line = refused("trian")
    assert "trian" in line
    assert all(command in line for command in COMMANDS)


# Traces.


def with_trace(path: Path) -> list[object]:
    return ["--env.workload.arrivals", "trace", "--env.workload.path", path]


def test_a_missing_trace_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    line = refused("train", "--out", tmp_path / "out", *with_trace(tmp_path / "nope.csv"))
    assert "workload.path" in line
    assert str(tmp_path / "nope.csv") in line


BROKEN_TRACES = {
    "empty": ("", "workload.path", "empty"),
    "only_a_head": ("time\tquery\n", "trace.csv", "two requests"),
    "unknown_format": ("what,is,this\n1,2,3\n", "trace.csv:1", "what,is,this"),
    "backwards": ("time\tquery\n2.0\t/?n=3\n3.0\t/?n=3\n1.0\t/?n=4\n", "trace.csv:4", "backwards"),
    "backwards_in_azure": (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.1,1,2\n2023-11-16 18:15:45.9,1,2\n",
        "trace.csv:3",
        "backwards",
    ),
    "no_work": ("time\tquery\n1.0\t/?n=3\n2.0\t/?m=3\n", "trace.csv:3", "n=N"),
    "not_text": ("time\tquery\n1.0\t/?n=3\nzwei\t/?n=3\n", "trace.csv:3", "zwei"),
}


@pytest.mark.parametrize(("text", "where", "what"), BROKEN_TRACES.values(), ids=BROKEN_TRACES)
def test_a_broken_trace_is_refused_by_file_and_line(
    refused: Callable[..., str], tmp_path: Path, text: str, where: str, what: str
) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text(text, encoding="utf-8")
    line = refused("train", "--out", tmp_path / "out", *with_trace(trace))
    assert str(tmp_path) in line
    assert where in line
    assert what in line
    assert not (tmp_path / "out").exists()


def test_a_trace_that_is_too_short_for_its_split_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("time\tquery\n1.0\t/?n=3\n2.0\t/?n=3\n", encoding="utf-8")
    assert "workload.train_share" in refused("train", "--out", tmp_path / "out", *with_trace(trace))


# Folders and files.


def test_an_output_folder_under_a_file_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = refused("train", "--out", tmp_path / "file" / "out")
    assert line.startswith("out must be")
    assert str(tmp_path / "file" / "out") in line


def test_an_output_folder_that_is_a_file_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert str(tmp_path / "file") in refused("train", "--out", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_results_under_a_file_are_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = refused("train", "--out", tmp_path / "out", "--json", tmp_path / "file" / "results.json")
    assert line.startswith("json must be")
    assert str(tmp_path / "file") in line


def test_results_where_a_folder_is_are_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    line = refused("train", "--out", tmp_path / "out", "--json", tmp_path / "folder")
    assert line.startswith("json must be")
    assert str(tmp_path / "folder") in line


@pytest.mark.parametrize(("command", "made_by"), [("train-upper", "train-lower"), ("ablate", "train-lower")])
def test_a_phase_without_the_agent_it_needs_is_refused(
    refused: Callable[..., str], tmp_path: Path, command: str, made_by: str
) -> None:
    line = refused(command, "--out", tmp_path / "out")
    assert line.startswith("out must hold lower.zip")
    assert made_by in line
    assert str(tmp_path / "out") in line


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 half of one"], ids=["empty", "text", "damaged"])
def test_an_agent_that_can_not_be_read_is_refused(refused: Callable[..., str], tmp_path: Path, content: bytes) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "lower.zip").write_bytes(content)
    line = refused("train-upper", "--out", tmp_path / "out")
    assert line.startswith("lower.zip must be an agent saved by train-lower")
    assert str(tmp_path / "out") in line


@pytest.mark.parametrize(
    "setting",
    [
        ("--env.actions.mode", "weights"),
        ("--env.actions.levels", "[0,1]"),
        ("--env.telemetry.ground_truth", "true"),
    ],
    ids=["actions", "levels", "observations"],
)
@pytest.mark.parametrize("command", ["train-upper", "ablate"])
def test_an_agent_of_another_world_is_refused(
    refused: Callable[..., str], trained: Any, tmp_path: Path, command: str, setting: tuple[str, str]
) -> None:
    shutil.copytree(trained.out, tmp_path / "out")
    line = refused(command, "--out", tmp_path / "out", *setting)
    assert line.startswith("lower.zip must be trained for observations and actions")


def test_a_tracking_server_that_does_not_answer_is_refused(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    line = refused("train", "--out", tmp_path / "out")
    assert line.startswith(f"MLFLOW_TRACKING_URI must be a server that answers, got http://127.0.0.1:{port}")
    assert not (tmp_path / "out").exists()


# The web page.


@pytest.mark.parametrize("port", ["0", "-1", "65536", "abc"])
def test_a_port_that_is_none_is_refused(refused: Callable[..., str], out_root: Path, port: str) -> None:
    open_store(store_uri(out_root)).create_experiment("metabalance")
    line = refused("ui", "--out", out_root, "--port", port)
    assert "port" in line
    assert port in line


def test_a_port_in_use_is_refused(refused: Callable[..., str], out_root: Path) -> None:
    open_store(store_uri(out_root)).create_experiment("metabalance")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert f"port must be a free TCP port, got {port}" in refused("ui", "--out", out_root, "--port", port)


def test_a_folder_without_a_store_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    line = refused("ui", "--out", tmp_path / "out")
    assert line.startswith("out must hold")
    assert str(tmp_path / "out") in line
    assert not (tmp_path / "out").exists()


def test_a_store_without_the_experiment_is_refused(refused: Callable[..., str], out_root: Path) -> None:
    assert "'nope'" in refused("ui", "--out", out_root, "--experiment", "nope")


def test_an_unknown_option_of_the_page_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "nope" in refused("ui", "--out", tmp_path, "--nope", 1)


# As a process.


@pytest.mark.parametrize(
    "arguments", [("train", "--env.workload.rate_hz", "-5"), ("nope",), ("train-upper",)], ids=["value", "command", "phase"]
)
def test_the_process_tells_in_one_line_and_exits_with_2(
    command: Callable[..., subprocess.Popen[str]], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    out = ("--out", tmp_path / "out") if arguments[0].startswith("train") else ()
    process = command(*arguments, *out)
    printed, error = process.communicate()
    assert (process.returncode, printed) == (2, "")
    assert error.startswith("metabalance: ")
    assert error.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
