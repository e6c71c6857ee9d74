"""Both programs of a server, in order: the database is there before MLflow, and until after."""

from __future__ import annotations

import importlib.util
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from envs.core.validation import SettingError
from runs.server import accounts, postgres
from runs.server.folder import S3, ServerFolder, alone
from runs.server.mlflow_process import LIGHT, answers, check_port, is_of_this_machine_alone, server_words
from runs.server.processes import PAUSE_S, ServerError, end_group, start

NEEDED = {"flask_wtf": "server", "psycopg": "server"}
"""Modules that MLflow imports for accounts and its database, and the extra that has them."""
HOST_NAME = re.compile(r"[\w.*-]*\w[\w.*-]*")
OF_THIS_MACHINE = ("localhost", "127.0.0.1")
PER_WORKER = 45
"""Connections that a worker of MLflow may take: three pools of fifteen."""
KEPT = "MLFLOW_S3_"
"""Of MLflow's variables those that a server takes from where it is started: where S3 is."""
REQUESTS_S = 10
"""How long requests that are under way may take when it ends."""
OUTDATED = "out-of-date database schema"


@dataclass(frozen=True)
class Listening:
    """Where MLflow listens, and by which names others call it."""

    host: str
    port: int
    names: tuple[str, ...]
    workers: int

    def check(self) -> None:
        """Whether it can.

        Raises
        ------
        SettingError
            The port is taken, or nobody would get in.
        """
        for name in self.names:
            if not HOST_NAME.fullmatch(name):
                raise SettingError("allowed_hosts", "names of hosts with commas between, without ports", name)
        check_port(self.host, self.port)
        if not self.names and not is_of_this_machine_alone(self.host):
            raise SettingError("allowed_hosts", f"given with host {self.host}: the names that others call it by", "nothing")

    @property
    def words(self) -> list[str]:
        """Options of MLflow: the names that a request may call it by, and pages that may change something."""
        hosts = [form for name in (*OF_THIS_MACHINE, *self.names) for form in (name, f"{name}:*")]
        pages = [form for name in self.names for form in (f"https://{name}", f"https://{name}:*")]
        return ["--allowed-hosts", ",".join(hosts), *(["--cors-allowed-origins", ",".join(pages)] if pages else [])]


def check_installed(artifacts: str | None) -> None:
    """Whether everything is there that a server needs.

    Raises
    ------
    SettingError
        Something is not.
    """
    postgres.check_postgres()
    for module, extra in NEEDED.items():
        if importlib.util.find_spec(module) is None:
            allowed = f"run where {module} is installed (pip install 'metabalance[{extra}]')"
            raise SettingError("server", allowed, "none")
    if artifacts is not None and not artifacts.startswith(S3):
        raise SettingError("artifacts", f"{S3}BUCKET/PATH, or left out: a folder beside the database", artifacts)
    if artifacts is not None and importlib.util.find_spec("boto3") is None:
        raise SettingError("artifacts", f"left out where boto3 is missing (pip install boto3), which {S3} needs", artifacts)


@dataclass(frozen=True)
class Servers:
    """Both programs while they run."""

    folder: ServerFolder
    database: subprocess.Popen[bytes]
    mlflow: subprocess.Popen[bytes]

    def wait(self) -> None:
        """Wait for an interrupt.

        Raises
        ------
        ServerError
            One of them has ended.
        """
        while True:
            for name, process, log in (
                ("PostgreSQL", self.database, postgres.log_of(self.folder)),
                ("MLflow", self.mlflow, log_of(self.folder)),
            ):
                if process.poll() is not None:
                    raise ServerError(f"{name} has ended, what it said is in {log}")
            time.sleep(PAUSE_S)


@contextmanager
def serving(folder: ServerFolder, listening: Listening, artifacts: str | None = None) -> Iterator[Servers]:
    """A server, for the block.

    Raises
    ------
    SettingError, ServerError
        Something is not allowed, or does not start.
    """
    check_installed(artifacts)
    folder.check_path()
    listening.check()
    with alone(folder):
        folder.prepare(artifacts)
        secrets = accounts.environment(folder)
        accounts.write_settings(folder, postgres.uri_of(folder))
        with (
            postgres.running(folder, PER_WORKER * listening.workers) as database,
            _mlflow(folder, listening, secrets) as mlflow,
        ):
            yield Servers(folder, database, mlflow)


def log_of(folder: ServerFolder) -> Path:
    """What MLflow says."""
    return folder.logs / "mlflow.log"


@contextmanager
def _mlflow(folder: ServerFolder, listening: Listening, secrets: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    words = server_words(listening.host, listening.port, folder.destination, listening.workers)
    words += ["--app-name", "basic-auth", "--serve-artifacts", *listening.words]
    words += ["--uvicorn-opts", f"--no-access-log --timeout-graceful-shutdown {REQUESTS_S}"]
    log = log_of(folder)
    process = start(words, environment(folder) | secrets, folder.path, log, signal.SIGTERM)
    try:
        while not answers(listening.host, listening.port):
            if process.poll() is not None:
                raise ServerError(f"MLflow does not start, what it said is in {log}{why(folder, log)}")
            time.sleep(PAUSE_S)
        yield process
    finally:
        end_group(process, signal.SIGTERM, patience_s=2.0 * REQUESTS_S)


def environment(folder: ServerFolder) -> dict[str, str]:
    """Of MLflow, but for secrets. Settings of a client are none of a server, which may be started by one."""
    others = {
        name: value
        for name, value in postgres.environment().items()
        if not name.startswith("MLFLOW_") or name.startswith(KEPT)
    }
    return others | LIGHT | {"MLFLOW_BACKEND_STORE_URI": postgres.uri_of(folder)}


def why(folder: ServerFolder, log: Path) -> str:
    """What to do where another version of MLflow has made the database."""
    is_outdated = OUTDATED in log.read_text(errors="replace")[-20_000:]
    return f" (its tables are of another version, see: metabalance server upgrade {folder.path})" if is_outdated else ""
