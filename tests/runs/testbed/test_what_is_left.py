"""However a test bed ends, nothing of it is left: no process, no folder."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from envs.core.validation import SettingError
from envs.haproxy.leaving import is_running
from envs.haproxy.runtime import RuntimeApi
from runs.testbed import bed
from runs.testbed.load import LoadConfig
from runs.testbed.proxy import SOCKET, ProxyConfig
from tests.envs.haproxy.processes import installed_haproxy
from tests.runs.testbed.beds import comes_true, environment, evenly, world_of

CORES, SPEED = [4, 4, 2], [2.0, 1.0, 1.0]
OWNER = """
import time
from runs.testbed import bed
from tests.runs.testbed.beds import evenly, world_of
with bed.TestBed(world_of([1], [1.0])) as running:
    print(running.machines.pid, running.proxy.process.pid, running.folder, flush=True)
    running.run(evenly(1000, 100.0, 0.0))
"""


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    installed_haproxy()


def test_settings_that_do_not_fit_leave_nothing_behind() -> None:
    refused = bed.TestBed(world_of(CORES, SPEED), ProxyConfig(weights=[1]))
    with pytest.raises(SettingError, match="weights must be"), refused:
        pass
    assert refused.machines.pid is None
    assert not refused.folder.exists()
    with pytest.raises(SettingError, match="log_socket must be"):
        bed.TestBed(world_of(CORES, SPEED), log_socket=Path("/tmp/" + "x" * 200))


def owned() -> tuple[subprocess.Popen[str], Sequence[int], Path]:
    """A process that has a test bed with a load on it, the processes of that, and its folder.

    It takes interrupts, also where these tests are run in the background, which has them ignored.
    """
    pipe = subprocess.PIPE
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdout=pipe,
        stderr=pipe,
        text=True,
        env=environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert owner.stdout is not None
    *pids, folder = owner.stdout.readline().split()
    assert all(is_running(int(pid)) for pid in pids)
    return owner, [int(pid) for pid in pids], Path(folder)


def has_served(folder: Path) -> bool:
    return any(int(row["stot"]) for row in RuntimeApi(str(folder / SOCKET)).statistics("web_interactive"))


def test_an_interrupt_leaves_nothing_running_and_no_folder() -> None:
    owner, pids, folder = owned()
    assert comes_true(lambda: has_served(folder))
    owner.send_signal(signal.SIGINT)
    _, said = owner.communicate(timeout=20.0)
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert not any(map(is_running, pids))
    assert not folder.exists()


def test_a_bed_whose_owner_is_killed_ends_all_the_same() -> None:
    owner, pids, folder = owned()
    owner.kill()
    owner.communicate()
    assert comes_true(lambda: not any(map(is_running, pids)))
    shutil.rmtree(folder)


def test_a_bed_can_be_entered_again() -> None:
    one = bed.TestBed(world_of([1], [1.0]), bounds=LoadConfig(connections=10))
    for _ in range(2):
        with one:
            assert one.run(evenly(3, 0.1, 0.0)).is_ok.all()
            pids = [one.machines.pid or 0, one.proxy.process.pid if one.proxy.process else 0]
        assert not any(map(is_running, pids))
        assert not one.folder.exists()
