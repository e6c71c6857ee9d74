"""Backups of a server, also of one that runs: its database as of one moment, and all files of runs that it knows of then.

The database comes first. MLflow acknowledges a file once it is in its place, whole, and puts later ones beside it; so every
file that the database knows of is there when files are copied afterwards, and what has come since does no harm.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from envs.core.validation import SettingError
from hierarchy.storage.files import check_free, digest_of, whole_folder, write_json
from runs.server import postgres
from runs.server.contents import ABOUT, ARTIFACTS, DUMP, PASSWORD, Contents
from runs.server.folder import PRIVATE, ServerFolder, alone

UPLOADING = ".artifact.uploading."
"""How the name of a file begins that MLflow is still writing."""
CHUNK = 1 << 20


@contextmanager
def reached(folder: ServerFolder) -> Iterator[None]:
    """PostgreSQL of a folder: the one that runs there, or one for the block."""
    with ExitStack() as stack:
        try:
            stack.enter_context(alone(folder))
        except SettingError:
            pass  # it is up
        else:
            stack.enter_context(postgres.running(folder))
        yield


def back_up(folder: ServerFolder, to: Path) -> Contents:
    """Write a backup as a new folder, whole or not at all.

    Raises
    ------
    SettingError
        There is no server, or something is at ``to`` already.
    ServerError
        The database can't be read.
    """
    postgres.check_postgres()
    folder.check_is_one()
    check_free(to)
    with whole_folder(to) as draft:
        draft.mkdir(PRIVATE)
        with reached(folder):
            postgres.run(folder, "pg_dump", "-Fc", "--no-owner", "--no-privileges", "-f", draft / DUMP, postgres.DATABASE)
        os.chmod(draft / DUMP, 0o600)
        files = {DUMP: digest_of(draft / DUMP), PASSWORD: copied(folder.password, draft / PASSWORD)}
        if folder.bucket is None:
            files |= copied_tree(folder.artifacts, draft, ARTIFACTS)
        contents = Contents(datetime.now(UTC).isoformat(), version("mlflow"), folder.bucket, files)
        write_json(contents.written, draft / ABOUT)
    return contents


def restore(backup: Path, folder: ServerFolder) -> Contents:
    """Make the folder of a server from a backup, whole or not at all.

    Raises
    ------
    SettingError
        The backup is damaged or none, or the folder holds something already.
    ServerError
        PostgreSQL does not take it.
    """
    postgres.check_postgres()
    contents = Contents.of(backup)
    with whole_folder(folder.path, "folder") as path:
        draft = ServerFolder(path)
        draft.prepare(contents.bucket)
        with postgres.running(draft):
            words = ("--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error", "-d", postgres.DATABASE)
            postgres.run(draft, "pg_restore", *words, backup.resolve() / DUMP)
        for name in contents.files:
            if name != DUMP:
                copied(backup / name, path / name)
    return contents


def copied_tree(source: Path, to: Path, name: str) -> dict[str, str]:
    """Copy all files of a folder that are whole; their digests by name. What is deleted meanwhile is none of them."""
    files = {}
    for folder, _, names in os.walk(source, onerror=_raise_unless_gone):
        for path in (Path(folder) / one for one in names if not one.startswith(UPLOADING)):
            if path.is_symlink() or not path.is_file():
                continue
            copy = f"{name}/{path.relative_to(source)}"
            try:
                files[copy] = copied(path, to / copy)
            except FileNotFoundError:
                continue
    return files


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def copied(source: Path, to: Path) -> str:
    """Copy a file for its owner alone; its digest. One that is replaced meanwhile stays the one that was opened."""
    digest = hashlib.sha256()
    with source.open("rb") as read:
        to.parent.mkdir(PRIVATE, parents=True, exist_ok=True)
        with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
            while chunk := read.read(CHUNK):
                digest.update(chunk)
                written.write(chunk)
            written.flush()
            os.fsync(written.fileno())
    return digest.hexdigest()
