"""A running `metabalance ui`, for tests that ask it and tests that look at it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

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
