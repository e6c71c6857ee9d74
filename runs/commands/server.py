"""`metabalance server`: MLflow for several people, over a PostgreSQL of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from envs.core.validation import SettingError, check, setting
from runs.commands.experiments import OUT_ROOT
from runs.settings.checks import check_writable
from runs.settings.options import add_options, called, options_of, positional

if TYPE_CHECKING:
    from runs.server.folder import ServerFolder

FOLDER = OUT_ROOT / "server"
WORDS = ("start", "backup", "restore", "upgrade")


@dataclass(frozen=True)
class Action:
    """What is done, and with what."""

    action: str = positional(one_of=WORDS, default="start")
    """what to do"""
    folder: Path = positional(default=FOLDER)
    """folder of the server, which holds everything"""

    def __post_init__(self) -> None:
        check(self)

    @property
    def place(self) -> ServerFolder:
        """The folder as PostgreSQL must be told of it."""
        from runs.server.folder import ServerFolder

        return ServerFolder(self.folder.resolve())


@dataclass(frozen=True)
class Start(Action):
    """Serve until interrupted."""

    host: str = "127.0.0.1"
    """address to listen on"""
    port: int = setting(5000, ge=1, le=65535)
    """TCP port"""
    allowed_hosts: str = ""
    """names, with commas between, that others call it by: that of a proxy before it"""
    artifacts: str | None = None
    """s3://BUCKET/PATH for files of runs, chosen at the first start; by default they are in the folder"""
    workers: int = setting(2, ge=1, le=64)
    """processes of MLflow"""

    def run(self) -> None:
        from runs.server.accounts import ADMIN
        from runs.server.running import Listening, serving

        names = tuple(filter(None, (name.strip() for name in self.allowed_hosts.split(","))))
        check_writable(self.folder, "folder")
        is_new = not self.place.password.is_file()
        with serving(self.place, Listening(self.host, self.port, names, self.workers), self.artifacts) as servers:
            print(f"MLflow    http://{self.host}:{self.port}")
            print(f"sign in   {ADMIN}, {'a new' if is_new else 'the first'} password is in {self.place.password}")
            print(f"logs      {self.place.logs}", flush=True)
            servers.wait()


@dataclass(frozen=True)
class Backup(Action):
    """Write a backup, also of a server that runs."""

    to: Path | None = None
    """folder for the backup, not there yet"""

    def run(self) -> None:
        from runs.server.backup import back_up

        if self.to is None:
            raise SettingError("to", "given: a folder for the backup", "nothing")
        check_writable(self.to, "to")
        written = back_up(self.place, self.to)
        kept = (
            f"{written.n_artifacts:,} files of runs" if written.bucket is None else f"files of runs stay in {written.bucket}"
        )
        print(f"backup in {self.to}: the database, {kept}")


@dataclass(frozen=True)
class Restore(Action):
    """Make a folder from a backup."""

    source: Path | None = called("from")
    """folder of a backup; the database takes what is in it as commands, so restore what you have written yourself"""

    def run(self) -> None:
        from runs.server.backup import restore

        if self.source is None:
            raise SettingError("from", "given: the folder of a backup", "nothing")
        check_writable(self.folder, "folder")
        found = restore(self.source, self.place)
        print(f"server of {found.made} in {self.folder}, {found.n_artifacts:,} files of runs")


@dataclass(frozen=True)
class Upgrade(Action):
    """Bring the tables up to the version of MLflow that is installed."""

    def run(self) -> None:
        from runs.server.upgrading import upgrade

        upgrade(self.place)
        print(f"tables in {self.folder} are of the MLflow that is installed")


ACTIONS: dict[str, type[Start] | type[Backup] | type[Restore] | type[Upgrade]] = dict(
    zip(WORDS, (Start, Backup, Restore, Upgrade), strict=True)
)


@dataclass(frozen=True)
class Server:
    """Each action has options of its own."""

    name: str = "server"
    help: str = "serve MLflow to several people, with accounts, over a PostgreSQL in a folder; back it up, restore it"

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        first = next(iter(arguments), WORDS[0])
        add_options(parser, ACTIONS.get(first, Start), arguments)
        return arguments

    def run(self, parsed: Namespace) -> int:
        from runs.server.processes import ServerError

        try:
            options_of(ACTIONS.get(parsed.action, Start), parsed).run()
        except ServerError as error:
            print(f"metabalance: {error}", file=sys.stderr)
            return 1
        return 0


SERVER = Server()
