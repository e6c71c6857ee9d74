"""Traces, folders, agents and stores that can't be used are told in one line, before anything is written."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hierarchy.tracking.mlflow_store import open_store, store_uri

# Traces.


def with_trace(path: Path) -> list[object]:
    return ["--env.workload.arrivals", "trace", "--env.workload.arrivals.path", path]


def test_a_missing_trace_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    line = refused("train", "--out", tmp_path / "out", *with_trace(tmp_path / "nope.csv"))
    assert line.startswith("env.workload.arrivals.path must be ")
    assert str(tmp_path / "nope.csv") in line


BROKEN_TRACES = {
    "empty": ("", "env.workload.arrivals.path", "empty"),
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
    line = refused("train", "--out", tmp_path / "out", *with_trace(trace))
    assert line.startswith("env.workload.arrivals.train_share must be ")


TABLE = "time,work,kind\n0,1,chat\n1,2,job\n2,1,chat\n3,3,job\n"
CLASSES: dict[str, tuple[list[str], list[str]]] = {
    "no_such_column": (
        ["class_column", "tier", "interactive_values", "[chat]"],
        ["time, work, kind", "'tier'"],
    ),
    "no_such_value": (
        ["class_column", "kind", "interactive_values", "[ui]"],
        ["interactive_values", "['ui']", "0 interactive and 4 batch", "chat, job"],
    ),
    "no_number": (["class_column", "kind", "interactive_up_to", "5"], ["interactive_up_to", "numbers", "'chat'", "5"]),
    "no_path": (["class_pattern", "^/api"], ["class_pattern", "paths", "trace.csv"]),
    "no_match": (
        ["class_column", "kind", "class_pattern", "^ch.$"],
        ["class_pattern", "'^ch.$'", "0 interactive and 4 batch"],
    ),
    "no_expression": (["class_pattern", "("], ["arrivals.class_pattern", "a regular expression", "'('"]),
    "two_ways": (
        ["class_column", "kind", "interactive_values", "[chat]", "interactive_up_to", "5"],
        ["arrivals.class_column", "one of interactive_values, interactive_up_to, class_pattern", "5"],
    ),
    "no_column": (["interactive_values", "[chat]"], ["arrivals.class_column", "interactive_values", "None"]),
    "number_as_text": (["class_column", "work", "interactive_up_to", "two"], ["interactive_up_to", "a number", "two"]),
}


@pytest.mark.parametrize(("settings", "words"), CLASSES.values(), ids=CLASSES)
def test_classes_that_a_trace_does_not_tell_are_refused(
    refused: Callable[..., str], tmp_path: Path, settings: list[str], words: list[str]
) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text(TABLE, encoding="utf-8")
    given = [f"--env.workload.arrivals.{word}" if i % 2 == 0 else word for i, word in enumerate(settings)]
    line = refused("train", "--out", tmp_path / "out", *with_trace(trace), *given)
    assert [word for word in words if word not in line] == [], line
    assert not (tmp_path / "out").exists()


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
    assert line.startswith(f"out must be a folder that holds lower.safetensors (made by {made_by}), got ")
    assert str(tmp_path / "out") in line


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 half of one"], ids=["empty", "text", "damaged"])
def test_an_agent_that_can_not_be_read_is_refused(refused: Callable[..., str], tmp_path: Path, content: bytes) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "lower.safetensors").write_bytes(content)
    line = refused("train-upper", "--out", tmp_path / "out")
    assert line.startswith("lower.safetensors must be an agent that can be read, got ")
    assert str(tmp_path / "out") in line


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        (("--env.actions.mode", "weights"), "levels"),
        (("--env.actions.levels", "[0,1]"), "levels"),
        (("--env.telemetry.ground_truth", "true"), "features"),
    ],
    ids=["actions", "levels", "observations"],
)
@pytest.mark.parametrize("command", ["train-upper", "ablate"])
def test_an_agent_of_another_world_is_refused(
    refused: Callable[..., str], trained: Any, tmp_path: Path, command: str, setting: tuple[str, str], field: str
) -> None:
    shutil.copytree(trained.out, tmp_path / "out")
    line = refused(command, "--out", tmp_path / "out", *setting)
    assert line.startswith(f"lower.safetensors must be trained for {field} ")
    assert ", got " in line


@pytest.mark.parametrize("uri", ["garbage://x", "sqlite+garbage:///x.db"])
@pytest.mark.parametrize("command", [("train",), ("bench", "serve")], ids=["train", "bench"])
def test_a_store_that_mlflow_can_not_open_is_refused(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    line = refused(*command, "--out", tmp_path / "out")
    assert line.startswith("MLFLOW_TRACKING_URI must be ")
    assert line.endswith(f"got {uri}")


def test_there_is_no_page_of_a_tracking_server_that_does_not_answer(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    line = refused("ui", "--out", tmp_path / "out")
    assert line == f"MLFLOW_TRACKING_URI must be a store that answers, got http://127.0.0.1:{port}"


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
