"""Requests of a HAProxy that another one has replaced are lost if it was killed, and awaited if it serves them yet."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from envs.haproxy.leaving import Left, is_running
from envs.load_balancing.kernel.metering import UNANSWERED


def test_what_was_not_heard_of_a_killed_process_is_lost() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    left = Left(process.pid, np.array([3, 1]), is_local=True)
    left.heard([0, 1])
    lost = left.lost(7.0)
    assert lost is not None
    assert (lost.ended_s.tolist(), lost.flow_class.tolist()) == ([7.0, 7.0], [0, 0])
    assert set(lost.outcome.tolist()) == {UNANSWERED}
    assert set(lost.server.tolist()) == {-1}


def test_what_a_process_serves_yet_is_awaited_where_that_can_be_known() -> None:
    assert Left(os.getpid(), np.array([3, 1]), is_local=True).lost(7.0) is None
    assert Left(os.getpid(), np.array([3, 1]), is_local=False).lost(7.0) is not None


def test_more_lines_than_requests_are_no_loss() -> None:
    left = Left(-1, np.array([1, 1]), is_local=True)
    left.heard([0, 0, 0])
    lost = left.lost(0.0)
    assert lost is not None
    assert lost.flow_class.tolist() == [1]


def test_a_process_that_has_ended_and_was_not_asked_does_not_run() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert is_running(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_running(process.pid)
