"""A store that MLflow can never open is refused before training, one that does not answer is not."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from envs.core.validation import SettingError
from hierarchy.tracking.mlflow_store import STORE_VARIABLE, store_uri
from hierarchy.tracking.store import check_store

DRIVERS = {
    "mysql+mysqldb": "MySQLdb",
    "mssql+pyodbc": "pyodbc",
    "postgresql+psycopg2": "psycopg2",
    "postgresql+asyncpg": "asyncpg",
}
MISSING = next(name for name, module in DRIVERS.items() if find_spec(module) is None)


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def open_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def refusal(uri: str) -> str:
    with pytest.raises(SettingError, match=f"^{STORE_VARIABLE} must be ") as refused:
        check_store(uri)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    "uri", ["garbage://x", "garbage:/x", "sqlite+garbage:///x", "postgresql+garbage://h/d", "databricks"]
)
def test_an_unknown_store_is_refused(uri: str) -> None:
    assert uri in refusal(uri)


def test_a_database_without_its_driver_is_refused() -> None:
    line = refusal(f"{MISSING}://user@127.0.0.1/db")
    assert "driver is installed" in line
    assert MISSING in line


def test_the_extra_that_brings_the_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    line = refusal("postgresql+psycopg://user:secret@127.0.0.1/db")
    assert "there is no psycopg: pip install 'metabalance[postgres]'" in line
    assert "secret" not in line


@pytest.mark.parametrize("scheme", ["http", "https", "postgresql+psycopg"])
def test_a_server_that_does_not_answer_is_not_refused(scheme: str, closed_port: int) -> None:
    assert not check_store(f"{scheme}://127.0.0.1:{closed_port}/db")


@pytest.mark.parametrize(
    "uri",
    [
        f"{MISSING}://user:secret@h/db",
        f"{MISSING}://h/db?user=u&password=secret",
        "http://user:secret@h:port/",
        "http://user:se/secret@h/",
        "postgresql+psycopg://user:secret@h:port/db",
        "postgresql+garbage://user:secret@h/db",
        "garbage://user:secret@h/db?password=secret",
        "garbage:user:secret@h",
    ],
)
def test_a_password_is_not_printed(uri: str) -> None:
    assert "secret" not in refusal(uri)


@pytest.mark.parametrize("uri", ["http://", "http://[1", "http://127.0.0.1:port/"])
def test_an_address_that_is_none_is_refused(uri: str) -> None:
    assert uri in refusal(uri)


def test_where_a_proxy_stands_between_only_it_knows_who_answers(closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    assert check_store(f"http://mlflow.example:{closed_port}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert not check_store(f"http://127.0.0.1:{closed_port}")


def test_a_database_in_a_folder_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"sqlite:///{tmp_path / 'nowhere' / 'mlflow.db'}"
    monkeypatch.setenv(STORE_VARIABLE, uri)
    assert "a folder that is there" in refusal(uri)


def test_a_store_of_its_own_and_a_server_that_answers_are_taken(tmp_path: Path, open_port: int) -> None:
    assert check_store(store_uri(tmp_path / "made" / "later"))
    assert check_store(f"http://127.0.0.1:{open_port}")
    assert not list(tmp_path.iterdir()), "a check makes no store"
