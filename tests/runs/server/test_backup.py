"""Backups are whole or not there, and what is damaged is not restored; `test_life` has a real database."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from envs.core.validation import SettingError
from hierarchy.storage.files import digest_of
from runs.server import accounts, backup, postgres
from runs.server.backup import back_up, copied_tree, restore
from runs.server.contents import ABOUT, ARTIFACTS, DUMP, PASSWORD, Contents
from runs.server.folder import ServerFolder
from runs.server.processes import ServerError

FILES = {"0/a/results.json": b"{}", "0/b/large": bytes(range(256)) * 10_000}


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short one: folders of servers hold a socket."""
    with tempfile.TemporaryDirectory(prefix="backup-") as path:
        yield Path(path).resolve()


@pytest.fixture(autouse=True)
def _no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database whose dump is a word."""

    @contextmanager
    def running(folder: ServerFolder, n_connections: int = 0) -> Iterator[None]:
        yield

    def run(folder: ServerFolder, program: str, *words: str | Path, connects: bool = True) -> str:
        if program == "pg_dump":
            Path(words[words.index("-f") + 1]).write_text("dumped")
        return ""

    monkeypatch.setattr(postgres, "check_postgres", lambda: None)
    monkeypatch.setattr(postgres, "running", running)
    monkeypatch.setattr(postgres, "run", run)


def server_in(path: Path, bucket: str | None = None) -> ServerFolder:
    folder = ServerFolder(path)
    folder.prepare(bucket)
    accounts.secret_in(folder.password)
    for name, data in FILES.items():
        (folder.artifacts / name).parent.mkdir(parents=True)
        (folder.artifacts / name).write_bytes(data)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> ServerFolder:
    return server_in(tmp_path / "server")


def tree(path: Path) -> dict[str, bytes]:
    return {str(one.relative_to(path)): one.read_bytes() for one in path.rglob("*") if one.is_file()}


def test_a_backup_and_what_is_restored_have_the_same_files(folder: ServerFolder, tmp_path: Path) -> None:
    assert back_up(folder, tmp_path / "backup").n_artifacts == len(FILES)
    restored = ServerFolder(tmp_path / "other")
    restore(tmp_path / "backup", restored)
    assert tree(restored.artifacts) == tree(folder.artifacts) == FILES
    assert restored.password.read_text() == folder.password.read_text()
    for path in (tmp_path / "backup", restored.path):
        assert path.stat().st_mode & 0o077 == 0
    assert restored.password.stat().st_mode & 0o077 == 0


def test_files_in_a_bucket_stay_there(tmp_path: Path) -> None:
    written = back_up(server_in(tmp_path / "server", "s3://bucket/path"), tmp_path / "backup")
    assert written.n_artifacts == 0
    restored = ServerFolder(tmp_path / "other")
    restore(tmp_path / "backup", restored)
    assert restored.destination == "s3://bucket/path"


@pytest.mark.parametrize("program", ["pg_dump", "pg_restore"])
def test_what_fails_leaves_nothing(
    program: str, folder: ServerFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(folder, tmp_path / "backup")
    there, run = set(tmp_path.rglob("*")), postgres.run

    def fail(folder: ServerFolder, asked: str, *words: str | Path, connects: bool = True) -> str:
        if asked == program:
            raise ServerError(f"{asked} failed")
        return run(folder, asked, *words)

    monkeypatch.setattr(postgres, "run", fail)
    attempts = {
        "pg_dump": lambda: back_up(folder, tmp_path / "another"),
        "pg_restore": lambda: restore(tmp_path / "backup", ServerFolder(tmp_path / "another")),
    }
    with pytest.raises(ServerError):
        attempts[program]()
    assert set(tmp_path.rglob("*")) == there


def test_nothing_is_written_over(folder: ServerFolder, tmp_path: Path) -> None:
    back_up(folder, tmp_path / "backup")
    there = tree(tmp_path)
    with pytest.raises(SettingError, match="to must be a folder that is empty or not there yet"):
        back_up(folder, tmp_path / "backup")
    with pytest.raises(SettingError, match="folder must be a folder that is empty or not there yet"):
        restore(tmp_path / "backup", folder)
    assert tree(tmp_path) == there


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def rename(backup: Path, name: str, other: str) -> None:
    """Say that a file is another one."""
    about = json.loads((backup / ABOUT).read_text())
    about["files"][other] = about["files"].pop(name)
    (backup / ABOUT).write_text(json.dumps(about))


LARGE = f"{ARTIFACTS}/0/b/large"
DAMAGE: dict[str, Callable[[Path], object]] = {
    "a bit of a file": lambda backup: flip(backup / LARGE),
    "a bit of the dump": lambda backup: flip(backup / DUMP),
    "a file is gone": lambda backup: (backup / LARGE).unlink(),
    "the dump is gone": lambda backup: (backup / DUMP).unlink(),
    "nothing says what it is": lambda backup: (backup / ABOUT).unlink(),
    "it is no list": lambda backup: (backup / ABOUT).write_text("{}"),
    "a file from elsewhere": lambda backup: rename(backup, LARGE, f"{ARTIFACTS}/../../server/artifacts/0/b/large"),
    "a file beside the others": lambda backup: rename(backup, LARGE, "secret-key"),
    "no password": lambda backup: rename(backup, PASSWORD, f"{ARTIFACTS}/{PASSWORD}"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=list(DAMAGE))
def test_what_is_damaged_is_not_restored(damage: Callable[[Path], object], folder: ServerFolder, tmp_path: Path) -> None:
    back_up(folder, tmp_path / "backup")
    shutil.copy(folder.artifacts / "0/b/large", tmp_path / "backup" / "secret-key")
    Contents.of(tmp_path / "backup")
    damage(tmp_path / "backup")
    with pytest.raises(SettingError, match=r"^from must be a backup"):
        restore(tmp_path / "backup", ServerFolder(tmp_path / "other"))
    assert not (tmp_path / "other").exists()


def test_what_is_being_uploaded_is_no_file_yet_and_links_are_not_followed(folder: ServerFolder, tmp_path: Path) -> None:
    (folder.artifacts / "0/a/.artifact.uploading.x7").write_text("half")
    (folder.artifacts / "0/a/link").symlink_to(folder.password)
    written = copied_tree(folder.artifacts, tmp_path / "copy", "artifacts")
    assert written == {f"artifacts/{name}": digest_of(folder.artifacts / name) for name in FILES}
    assert tree(tmp_path / "copy" / "artifacts") == FILES


def test_what_is_deleted_meanwhile_is_none(folder: ServerFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = backup.copied

    def deleted_before(source: Path, to: Path) -> str:
        if source.name == "large":
            source.unlink()
        return copied(source, to)

    monkeypatch.setattr(backup, "copied", deleted_before)
    assert set(copied_tree(folder.artifacts, tmp_path / "copy", "artifacts")) == {"artifacts/0/a/results.json"}


def test_files_that_are_replaced_meanwhile_are_whole(folder: ServerFolder, tmp_path: Path) -> None:
    """As MLflow replaces them: by another one in their place."""
    over, path = threading.Event(), folder.artifacts / "0/b/large"

    def replace() -> None:
        while not over.is_set():
            for byte in b"ab":
                draft = path.with_name(f"{backup.UPLOADING}x")
                draft.write_bytes(bytes([byte]) * 3_000_000)
                os.replace(draft, path)

    replacing = threading.Thread(target=replace)
    replacing.start()
    try:
        for number in range(10):
            to = tmp_path / str(number)
            written = copied_tree(folder.artifacts, to, "artifacts")
            data = (to / "artifacts/0/b/large").read_bytes()
            assert len(data) in (3_000_000, len(FILES["0/b/large"]))
            assert len(set(data)) in (1, 256)
            assert written["artifacts/0/b/large"] == digest_of(to / "artifacts/0/b/large")
    finally:
        over.set()
        replacing.join()
