"""`metabalance ui` shows the arms ranked by objective, on this machine only, and ends with its process."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.runs.serving import Served, answer, end, is_up, poll, serve


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
    experiment = re.search(r"/experiments/(\d+)/runs\?viewStateShareKey=(\w+)", address[0])
    assert experiment is not None
    _, found = answer(f"{served.base}/api/2.0/mlflow/experiments/get?experiment_id={experiment[1]}")
    tags = {tag["key"]: tag["value"] for tag in json.loads(found)["experiment"]["tags"]}
    view = json.loads(tags[f"mlflow.sharedViewState.{experiment[2]}"])
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`objective`", False)


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
