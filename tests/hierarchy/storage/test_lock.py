"""Two experiments in one folder: the second is refused, and a dead one keeps nobody out."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from envs.core.validation import SettingError
from hierarchy.storage.lock import LOCK_NAME, alone_in

HOLDER = """
import sys, time
from pathlib import Path
from hierarchy.storage.lock import alone_in

with alone_in(Path(sys.argv[1])):
    print("in", flush=True)
    time.sleep(60)
"""


def test_a_second_one_is_refused_with_the_number_of_the_first(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    refused = re.escape(f"out must be a folder that no other experiment writes to, got {out} (process {os.getpid()})")
    with alone_in(out):
        with pytest.raises(SettingError, match=f"^{refused}$"), alone_in(out):
            pass
        with pytest.raises(SettingError, match=f"^{refused}$"), alone_in(out):
            pass
    with alone_in(out):
        pass
    assert list(out.iterdir()) == [], "nothing is left"


def test_a_process_that_was_killed_keeps_nobody_out(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "in\n"
    with pytest.raises(SettingError, match=rf"\(process {holder.pid}\)$"), alone_in(tmp_path):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / LOCK_NAME).is_file()
    with alone_in(tmp_path):
        pass


def test_an_error_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), alone_in(tmp_path):
        raise ZeroDivisionError
    with alone_in(tmp_path):
        pass


def test_never_two_at_once(tmp_path: Path) -> None:
    """However often they come and go."""
    inside, most, entered = [0], [0], [0]
    guard = threading.Lock()

    def come_and_go() -> None:
        for _ in range(200):
            try:
                with alone_in(tmp_path):
                    with guard:
                        inside[0] += 1
                        entered[0] += 1
                        most[0] = max(most[0], inside[0])
                    with guard:
                        inside[0] -= 1
            except SettingError:
                continue

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1
    assert entered[0] > 0
