"""What `metabalance server` refuses, in one line, with nothing written."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runs.cli import parse
from runs.server import postgres
from tests.docs.pages import blocks
from tests.hierarchy.tracking.servers import installed_postgres

Refused = Callable[..., str]


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not root, on a machine with PostgreSQL, of which nothing is started."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(postgres, "BINARIES", Path(__file__).parent / "bin")
    monkeypatch.setattr(Path, "is_file", lambda path, there=Path.is_file: path.parent == postgres.BINARIES or there(path))


ACTIONS = (["start"], ["backup", "--to", "new"], ["restore", "--from", "old"], ["upgrade"])


@pytest.mark.parametrize("words", ACTIONS, ids=lambda words: words[0])
def test_root_is_refused(words: list[str], refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    installed_postgres()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    line = refused("server", words[0], "folder", *words[1:])
    assert line.startswith("user must be another one than root")


@pytest.mark.parametrize("words", ACTIONS, ids=lambda words: words[0])
def test_without_postgresql_it_says_what_to_install(
    words: list[str], refused: Refused, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(postgres, "BINARIES", tmp_path / "bin")
    line = refused("server", words[0], "folder", *words[1:])
    assert (
        line == f"PostgreSQL must be version 15 (on Debian: apt-get install postgresql-15), got none in {tmp_path / 'bin'}"
    )


@pytest.mark.usefixtures("somebody")
def test_a_port_that_is_taken_is_refused(refused: Refused) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refused("server", "start", "folder", "--port", port) == f"port must be a free TCP port, got {port}"


@pytest.mark.usefixtures("somebody")
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--host", "192.0.2.1"], "host must be an address of this machine, got 192.0.2.1"),
        (
            ["--host", "0.0.0.0"],
            "allowed_hosts must be given with host 0.0.0.0: the names that others call it by, got nothing",
        ),
        (["--allowed_hosts", "a,*"], "allowed_hosts must be names of hosts with commas between, without ports, got *"),
        (["--allowed_hosts", "a:80"], "allowed_hosts must be names of hosts with commas between, without ports, got a:80"),
        (
            ["--artifacts", "gs://a"],
            "artifacts must be s3://BUCKET/PATH, or left out: a folder beside the database, got gs://a",
        ),
        (["--workers", "0"], "workers must be >= 1 and <= 64, got 0"),
        (["--to", "new"], "unrecognized arguments: --to new"),
    ],
    ids=str,
)
def test_what_it_can_not_serve_with_is_refused(words: list[str], line: str, refused: Refused) -> None:
    assert refused("server", "start", "folder", *words) == line


@pytest.mark.usefixtures("somebody")
@pytest.mark.parametrize(("module", "words"), [("flask_wtf", []), ("boto3", ["--artifacts", "s3://a/b"])])
def test_without_a_package_that_it_needs_it_says_what_to_install(
    module: str, words: list[str], refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    line = refused("server", "start", "folder", *words)
    assert f"{module} is" in line
    assert "pip install" in line


@pytest.mark.usefixtures("somebody")
def test_a_folder_that_holds_something_else_is_refused(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("kept")
    line = refused("server", "start", "mine")
    assert line == f"folder must be one that a server was started in, or an empty one, got {tmp_path / 'mine'}"
    for action in ("backup", "upgrade"):
        line = refused("server", action, "mine", *(["--to", "new"] if action == "backup" else []))
        assert line == f"folder must be one that `metabalance server` has made, got {tmp_path / 'mine'}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


@pytest.mark.usefixtures("somebody")
def test_a_path_that_no_socket_can_have_is_refused(refused: Refused, tmp_path: Path) -> None:
    assert refused("server", "start", "a" * 100).startswith("folder must be a path of at most 86 bytes")
    assert refused("server", "start", f"{tmp_path}/a,b").startswith("folder must be a path without commas")


@pytest.mark.usefixtures("somebody")
def test_what_must_be_given_is_asked_for(refused: Refused) -> None:
    assert refused("server", "backup", "folder") == "to must be given: a folder for the backup, got nothing"
    assert refused("server", "restore", "folder") == "from must be given: the folder of a backup, got nothing"
    assert refused("server", "stop") == "action must be one of start, backup, restore, upgrade, got 'stop'"


def test_the_commands_of_the_page_are_such() -> None:
    lines = [line for block in blocks("docs/server.md", "text") for line in block.splitlines()]
    asked = [line.split()[1:] for line in lines if line.startswith("metabalance server")]
    assert {words[1] for words in asked} == {"start", "backup", "restore", "upgrade"}
    for words in asked:
        assert parse(words)[0].name == "server"
