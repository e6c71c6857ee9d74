"""Servers of `metabalance server`, which refuses root: as another user then, who reads what is root's."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runs.server.postgres import BINARIES
from tests.docs.pages import ROOT
from tests.hierarchy.tracking.servers import installed_postgres
from tests.runs.serving import free_port, poll

OTHER = "postgres"
"""A user that the package makes."""
CAPABILITY = "+dac_override"
"""To read what is root's, such as a checkout in its home."""


def as_user(*words: object) -> list[str]:
    """A command of a user that PostgreSQL takes."""
    command = [str(word) for word in words]
    if os.geteuid() != 0:
        return command
    who = ["--reuid", OTHER, "--regid", OTHER, "--init-groups", "--inh-caps", CAPABILITY, "--ambient-caps", CAPABILITY]
    return ["setpriv", *who, "--", *command]


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """A folder of that user, with a short path."""
    installed_postgres()
    folder = Path(tempfile.mkdtemp(prefix="sv", dir="/tmp"))
    if os.geteuid() == 0:
        account = pwd.getpwnam(OTHER)
        os.chown(folder, account.pw_uid, account.pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def metabalance(*words: object, home: Path, before: str = "pass") -> subprocess.Popen[str]:
    """The command line as a process of that user, after some code."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "HOME": str(home)}
    return subprocess.Popen(
        as_user(sys.executable, "-c", f"{before}; import sys, runs.cli; sys.exit(runs.cli.main())", *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=home,
        start_new_session=True,
    )


def done(*words: object, home: Path, before: str = "pass") -> tuple[int, str, str]:
    """Exit status, output and errors of a command."""
    process = metabalance(*words, home=home, before=before)
    out, errors = process.communicate(timeout=300)
    return process.returncode, out, errors


class Server:
    """A running server."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process = metabalance("server", "start", folder, "--port", self.port, "--workers", 1, home=folder.parent)
        assert self.process.stdout is not None
        self.said = [self.process.stdout.readline() for _ in range(3)]
        if self.process.poll() is not None or not self.said[2]:
            raise AssertionError((self.said, self.process.communicate()))

    @property
    def password(self) -> str:
        return (self.folder / "admin-password").read_text().strip()

    def ask(
        self, path: str, who: tuple[str, str] | None = None, payload: dict[str, str] | None = None, host: str = ""
    ) -> tuple[int, Any]:
        """Status and answer of a request of somebody by name and password; of a refusal no answer."""
        headers = {"Content-Type": "application/json", **({"Host": host} if host else {})}
        if who is not None:
            headers["Authorization"] = "Basic " + b64encode(":".join(who).encode()).decode()
        body = None if payload is None else json.dumps(payload).encode()
        request = urllib.request.Request(f"{self.uri}/api/2.0/mlflow/{path}", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, None

    def psql(self, query: str, *, by_root: bool = False) -> subprocess.CompletedProcess[str]:
        words = [BINARIES / "psql", "-h", self.folder / "socket", "-d", "mlflow", "-Atc", query]
        command = [str(word) for word in words] if by_root else as_user(*words)
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder)

    def processes(self) -> dict[int, str]:
        """Words of its programs by number: of those that name its folder, and of those that they have started."""
        found: dict[int, str] = {}
        parents: dict[int, int] = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                found[int(entry.name)] = words
        mine = {number for number, words in found.items() if str(self.folder) in words}
        mine |= {number for number, parent in parents.items() if parent in mine}
        return {number: found[number] for number in mine - {self.process.pid} if found[number]}

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(120)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        return self.process.returncode

    def is_gone(self) -> bool:
        """Whether nothing of it is left after a while."""
        return poll(lambda: not self.processes())
