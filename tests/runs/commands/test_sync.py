"""Training does not need MLflow; `metabalance sync` delivers what has waited, and no password is seen anywhere."""

from __future__ import annotations

import dataclasses
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from hierarchy.config import ExperimentConfig
from hierarchy.evidence.recordings import load_curves
from hierarchy.study import run_study
from hierarchy.tracking import shipper
from hierarchy.tracking.mlflow_store import STORE_VARIABLE, open_store, store_uri
from hierarchy.tracking.progress import Silent
from runs.cli import main
from tests.hierarchy.tracking.filling import fill, handed, runs_in, stored

Capture = pytest.CaptureFixture[str]
PASSWORD = "s3cr3t-w0rd"


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipper, "PATIENCE_S", 3.0)


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def assert_no_password(printed: str, folder: Path) -> None:
    assert PASSWORD not in printed
    for path in folder.rglob("*"):
        assert path.is_dir() or PASSWORD not in path.read_text(errors="replace"), path


def test_training_goes_on_without_a_server_and_says_how_to_deliver(
    tiny_settings: Path, out_root: Path, closed_port: int, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    out = out_root / "out"
    monkeypatch.setenv(STORE_VARIABLE, f"http://me:{PASSWORD}@127.0.0.1:{closed_port}")
    assert run("train", "--config", tiny_settings, "--out", out) == 0
    printed = capfd.readouterr()
    notes = [line for line in printed.err.splitlines() if "MLflow" in line]
    assert notes[0].startswith(f"note: MLflow does not answer at http://***@127.0.0.1:{closed_port}, figures for it wait")
    n_waiting = len((out / "journal.jsonl").read_text().splitlines())
    deliver = f"deliver them with: metabalance sync {out}"
    assert notes[1:] == [f"note: {n_waiting:,} records wait for MLflow (no connection), {deliver}"]
    assert run("sync", out) == 1
    again = capfd.readouterr()
    assert again.err == f"metabalance: {n_waiting:,} records wait for MLflow (no answer), {deliver}\n"
    assert_no_password(printed.err + printed.out + again.err + again.out, out_root)
    monkeypatch.delenv(STORE_VARIABLE)
    assert run("sync", out, "--json", out_root / "synced.json") == 0
    assert capfd.readouterr() == (f"{n_waiting:,} records delivered\n", "")
    assert json.loads((out_root / "synced.json").read_text()) == {"delivered": n_waiting, "waiting": 0, "refused": 0}
    assert_as_trained(out)
    assert run("sync", out) == 0
    assert capfd.readouterr().out == "0 records delivered\n"
    assert_as_trained(out)


def assert_as_trained(out: Path) -> None:
    """MLflow has what the folder has: the arms, the curves, the files, no run twice."""
    uri = store_uri(out.parent)
    assert stored(uri) == handed(out)
    runs = {found.info.run_name: found for found in runs_in(uri)}
    assert {found.info.status for found in runs.values()} == {"FINISHED"}
    results = json.loads((out / "results.json").read_text())
    for name, arm in results["arms"].items():
        assert (name in runs) == (arm is not None)
        assert arm is None or runs[name].data.metrics["objective"] == arm["objective"]["mean"]
    client = open_store(uri)
    curve = load_curves(out)["lower"]
    history = client.get_metric_history(runs["lower"].info.run_id, "reward/cost")
    assert {point.step: point.value for point in history} == dict(zip(curve["step"], curve["reward/cost"], strict=True))
    files = {file.path for file in client.list_artifacts(runs["out"].info.run_id)}
    assert {"results.json", "config.json", "arms.png"} <= files
    assert not (out / "undelivered").exists()


class Angry(BaseHTTPRequestHandler):
    """Refuses everything, and repeats what it was sent."""

    def do_GET(self) -> None:
        body = f"no {self.headers['Authorization']} {self.path} {PASSWORD}".encode()
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Says nothing itself."""


@pytest.fixture(params=[401, 404, 500, 503])
def angry(request: pytest.FixtureRequest) -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Angry)
    server.status = request.param  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_what_a_server_says_is_not_repeated(
    out_root: Path, angry: int, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.setenv(STORE_VARIABLE, f"http://me:{PASSWORD}@127.0.0.1:{angry}/base?password={PASSWORD}")
    folder = out_root / "one"
    synced = fill(folder, 10).synced
    assert synced.n_delivered == 0
    assert run("sync", folder) == 1
    assert run("ui", "--out", out_root) == 2
    printed = capfd.readouterr()
    assert_no_password(printed.out + printed.err, out_root)
    assert printed.err.count("\n") == 2
    monkeypatch.delenv(STORE_VARIABLE)
    assert run("sync", folder) == 0


@pytest.mark.parametrize("uri", ["http://me:{}@h:port", "garbage://me:{}@h", "postgresql+psycopg://me:{}@127.0.0.1:{}/db"])
@pytest.mark.parametrize("command", ["train", "ui", "bench", "sync"])
def test_no_command_shows_a_password(
    command: str, uri: str, out_root: Path, closed_port: int, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    fill(out_root / "one", 3)
    with (out_root / "one" / "journal.jsonl").open("a") as journal:
        journal.write('{"record": "session", "experiment": "m", "above": 1, "time_ms": 1}\n')
    monkeypatch.setenv(STORE_VARIABLE, uri.format(PASSWORD, closed_port))
    is_away = uri.startswith("postgresql")
    asked = {"train": ["--print_config"], "ui": ["--out", out_root], "bench": ["upper", "--out", out_root]}
    if command == "bench" and is_away:
        pytest.skip("measures for long")
    status = run(command, *asked.get(command, [out_root / "one"]))
    printed = capfd.readouterr()
    assert status == (0 if command == "train" else 1 if command == "sync" and is_away else 2)
    assert_no_password(printed.out + printed.err, out_root)


# What is refused.


def test_a_folder_without_a_journal_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    assert refused("sync", tmp_path).startswith("folder must be one that holds journal.jsonl ")
    assert refused("sync", tmp_path / "nowhere").startswith("folder must be one that holds journal.jsonl ")


def test_a_damaged_journal_is_refused_with_its_line(refused: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text("import os\n")
    assert refused("sync", tmp_path) == f"{path} line 1 must be a JSON object, got 'import os'"


# Several training seeds.


@pytest.mark.slow
@pytest.mark.parametrize("is_away", [False, True], ids=["there", "away"])
def test_a_study_has_a_run_for_each_training_seed_below_its_own(
    tiny_config: ExperimentConfig,
    out_root: Path,
    closed_port: int,
    is_away: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = out_root / "two"
    if is_away:
        monkeypatch.setenv(STORE_VARIABLE, f"http://127.0.0.1:{closed_port}")
    config = dataclasses.replace(
        tiny_config,
        executor="inline" if is_away else "processes",
        ablation=dataclasses.replace(tiny_config.ablation, heuristics=False, oracles=False),
    )
    run_study(config, out, "tiny", 2, Silent())
    if is_away:
        monkeypatch.delenv(STORE_VARIABLE)
        assert not runs_in(store_uri(out_root))
        assert run("sync", out) == 0
    runs = runs_in(store_uri(out_root))
    assert stored(store_uri(out_root)) == {**handed(out), **handed(out / "seed-0"), **handed(out / "seed-1")}
    (study,) = [found for found in runs if found.data.tags["level"] == "experiment"]
    seeds = [found for found in runs if found.data.tags["level"] == "seed"]
    assert {found.info.run_name for found in seeds} == {"seed-0", "seed-1"}
    assert {found.data.tags["mlflow.parentRunId"] for found in seeds} == {study.info.run_id}
    assert {found.info.status for found in runs} == {"FINISHED"}
