"""Real servers for the tests: PostgreSQL, MLflow's tracking server, and connections that break or hang."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.runs.serving import free_port, is_up, poll

BINARIES = Path("/usr/lib/postgresql/15/bin")
PASSWORD = "s3cr3t-w0rd"


class Postgres:
    """A server of its own in a folder of its own, on a socket there; it refuses to be root's, so then it is somebody else's.

    Parameters
    ----------
    folder
        Short, for names of sockets are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        self.user = "postgres" if os.getuid() == 0 else None
        self.process: subprocess.Popen[bytes] | None = None
        if self.user:
            account = pwd.getpwnam(self.user)
            os.chown(folder, account.pw_uid, account.pw_gid)
        words = [
            BINARIES / "initdb",
            "--no-sync",
            "-A",
            "trust",
            "-U",
            "mlflow",
            "-E",
            "UTF8",
            "--locale=C",
            "-D",
            self.data,
        ]
        subprocess.run(words, check=True, capture_output=True, user=self.user, group=self.user, cwd=folder)

    @property
    def uri(self) -> str:
        return self.uri_of("postgres")

    def uri_of(self, database: str) -> str:
        """The address of a database, with a password that nobody asks for."""
        return f"postgresql+psycopg://mlflow:{PASSWORD}@/{database}?host={self.folder}"

    def create(self, database: str) -> None:
        words = [BINARIES / "createdb", "-h", self.folder, "-U", "mlflow", database]
        subprocess.run(words, check=True, capture_output=True, cwd=self.folder)

    def start(self) -> None:
        words = [BINARIES / "postgres", "-D", self.data, "-k", self.folder, "-c", "listen_addresses=", "-c", "fsync=off"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                words, stdout=log, stderr=log, user=self.user, group=self.user, cwd=self.folder, start_new_session=True
            )
        assert poll(self.answers), (self.folder / "log").read_text()

    def answers(self) -> bool:
        words = [BINARIES / "psql", "-h", self.folder, "-U", "mlflow", "-d", "postgres", "-c", "SELECT 1"]
        return subprocess.run(words, capture_output=True, check=False, cwd=self.folder).returncode == 0

    def kill(self) -> None:
        """At once, without a word to anybody."""
        if self.process is not None:
            kill_group(self.process)
            self.process = None


class MlflowServer:
    """A tracking server over a database."""

    def __init__(self, folder: Path, backend: str, port: int | None = None) -> None:
        self.folder, self.backend, self.port = folder, backend, port or free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def uri(self) -> str:
        """Its address with a password, which it does not ask for."""
        return f"http://me:{PASSWORD}@127.0.0.1:{self.port}"

    def start(self) -> None:
        words = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        words += ["--artifacts-destination", (self.folder / "artifacts").as_uri()]
        light = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        environment = {**os.environ, **light, "MLFLOW_BACKEND_STORE_URI": self.backend}
        with (self.folder / "mlflow.log").open("ab") as log:
            self.process = subprocess.Popen(
                words, stdout=log, stderr=log, env=environment, cwd=self.folder, start_new_session=True
            )
        assert poll(lambda: is_up(self.base)) or poll(lambda: is_up(self.base)), (self.folder / "mlflow.log").read_text()

    def kill(self) -> None:
        """At once, with all its workers."""
        if self.process is not None:
            kill_group(self.process)
            self.process = None


def kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def installed_postgres() -> None:
    """Skips where PostgreSQL is missing, unless `REQUIRE_POSTGRES` is set."""
    if not (BINARIES / "postgres").is_file():
        assert os.environ.get("REQUIRE_POSTGRES") != "1", "PostgreSQL 15 must be installed"
        pytest.skip("needs PostgreSQL 15 (Debian 12: apt-get install postgresql)")


@contextlib.contextmanager
def running_postgres() -> Iterator[Postgres]:
    installed_postgres()
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    postgres = Postgres(folder)
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.kill()
        shutil.rmtree(folder, ignore_errors=True)


class Silent:
    """A server that takes every connection and never says a word."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.taken: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.taken.append(self._server.accept()[0])

    def close(self) -> None:
        for one in (self._server, *self.taken):
            one.close()


class Cutter:
    """A way to a server that is cut after some requests: the server has done what was asked, nobody hears of it.

    Parameters
    ----------
    port
        Of the server.
    cuts
        Given the first line of a request, whether its answer is lost.
    """

    def __init__(self, port: int, cuts: Callable[[str], bool]) -> None:
        self._target, self._cuts = port, cuts
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.n_cut = 0
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._server.accept()[0]
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", self._target)) as server:
            while request := _message(client):
                server.sendall(request)
                answer = _message(server)
                if self._cuts(request.split(b"\r\n", 1)[0].decode()):
                    self.n_cut += 1
                    return
                client.sendall(answer)

    def close(self) -> None:
        self._server.close()


def _message(source: socket.socket) -> bytes:
    """A whole request or answer, whose length is said in its head; nothing at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = source.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while lengths and len(body) < lengths[0]:
        body += source.recv(65536)
    return head + b"\r\n\r\n" + body


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Until a condition comes true."""
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s, "it did not come true"
        time.sleep(0.05)
