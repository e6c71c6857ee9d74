"""A real HAProxy in a folder of its own, for tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from envs.core.validation import SettingError
from runs.testbed import proxy

HEAD = """
global
    stats socket {folder}/admin.sock mode 600 level admin
    stats socket {folder}/user.sock mode 600 level user
    stats socket ipv4@127.0.0.1:{port} level admin
    hard-stop-after 1s
defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s
    timeout queue 2s
"""


def installed_haproxy() -> str:
    """Where it is; skips without one, unless `REQUIRE_HAPROXY` is set."""
    try:
        return proxy.find_haproxy()
    except SettingError as error:
        if os.environ.get("REQUIRE_HAPROXY") == "1":
            raise
        pytest.skip(str(error))


def installed(program: str) -> str:
    """Where another program is that Debian has; skips without it, unless `REQUIRE_HAPROXY` is set."""
    found = shutil.which(program)
    if found is None:
        if os.environ.get("REQUIRE_HAPROXY") == "1":
            raise FileNotFoundError(program)
        pytest.skip(f"{program} is not installed (Debian 12: apt-get install wrk nghttp2-client)")
    return found


class HAProxy(proxy.HAProxy):
    """A process that answers at TCP too, and at a socket of level user."""

    def __init__(self, folder: Path, body: str, port: int) -> None:
        super().__init__(folder, HEAD.format(folder=folder, port=port) + body)
        self.tcp = f"127.0.0.1:{port}"


@contextlib.contextmanager
def running(body: str, port: int) -> Iterator[HAProxy]:
    installed_haproxy()
    folder = Path(tempfile.mkdtemp(prefix="hap", dir="/tmp"))
    try:
        with HAProxy(folder, body, port) as started:
            assert isinstance(started, HAProxy)
            yield started
    finally:
        shutil.rmtree(folder, ignore_errors=True)
