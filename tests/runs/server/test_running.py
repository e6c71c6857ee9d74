"""What a server is told, and what it says where its tables are of another version."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from configparser import ConfigParser
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from envs.core.validation import SettingError
from hierarchy.tracking.mlflow_store import open_store, store_uri
from runs.server import accounts, processes, running
from runs.server.folder import ServerFolder
from runs.server.processes import end_group, start
from runs.server.running import Listening
from tests.runs.serving import poll


def test_tables_of_another_version_are_told_from_other_errors(out_root: Path, tmp_path: Path) -> None:
    """By MLflow's own words."""
    with closing(sqlite3.connect(out_root / "mlflow.db")) as store, store:
        store.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    with pytest.raises(MlflowException) as raised:
        open_store(store_uri(out_root)).search_experiments()
    log = tmp_path / "log"
    log.write_text(str(raised.value))
    assert "metabalance server upgrade" in running.why(ServerFolder(tmp_path), log)
    log.write_text("another error")
    assert running.why(ServerFolder(tmp_path), log) == ""


def test_a_server_takes_nothing_of_its_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE", "PGHOST", "PGPASSWORD"):
        monkeypatch.setenv(name, "elsewhere")
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "https://s3.example.org")
    told = running.environment(ServerFolder(tmp_path))
    assert "elsewhere" not in told.values()
    assert told["MLFLOW_S3_ENDPOINT_URL"] == "https://s3.example.org"
    assert told["PATH"] == os.environ["PATH"]


def test_names_of_others_are_allowed_beside_this_machine() -> None:
    assert Listening("127.0.0.1", 5000, (), 1).words == ["--allowed-hosts", "localhost,localhost:*,127.0.0.1,127.0.0.1:*"]
    words = Listening("127.0.0.1", 5000, ("mlflow.example.org",), 1).words
    assert words[1].endswith("127.0.0.1:*,mlflow.example.org,mlflow.example.org:*")
    assert words[2:] == ["--cors-allowed-origins", "https://mlflow.example.org,https://mlflow.example.org:*"]


def test_a_password_that_others_read_or_guess_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "admin-password"
    drawn = accounts.secret_in(path)
    assert (len(drawn), accounts.secret_in(path)) == (32, drawn)
    path.chmod(0o640)
    with pytest.raises(SettingError, match=r"admin-password must be a file of mode 600, got .* of mode 640"):
        accounts.secret_in(path)
    path.chmod(0o600)
    path.write_text("password\n")
    with pytest.raises(SettingError, match=r"admin-password must be a file with at least 12 letters, got .* with 8"):
        accounts.secret_in(path)


def test_settings_of_accounts_hold_an_address_with_any_sign(tmp_path: Path) -> None:
    folder, uri = ServerFolder(tmp_path), "postgresql+psycopg:///mlflow?host=/a%20b"
    accounts.write_settings(folder, uri)
    config = ConfigParser()
    config.read(folder.accounts)
    assert config["mlflow"]["database_uri"] == uri


def test_artifacts_stay_where_they_were_chosen_to_be(tmp_path: Path) -> None:
    folder = ServerFolder(tmp_path / "server")
    folder.prepare("s3://a/b")
    folder.prepare(None)
    assert folder.destination == "s3://a/b"
    with pytest.raises(SettingError, match=r"artifacts must be s3://a/b, where those of this folder are, got s3://c"):
        folder.prepare("s3://c")


DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
PARENT = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {DEAF!r}]).pid, flush=True)"


def test_a_group_ends_with_all_that_it_has_started(tmp_path: Path) -> None:
    """Also what does not listen, and outlives who has started it."""
    log = tmp_path / "log"
    process = start([sys.executable, "-c", PARENT], os.environ, tmp_path, log, signal.SIGTERM)
    assert poll(lambda: len(log.read_text().split()) == 2)
    child = Path("/proc") / max(log.read_text().split(), key=int) / "stat"
    assert ") S " in child.read_text()
    end_group(process, signal.SIGTERM, patience_s=0.5)
    assert not child.is_file() or ") Z " in child.read_text()


def test_a_long_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LONGEST_LOG", 10)
    log = tmp_path / "logs" / "log"
    for word in ("first, and long", "second"):
        start([sys.executable, "-S", "-c", f"print({word!r})"], os.environ, tmp_path, log, signal.SIGTERM).wait()
    assert (log.read_text(), log.with_name("log.1").read_text()) == ("second\n", "first, and long\n")
