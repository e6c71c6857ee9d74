"""The folder of a server: what is where, and whether it may be used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from envs.core.validation import SettingError
from hierarchy.storage.files import read_mapping, write_json
from hierarchy.storage.lock import LOCK_NAME, alone_in

SCHEMA = 1
PRIVATE = 0o700
SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET = 107
"""Bytes of the path of a Unix socket on Linux."""
S3 = "s3://"


@dataclass(frozen=True)
class ServerFolder:
    """Everything that a server keeps. Only its owner can enter, so nobody else reaches the socket of the database."""

    path: Path

    @property
    def about(self) -> Path:
        """What says that it is such a folder, and where artifacts are."""
        return self.path / "server.json"

    @property
    def data(self) -> Path:
        """Files of PostgreSQL."""
        return self.path / "postgres"

    @property
    def socket(self) -> Path:
        """Folder of the socket that PostgreSQL listens on."""
        return self.path / "socket"

    @property
    def artifacts(self) -> Path:
        """Files of runs, unless they are in S3."""
        return self.path / "artifacts"

    @property
    def password(self) -> Path:
        """The first password of `admin`."""
        return self.path / "admin-password"

    @property
    def key(self) -> Path:
        """What MLflow signs sessions with."""
        return self.path / "secret-key"

    @property
    def accounts(self) -> Path:
        """Settings of MLflow's accounts."""
        return self.path / "basic_auth.ini"

    @property
    def logs(self) -> Path:
        """What both programs say."""
        return self.path / "logs"

    @property
    def bucket(self) -> str | None:
        """Address of the files of runs where they are in S3.

        Raises
        ------
        SettingError
            `server.json` is damaged.
        """
        kept = read_mapping(self.about).get("artifacts")
        return kept if isinstance(kept, str) else None

    @property
    def destination(self) -> str:
        """Where files of runs go, as an address.

        Raises
        ------
        SettingError
            `server.json` is damaged.
        """
        return self.bucket or self.artifacts.as_uri()

    def check_is_one(self) -> None:
        """Whether there is a server in it.

        Raises
        ------
        SettingError
            There is none.
        """
        if not self.about.is_file():
            raise SettingError("folder", "one that `metabalance server` has made", self.path)

    def prepare(self, artifacts: str | None) -> None:
        """Make it, or go on with what is there.

        Parameters
        ----------
        artifacts
            Address of a bucket, for a new folder; None for a folder in here, or for what was chosen at first.

        Raises
        ------
        SettingError
            It holds something else, or artifacts are elsewhere.
        """
        self.check_path()
        if not self.about.is_file() and self.path.is_dir() and any(one.name != LOCK_NAME for one in self.path.iterdir()):
            raise SettingError("folder", "one that a server was started in, or an empty one", self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        os.chmod(self.path, PRIVATE)
        if not self.about.is_file():
            write_json({"schema": SCHEMA, "artifacts": artifacts}, self.about)
        for folder in (self.socket, self.artifacts, self.logs):
            folder.mkdir(PRIVATE, exist_ok=True)
        if artifacts is not None and artifacts != self.destination:
            raise SettingError("artifacts", f"{self.destination}, where those of this folder are", artifacts)

    def check_path(self) -> None:
        """Whether PostgreSQL's programs can be told where it is.

        Raises
        ------
        SettingError
            They can't.
        """
        longest = LONGEST_SOCKET - len(os.fsencode(self.socket / SOCKET_NAME)) + len(os.fsencode(self.path))
        if len(os.fsencode(self.path)) > longest:
            raise SettingError("folder", f"a path of at most {longest} bytes (it holds a Unix socket)", self.path)
        if "," in str(self.path) or not str(self.path).isprintable():
            raise SettingError("folder", "a path without commas and control characters", self.path)


@contextmanager
def alone(folder: ServerFolder) -> Iterator[None]:
    """Keep other servers out of a folder.

    Raises
    ------
    SettingError
        One runs in there.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(alone_in(folder.path))
        except SettingError as error:
            raise SettingError("folder", "one where no server runs", error.value) from None
        yield
