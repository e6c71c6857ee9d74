"""A PostgreSQL of a folder's own: made, started, ended, and asked by its programs.

It listens on no TCP port, and on a Unix socket in a folder that only its owner can enter. It asks the system who connects
(`peer`), so there is no password that could be lost: whoever else reached the socket would be refused.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from envs.core.validation import SettingError
from runs.server.folder import ServerFolder
from runs.server.processes import PAUSE_S, ServerError, end_group, start

BINARIES = Path("/usr/lib/postgresql/15/bin")
PORT = "5432"
"""In the name of the socket."""
DATABASE = "mlflow"
DURABLE = ("fsync=on", "full_page_writes=on", "synchronous_commit=on")
"""What is acknowledged survives a crash of the machine."""
PRIVATE = ("listen_addresses=", "unix_socket_permissions=0700", "log_min_error_statement=panic")
"""Nobody else connects, and no statement is logged."""
N_CONNECTIONS = 40
"""Those that are not of a worker of MLflow: backups, who looks."""
AT_WORK_S = 60.0
"""How long statements under way may take when it ends."""


def check_postgres() -> None:
    """Whether PostgreSQL can run here.

    Raises
    ------
    SettingError
        It is not installed, or this is root, whom it refuses.
    """
    if not (BINARIES / "postgres").is_file():
        raise SettingError("PostgreSQL", "version 15 (on Debian: apt-get install postgresql-15)", f"none in {BINARIES}")
    if os.geteuid() == 0:
        allowed = "another one than root, whom PostgreSQL refuses (as in: runuser -u NAME -- metabalance server ...)"
        raise SettingError("user", allowed, "root")


def environment() -> dict[str, str]:
    """This one without settings of PostgreSQL's clients, which would lead elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def uri_of(folder: ServerFolder) -> str:
    """The address of the database, which holds no secret."""
    return f"postgresql+psycopg:///{DATABASE}?host={quote(str(folder.socket), safe='/')}&port={PORT}"


def run(folder: ServerFolder, program: str, *words: str | Path, connects: bool = True) -> str:
    """What one of PostgreSQL's programs prints.

    Raises
    ------
    ServerError
        It failed; the first line of what it said.
    """
    where = ["-h", str(folder.socket), "-p", PORT] if connects else []
    command = [str(BINARIES / program), *where, *map(str, words)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment(), cwd=folder.path, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        raise ServerError(f"{program} failed: {done.stderr.strip().partition(chr(10))[0]}")
    return done.stdout


def make(folder: ServerFolder) -> None:
    """Make its files unless they are there, whole or not at all."""
    if folder.data.is_dir():
        return
    draft = folder.data.with_name(f".{folder.data.name}")
    shutil.rmtree(draft, ignore_errors=True)
    settings = ("--data-checksums", "--auth-local=peer", "--auth-host=reject", "--encoding=UTF8", "--locale=C")
    run(folder, "initdb", *settings, "-D", draft, connects=False)
    os.replace(draft, folder.data)


def log_of(folder: ServerFolder) -> Path:
    """What PostgreSQL says."""
    return folder.logs / "postgres.log"


@contextmanager
def running(folder: ServerFolder, n_connections: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """PostgreSQL with its database, for the block.

    Parameters
    ----------
    n_connections
        That MLflow may take.

    Raises
    ------
    ServerError
        It does not start.
    """
    make(folder)
    settings = (*DURABLE, *PRIVATE, f"max_connections={N_CONNECTIONS + n_connections}")
    words: list[str | Path] = ["-D", folder.data, "-k", folder.socket, "-p", PORT]
    for one in settings:
        words += ["-c", one]
    log = log_of(folder)
    process = start([BINARIES / "postgres", *words], environment(), folder.path, log, signal.SIGINT)
    try:
        while not _answers(folder):
            if process.poll() is not None:
                raise ServerError(f"PostgreSQL does not start, what it said is in {log}")
            time.sleep(PAUSE_S)
        if DATABASE not in run(folder, "psql", "-d", "postgres", "-Atc", "SELECT datname FROM pg_database").split():
            run(folder, "createdb", DATABASE)
        yield process
    finally:
        end_group(process, signal.SIGINT, signal.SIGQUIT, patience_s=AT_WORK_S)


def _answers(folder: ServerFolder) -> bool:
    try:
        run(folder, "pg_isready")
    except ServerError:
        return False
    return True
