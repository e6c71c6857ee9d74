"""MLflow's server: the words that start it, and whether it can listen where it should."""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys
import urllib.error
import urllib.request

from envs.core.validation import SettingError

HOST = "127.0.0.1"
LIGHT = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""Environment of a server that tracks, and runs no jobs besides."""
ANSWER_S = 5.0


def server_words(host: str, port: int, artifacts: str, workers: int = 1) -> list[str]:
    """The command; the store is named in the environment, for anyone may read the words of a command."""
    words = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port)]
    return [*words, "--artifacts-destination", artifacts, "--workers", str(workers)]


def check_port(host: str, port: int) -> None:
    """Whether a server can listen there.

    Raises
    ------
    SettingError
        It can't.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise SettingError("port", "a free TCP port", port) from None
        raise SettingError("host", "an address of this machine", host) from None


def is_of_this_machine_alone(host: str) -> bool:
    """Whether nobody else reaches an address."""
    return ipaddress.ip_address(socket.getaddrinfo(host, None)[0][4][0]).is_loopback


def answers(host: str, port: int) -> bool:
    """Whether a server is up."""
    where = {"0.0.0.0": HOST, "::": "::1"}.get(host, host)
    named = f"[{where}]" if ":" in where else where
    directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with directly.open(f"http://{named}:{port}/health", timeout=ANSWER_S) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
