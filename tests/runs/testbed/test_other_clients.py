"""Load that clients make which know nothing of the project is balanced, measured and steered as well."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import numpy as np
import pytest

from envs.haproxy.balancer import Balancer
from envs.haproxy.config import HAProxyConfig
from envs.haproxy.meter import compile_meter
from envs.load_balancing.kernel.accounts import ARRIVED, COMPLETED, IN_FLIGHT, LOST, REJECTED
from envs.load_balancing.measurements import Measurements
from hierarchy.live.controller import Controller
from hierarchy.live.running import LiveConfig, Running
from hierarchy.live.safety import Safety
from runs.testbed.bed import TestBed
from runs.testbed.web_server import WORK_HEADER
from tests.envs.haproxy.processes import installed, installed_haproxy
from tests.runs.testbed.beds import world_of

CLIENTS = {
    "h2load": (["--h1", "-n", "1500", "-c", "8"], r"(\d+) succeeded"),
    "wrk": (["-d", "3s", "-c", "8", "-t", "1"], r"(\d+) requests in"),
}
"""Options of each, and how it says how many requests were answered."""


@pytest.fixture(scope="module")
def bed() -> Iterator[TestBed]:
    installed_haproxy()
    with TestBed(world_of([2, 1], [1.0, 1.0])) as bed:
        compile_meter(bed.config)  # while that goes on, nobody hears the log
        yield bed


class Even:
    """A rule: the same weight for both servers."""

    def decide(self, measurements: Measurements) -> np.ndarray:
        return np.full((1, 2, 2), 2.0)


@pytest.mark.parametrize("name", CLIENTS)
def test_every_request_of_theirs_is_measured_while_weights_are_steered(bed: TestBed, name: str) -> None:
    program, (options, said) = installed(name), CLIENTS[name]
    settings = HAProxyConfig(socket=bed.socket, log=str(bed.log_socket), backends=list(bed.backends))
    with Balancer(bed.config, settings) as balancer:
        dropped_before = balancer.look().n_dropped_logs
        controller = Controller(balancer, Even(), Safety(), applies=True)
        held: list[str] = []
        words = [program, *options, "-H", f"{WORK_HEADER}: 0.004", f"http://127.0.0.1:{bed.ports[0]}/interactive"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as client:
            running = Running(controller, balancer, LiveConfig(), True, lambda decision: held.append(decision.held_because))
            running.run(5)
            out, _ = client.communicate(timeout=60)
        counts = balancer.measure().counts[0, 0]
        assert balancer.seen is not None
        n_dropped = balancer.seen.n_dropped_logs - dropped_before  # lines that a full socket took none of, as HAProxy says
    assert client.returncode == 0
    n_answered = int(re.search(said, out)[1])  # type: ignore[index]
    assert n_answered > 500
    n_cut = counts[LOST] + counts[REJECTED]
    n_measured = counts[COMPLETED] + counts[IN_FLIGHT]
    assert n_answered <= n_measured + n_dropped
    assert n_measured <= n_answered + 8  # those that a client breaks off at its end
    assert counts[ARRIVED] == counts[COMPLETED] + n_cut + counts[IN_FLIGHT]
    assert n_cut <= 8
    assert held == [""] * 5
