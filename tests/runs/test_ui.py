"""`metabalance ui` shows the arms ranked by objective, on this machine only, and ends with its process."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest

START_S = 60.0
PAUSE_S = 0.5


class Served(NamedTuple):
    """A running server and the line that it printed first."""

    process: subprocess.Popen[str]
    base: str
    line: str


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def answer(address: str, payload: dict[str, Any] | None = None) -> tuple[int, str]:
    body = None if payload is None else json.dumps(payload).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.status, response.read().decode()


def is_up(base: str) -> bool:
    try:
        return answer(f"{base}/health")[0] == 200
    except (urllib.error.URLError, OSError):
        return False


def poll(condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true before patience ends."""
    for _ in range(int(START_S / PAUSE_S)):
        if condition():
            return True
        time.sleep(PAUSE_S)
    return False


def serve(command: Callable[..., subprocess.Popen[str]], root: Path) -> Served:
    port = free_port()
    process = command("ui", "--out", root, "--port", port)
    assert process.stdout is not None
    line = process.stdout.readline()
    base = f"http://127.0.0.1:{port}"
    assert poll(lambda: is_up(base) or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    return Served(process, base, line)


def end(process: subprocess.Popen[str]) -> None:
    """Asks first, so that the server goes with its command."""
    process.terminate()
    try:
        process.communicate(timeout=START_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture(scope="module")
def served(command: Callable[..., subprocess.Popen[str]], trained: Any) -> Iterator[Served]:
    running = serve(command, trained.out.parent)
    yield running
    end(running.process)


@pytest.mark.slow
def test_the_first_line_is_the_address_of_the_ranked_arms(served: Served, trained: Any) -> None:
    address = re.search(r"http://\S+", served.line)
    assert address is not None
    assert address[0].startswith(served.base)
    assert "orderByKey=metrics.`objective`" in unquote(address[0])
    assert "orderByAsc=false" in address[0]


@pytest.mark.slow
def test_the_page_is_served(served: Served) -> None:
    status, page = answer(f"{served.base}/")
    assert status == 200
    assert "<html" in page.lower()


@pytest.mark.slow
def test_the_server_ranks_the_arms_by_objective(served: Served, trained: Any) -> None:
    experiment_id = re.search(r"/experiments/(\d+)/", served.line)
    assert experiment_id is not None
    query = {
        "experiment_ids": [experiment_id[1]],
        "filter": "tags.level = 'arm'",
        "order_by": ["metrics.`objective` DESC"],
    }
    _, found = answer(f"{served.base}/api/2.0/mlflow/runs/search", query)
    ranked = [{tag["key"]: tag["value"] for tag in run["data"]["tags"]}["arm"] for run in json.loads(found)["runs"]]
    arms = {name: arm["objective"]["mean"] for name, arm in trained.results["arms"].items() if arm is not None}
    assert sorted(ranked) == sorted(arms)
    assert [arms[name] for name in ranked] == sorted(arms.values(), reverse=True)


@pytest.mark.slow
def test_artifacts_are_served(served: Served, trained: Any) -> None:
    experiment_id = re.search(r"/experiments/(\d+)/", served.line)
    assert experiment_id is not None
    query = {"experiment_ids": [experiment_id[1]], "filter": "tags.level = 'experiment'"}
    _, found = answer(f"{served.base}/api/2.0/mlflow/runs/search", query)
    run_id = json.loads(found)["runs"][0]["info"]["run_id"]
    status, text = answer(f"{served.base}/get-artifact?run_id={run_id}&path=results.json")
    assert status == 200
    assert json.loads(text) == json.loads((trained.out / "results.json").read_text())


@pytest.mark.slow
def test_only_this_machine_is_served(served: Served) -> None:
    """Another address of the loopback network stands for the outside."""
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", int(served.base.rpartition(":")[2])), timeout=10)


def assert_ends(running: Served, stop: signal.Signals) -> None:
    running.process.send_signal(stop)
    assert poll(lambda: running.process.poll() is not None)
    assert poll(lambda: not is_up(running.base)), "the server outlived its command"


@pytest.mark.slow
def test_terminating_the_command_ends_the_server(command: Callable[..., subprocess.Popen[str]], trained: Any) -> None:
    running = serve(command, trained.out.parent)
    try:
        assert_ends(running, signal.SIGTERM)
    finally:
        end(running.process)


@pytest.mark.slow
def test_interrupting_the_command_ends_the_server(served: Served) -> None:
    """The last test of the shared server."""
    assert_ends(served, signal.SIGINT)
