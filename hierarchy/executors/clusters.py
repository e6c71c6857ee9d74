"""A Ray to run jobs on: one of this process's own, or a cluster that somebody else keeps. Both ask for a token.

Ray listens on every interface, whatever it is told, and runs whatever it is sent. So its own is started with a token that
only this process and its workers know, and a cluster that asks for none is not joined: it would be sent the settings of jobs
and what opens the store of experiments, for anyone to take.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from envs.core.validation import SettingError
from hierarchy.executors import warden
from hierarchy.extras import check_extra

ADDRESS = "RAY_ADDRESS"
"""Variable that names the cluster to join."""
MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_worker_niceness": "0"}
"""Nothing is reported to anybody, devices stay as they are, and workers are no worse off than processes."""
OBJECT_STORE_BYTES = 100 << 20
"""Shared memory for what goes to jobs and comes back; what does not fit waits on the disk."""
ANSWER_S = 5.0
ASKED_OPENLY_S = 60.0
WHERE = "HOST:PORT of the head of a cluster that this machine is a node of"
ASK_OPENLY = """
import sys
from ray._raylet import GcsClient
from ray.exceptions import AuthenticationError
try:
    GcsClient(address=sys.argv[1]).internal_kv_exists(b"metabalance", timeout=5)
except AuthenticationError:
    sys.exit(3)
"""
"""Ends with 0 if a cluster answers who has no token, and with 3 if it asks for one."""
ASKS_FOR_TOKEN = 3


def address() -> str | None:
    """Of the cluster to join; None where a Ray of one's own is started.

    Raises
    ------
    SettingError
        It is none that can be joined.
    """
    given = os.environ.get(ADDRESS, "")
    if given in ("", "local"):
        return None
    host, colon, port = given.rpartition(":")
    if not (host and colon and port.isdigit()) or "://" in given:
        raise SettingError(ADDRESS, WHERE, given)
    return given


def check() -> None:
    """Whether Ray is installed and the cluster to join, if there is one, answers and asks for a token, and we have one.

    Raises
    ------
    SettingError
        It isn't, or doesn't.
    """
    check_extra("ray", ("ray",), "executor", "ray")
    there = address()
    if there is not None:
        _check_token()
        _check_closed(there)


def _check_token() -> None:
    path = Path(os.environ.get(TOKEN_PATH) or Path.home() / ".ray" / "auth_token")
    if not os.environ.get(TOKEN) and not path.is_file():
        raise SettingError(TOKEN, f"the token of the cluster (or {TOKEN_PATH} a file that holds it)", f"none, nor {path}")


@cache
def _check_closed(there: str) -> None:
    host, _, port = there.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
    except (OSError, OverflowError):
        raise SettingError(ADDRESS, WHERE, f"{there}, which does not answer") from None
    environment = {name: value for name, value in os.environ.items() if name not in (TOKEN, TOKEN_PATH)}
    command = [sys.executable, "-c", ASK_OPENLY, there]
    try:
        asked = subprocess.run(
            command, env={**environment, **QUIET, MODE: "disabled"}, capture_output=True, timeout=ASKED_OPENLY_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise SettingError(ADDRESS, WHERE, f"{there}, which does not answer") from None
    if asked.returncode == 0:
        allowed = f"a cluster that asks for a token (started with {MODE}=token on every node)"
        raise SettingError(ADDRESS, allowed, f"{there}, which lets anyone in")
    if asked.returncode != ASKS_FOR_TOKEN:
        raise SettingError(ADDRESS, WHERE, f"{there}, which does not answer as Ray does")


@contextmanager
def connected(n_cpus: int) -> Iterator[None]:
    """The block is connected to a Ray: to one that this process is connected to already, to the cluster of `RAY_ADDRESS`, or
    to one with ``n_cpus`` that is started for it and goes with it. The others are left as they are.

    Raises
    ------
    SettingError
        There is none.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    there = address()
    with _joined(there) if there is not None else _started(n_cpus):
        yield


@contextmanager
def _joined(there: str) -> Iterator[None]:
    with variables({**QUIET, MODE: "token"}), _disconnected_afterwards():
        _connect(address=there)
        yield


@contextmanager
def _started(n_cpus: int) -> Iterator[None]:
    with _kept_folder() as folder:
        token = {MODE: "token", TOKEN: secrets.token_hex(32)}
        with variables({**QUIET, **token}), _disconnected_afterwards():
            with variables({warden.MARK: folder}):  # not on what this process starts later
                _connect(
                    address="local",
                    num_cpus=n_cpus,
                    num_gpus=0,
                    object_store_memory=OBJECT_STORE_BYTES,
                    include_dashboard=False,
                    _temp_dir=folder,
                )
            yield


@contextmanager
def _kept_folder() -> Iterator[str]:
    """A folder of our own; it goes, and processes that are marked with it, when the block is left or this process ends."""
    with tempfile.TemporaryDirectory(prefix="metabalance-", ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-I", "-S", str(Path(warden.__file__)), folder]
        watching = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        try:
            yield folder
        finally:
            assert watching.stdin is not None
            watching.stdin.close()
            watching.wait()


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Have Ray find these variables, then those from before."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    _reread()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        _reread()


def _reread() -> None:
    """Have Ray, which reads variables once, read them again."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def _disconnected_afterwards() -> Iterator[None]:
    """Connect in the block; what Ray says of workers meanwhile would land in the standard output, and is left out."""
    import ray
    from ray._private import worker

    worker._worker_logs_enabled = False
    try:
        yield
    finally:
        ray.shutdown()
        worker._worker_logs_enabled = True


def _connect(**settings: Any) -> None:
    """Connect without a word; signals stay whose they are."""
    import ray
    from ray.exceptions import RayError

    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **settings)
    except (RayError, OSError, RuntimeError, ValueError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise SettingError("executor", f"one that can be reached ({ADDRESS}: {WHERE})", f"ray ({said[0]})") from None
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, before)
