"""A server from its first start to one that is restored elsewhere, as users and whoever looks after it meet it."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from hierarchy.tracking.mlflow_store import STORE_VARIABLE, open_store
from hierarchy.tracking.tracked import Tracker
from tests.hierarchy.tracking.filling import EXPERIMENT, Point, assert_whole, fill, runs_in, stored
from tests.hierarchy.tracking.servers import wait_for
from tests.runs.server.places import Server, done, place
from tests.runs.serving import free_port

pytestmark = pytest.mark.slow
USERS = {"ann": "ann's password", "bob": "bob's password"}


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with place() as folder:
        yield folder


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    running = Server(home / "server")
    try:
        for name, password in USERS.items():
            payload = {"username": name, "password": password}
            assert running.ask("users/create", ("admin", running.password), payload)[0] == 200
        yield running
    finally:
        running.end()


def sign_in(server: Server, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment in which a user tracks."""
    monkeypatch.setenv(STORE_VARIABLE, server.uri)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", name)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", USERS.get(name, server.password))
    return server.uri


ANN, BOB = USERS.items()
DEFAULT = "experiments/get-by-name?experiment_name=Default"


@pytest.mark.parametrize(
    ("who", "host", "status"),
    [
        (None, "", 401),
        (("admin", "password1234"), "", 401),
        (("admin", "ann's password"), "", 401),
        (ANN, "", 200),
        (ANN, "evil.example", 403),
    ],
)
def test_who_gets_in(server: Server, who: tuple[str, str] | None, host: str, status: int) -> None:
    assert server.ask(DEFAULT, who, host=host)[0] == status


def test_secrets_are_for_their_owner_alone_and_shown_nowhere(server: Server) -> None:
    secret = ("admin-password", "secret-key")
    for name in (".", "socket", "postgres", "artifacts", "logs", *secret, "basic_auth.ini"):
        assert (server.folder / name).stat().st_mode & 0o077 == 0, name
    secrets = [(server.folder / name).read_text().strip() for name in secret]
    assert len(set(secrets)) == 2
    processes = server.processes()
    assert len(processes) > 4
    logs = [path.read_text() for path in (server.folder / "logs").iterdir()]
    for text in (*processes.values(), *logs, *server.said, (server.folder / "basic_auth.ini").read_text()):
        assert not [one for one in (*secrets, *USERS.values()) if one in text], text


def test_the_database_is_durable_and_listens_to_its_owner_alone(server: Server) -> None:
    names = ("listen_addresses", "fsync", "full_page_writes", "synchronous_commit", "data_checksums")
    shown = {name: server.psql(f"SHOW {name}").stdout.strip() for name in names}
    assert shown == {"listen_addresses": "", **dict.fromkeys(names[1:], "on")}
    if os.geteuid() == 0:
        refused = server.psql("SELECT 1", by_root=True)
        assert refused.returncode != 0
        assert "Peer authentication failed" in refused.stderr or "does not exist" in refused.stderr


def test_users_add_to_one_experiment_and_delete_their_own_alone(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in USERS:
        sign_in(server, name, monkeypatch)
        synced = fill(tmp_path / name, 20).synced
        assert (synced.n_waiting, synced.n_refused) == (0, 0)
        assert_whole(tmp_path / name, server.uri)
    assert_may_not_delete(server, BOB)
    assert server.ask("users/create", BOB, {"username": "eve", "password": "eve's password"})[0] == 403


def assert_may_not_delete(server: Server, who: tuple[str, str]) -> None:
    status, there = server.ask(f"experiments/get-by-name?experiment_name={EXPERIMENT}", who)
    assert status == 200
    assert server.ask("experiments/delete", who, {"experiment_id": there["experiment"]["experiment_id"]})[0] == 403


def test_a_server_that_runs_is_let_be(server: Server, home: Path) -> None:
    for action in ("start", "upgrade"):
        words = ["--port", free_port()] if action == "start" else []
        status, printed, line = done("server", action, server.folder, *words, home=home)
        assert (status, printed) == (2, "")
        assert line.startswith(f"metabalance: folder must be one where no server runs, got {server.folder} (process ")


class Kept(NamedTuple):
    """What a server has acknowledged: points by run, and files by their place."""

    points: dict[str, Counter[Point]]
    files: dict[str, str]


def kept(server: Server) -> Kept:
    client, files = open_store(server.uri), {}
    for run in runs_in(server.uri):
        artifacts = server.folder / "artifacts" / run.info.experiment_id / run.info.run_id / "artifacts"
        for one in client.list_artifacts(run.info.run_id):
            files[f"{run.info.run_id}/{one.path}"] = (artifacts / one.path).read_text()
    return Kept(stored(server.uri), files)


def keep_writing(folder: Path, over: threading.Event) -> None:
    """Points and files until it is over, as fast as the server takes them."""
    folder.mkdir()
    tracker = Tracker(folder, EXPERIMENT, {})
    with tracker, tracker.run("experiment", "busy") as run:
        for number in range(10_000):
            for step in range(20 * number, 20 * number + 20):
                run.metrics({"a": step / 7}, step)
            path = folder / f"{number}.txt"
            path.write_text(f"{number} " * 1000)
            run.artifact(path)
            while tracker.synced.n_waiting:
                if over.wait(0.05):
                    return


class Moved(NamedTuple):
    """A server that was restored elsewhere, and what the first one had when the backup was begun and when it was over."""

    server: Server
    before: Kept
    after: Kept
    printed: str


@pytest.fixture(scope="module")
def moved(server: Server, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    folder, over = tmp_path_factory.mktemp("tracked"), threading.Event()
    with pytest.MonkeyPatch.context() as patch:
        sign_in(server, "ann", patch)
        fill(folder / "early", 100)
        writing = threading.Thread(target=keep_writing, args=(folder / "busy", over))
        writing.start()
        try:
            wait_for(lambda: (folder / "busy" / "2.txt").is_file())
            before = kept(server)
            status, printed, errors = done("server", "backup", server.folder, "--to", home / "backup", home=home)
        finally:
            over.set()
            writing.join()
        assert (status, errors) == (0, "")
        after = kept(server)
    server.end()
    status, _, errors = done("server", "restore", home / "other", "--from", home / "backup", home=home)
    assert (status, errors) == (0, "")
    restored = Server(home / "other")
    yield Moved(restored, before, after, printed)
    restored.end()


def test_a_server_that_ends_leaves_nothing_and_mlflow_ends_first(server: Server, moved: Moved) -> None:
    """A database that ends while somebody is connected says so."""
    assert server.process.returncode == 130
    assert server.is_gone()
    log = (server.folder / "logs" / "postgres.log").read_text()
    assert "database system is shut down" in log
    assert "terminating connection" not in log
    assert "Finished server process" in (server.folder / "logs" / "mlflow.log").read_text()


def test_a_backup_has_all_that_was_acknowledged_before_it(moved: Moved, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(moved.server, "ann", monkeypatch)
    found = kept(moved.server)
    assert moved.before.points.keys() <= found.points.keys()
    for key, points in moved.before.points.items():
        assert points <= found.points[key]
    assert moved.before.files.items() <= found.files.items()
    assert len(moved.after.files) > len(moved.before.files) > 0
    assert found.files.items() <= moved.after.files.items()
    for key, points in found.points.items():
        assert points <= moved.after.points[key]


def test_a_backup_is_of_a_server_that_was_written_to(moved: Moved) -> None:
    n_before, n_after = (sum(map(Counter.total, one.points.values())) for one in (moved.before, moved.after))
    assert n_after > n_before


def test_users_and_their_rights_come_with_a_backup(moved: Moved) -> None:
    for who in (ANN, BOB, ("admin", moved.server.password)):
        assert moved.server.ask(DEFAULT, who)[0] == 200
    assert moved.server.ask(DEFAULT, ("ann", USERS["bob"]))[0] == 401
    assert_may_not_delete(moved.server, BOB)


def test_a_restored_server_takes_more_and_gives_what_it_has(
    moved: Moved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = sign_in(moved.server, "bob", monkeypatch)
    assert fill(tmp_path / "late", 20).synced.n_waiting == 0
    assert_whole(tmp_path / "late", uri)
    place, text = next(iter(moved.before.files.items()))
    run, _, name = place.partition("/")
    assert Path(open_store(uri).download_artifacts(run, name, str(tmp_path))).read_text() == text


def test_a_server_that_ended_goes_on_and_ends_with_its_programs(
    server: Server, moved: Moved, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one, after an upgrade that has nothing to do."""
    status, _, errors = done("server", "upgrade", server.folder, home=home)
    assert (status, errors) == (0, "")
    again = Server(server.folder)
    try:
        assert "the first password" in again.said[1]
        sign_in(again, "ann", monkeypatch)
        assert kept(again) == moved.after
        mlflow = next(number for number, words in again.processes().items() if "mlflow server" in words)
        os.kill(mlflow, signal.SIGKILL)
        _, errors = again.process.communicate(timeout=120)
        log = server.folder / "logs" / "mlflow.log"
        assert (again.process.returncode, errors) == (1, f"metabalance: MLflow has ended, what it said is in {log}\n")
    finally:
        again.end()
    assert again.is_gone()


def test_a_server_that_is_killed_takes_its_programs_with_it(moved: Moved) -> None:
    """The last test of the second one."""
    assert moved.server.end(signal.SIGKILL) == -signal.SIGKILL
    assert moved.server.is_gone()
