"""A controller that is watched: over HTTP, in an audit file and in a terminal, while its HAProxy comes and goes."""

from __future__ import annotations

import builtins
import http.client
import importlib.util
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hierarchy.live.audit import verify
from runs.cli import main
from runs.testbed.bed import TestBed
from tests.runs.commands.live.conftest import weights_of, words

pytest.importorskip("prometheus_client")

from prometheus_client.parser import text_string_to_metric_families

pytestmark = pytest.mark.slow
Capture = pytest.CaptureFixture[str]
Command = Callable[..., subprocess.Popen[str]]


class Answer(NamedTuple):
    status: int
    body: str


def get(address: str, path: str) -> Answer:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return Answer(answer.status, body)


def until(is_so: Callable[[], bool], what: str) -> None:
    until_s = time.monotonic() + 60.0
    while not is_so():
        assert time.monotonic() < until_s, what
        time.sleep(0.05)


def values(address: str) -> dict[tuple[str, frozenset[str]], float]:
    families = text_string_to_metric_families(get(address, "/metrics").body)
    return {(one.name, frozenset(one.labels.values())): one.value for family in families for one in family.samples}


def served(command: Command, bed: TestBed, folder: Path, *more: object) -> tuple[subprocess.Popen[str], str]:
    """A controller in a process of its own, and its address."""
    running = command(*words(bed, folder, "--apply", "--http.port", 0, *more))
    assert running.stderr is not None
    line = running.stderr.readline()
    if line == "metabalance: compiling what measures, once\n":  # where nobody has done so before
        line = running.stderr.readline()
    assert line.startswith("metabalance: http://127.0.0.1:"), line
    assert line.endswith(" has /metrics, /healthz, /readyz, /state\n")
    return running, line.split()[1]


def test_all_of_it(bed: TestBed, folder: Path, tmp_path: Path, command: Command, capsys: Capture) -> None:
    audit = tmp_path / "audit"
    running, address = served(command, bed, folder, "--audit", audit)
    try:
        until(lambda: get(address, "/readyz") == (200, "ok\n"), "it is ready")
        assert get(address, "/healthz") == (200, "ok\n")
        until(lambda: values(address)["metabalance_windows_total", frozenset()] >= 2, "windows end")
        found = values(address)
        assert found["metabalance_decisions_total", frozenset()] >= 5
        assert found["metabalance_decision_seconds_count", frozenset()] >= 5
        assert sum(value for (name, _), value in found.items() if name == "metabalance_context_weight") == pytest.approx(1.0)
        weights = {labels for name, labels in found if name == "metabalance_weight"}
        assert weights == {frozenset((b, s)) for b in bed.backends for s in bed.servers}
        assert found["metabalance_telemetry_age_seconds", frozenset(["stats"])] < 60.0
        assert found["metabalance_haproxy_restarts_total", frozenset()] == 0

        bed.proxy.kill()
        until(lambda: get(address, "/readyz").status == 503, "it says that HAProxy is gone")
        until(lambda: "can't be reached" in get(address, "/readyz").body, "and why")
        assert get(address, "/readyz").body.count("\n") == 1
        assert get(address, "/healthz") == (200, "ok\n")
        bed.proxy.start()
        bed.wait_until_up()
        until(lambda: get(address, "/readyz") == (200, "ok\n"), "it is ready again")
        found = values(address)
        assert found["metabalance_haproxy_restarts_total", frozenset()] == 1
        assert found["metabalance_held_decisions_total", frozenset({"unreachable"})] >= 1
        state = json.loads(get(address, "/state").body)
        assert (state["pair"], state["servers"], state["applies"]) == (str(folder), list(bed.servers), True)
    finally:
        running.terminate()
        out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (130, "metabalance: interrupted\n")
    assert weights_of(bed) == {100}
    with pytest.raises(ConnectionRefusedError):
        get(address, "/healthz")

    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    assert {line["level"] for line in lines if line["held_because"]} == {"error"}
    checked = verify(audit)
    entries = [json.loads(line) for line in audit.read_text().splitlines()]
    assert (entries[0]["event"], entries[-1]["event"], checked.n_cut) == ("begin", "end", 0)
    of_step = {one["step"]: one for one in entries if one["event"] == "step"}
    assert list(of_step) == [line["step"] for line in lines]
    for line in lines:
        entry = of_step[line["step"]]
        assert (entry["weights"], entry["held_because"]) == (line["weights"], line["held_because"])
        assert (entry["measured"] is None) == bool(line["held_because"])
    assert len({one["measured"] for one in of_step.values()}) > 3
    capsys.readouterr()
    assert main(["audit", str(audit)]) == 0


def test_a_controller_that_was_killed_goes_on_with_its_audit_file(
    bed: TestBed, folder: Path, tmp_path: Path, command: Command
) -> None:
    audit = tmp_path / "audit"
    running, address = served(command, bed, folder, "--audit", audit)
    until(lambda: get(address, "/readyz").status == 200, "it is ready")
    until(lambda: audit.stat().st_size > 5_000, "it writes")
    running.kill()
    running.communicate(timeout=60)
    n_before = verify(audit).head.number
    assert main(words(bed, folder, "--steps", 2, "--audit", audit)) == 0
    assert verify(audit).head.number == n_before + 4, "a beginning, two steps and an end"


def test_whoever_reads_its_lines_may_go(bed: TestBed, folder: Path, command: Command) -> None:
    running, address = served(command, bed, folder)
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.close()
    said = running.stderr.readline()
    assert said.startswith("metabalance: standard output has failed ([Errno 32] Broken pipe); steering goes on")
    name = ("metabalance_observer_failures_total", frozenset(["standard output"]))
    until(lambda: values(address).get(name, 0) >= 2, "it is counted")
    assert get(address, "/healthz").status == 200
    running.terminate()
    assert running.wait(60) == 130
    assert running.stderr.read() == "metabalance: interrupted\n"


def test_a_full_disk_stops_nobody(bed: TestBed, folder: Path, tmp_path: Path, capsys: Capture) -> None:
    """A limit on the size of files stands for the disk."""
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, resource.RLIM_INFINITY));"
        "from runs.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = words(bed, folder, "--steps", 8, "--audit", tmp_path / "audit")
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert done.stderr.count("metabalance: audit has failed") == 1
    assert lines[-1]["failures"]["audit"] >= 2
    verify(tmp_path / "audit")


def test_without_the_library_it_says_what_to_install(
    bed: TestBed, folder: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "prometheus_client" else find_spec(name, *more)
    )
    said = refused(*words(bed, folder, "--http.port", 0))
    assert said == "http.port must be left out where prometheus-client is missing (pip install 'metabalance[live]'), got 0"


def test_without_http_the_library_is_not_needed(
    bed: TestBed, folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        assert not name.startswith(("prometheus_client", "textual")), name
        return imported(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(words(bed, folder, "--steps", 1)) == 0


REFUSED = {
    "port": (["--http.port", "70000"], "http.port must be >= 0 and <= 65535, got 70000"),
    "host": (["--http.host", "not an address", "--http.port", "0"], "http.host must be one that can be listened at"),
    "audit": (["--audit", "/nowhere/audit"], "audit must be a file that can be written (No such file or directory)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_watched_is_refused(bed: TestBed, folder: Path, refused: Callable[..., str], name: str) -> None:
    arguments, said = REFUSED[name]
    assert refused(*words(bed, folder, *arguments)).startswith(said)


def shown(terminal: int, process: subprocess.Popen[bytes], word: bytes) -> bytes:
    """What a terminal is sent until a word comes."""
    got, until_s = b"", time.monotonic() + 60.0
    while word not in got and time.monotonic() < until_s and process.poll() is None:
        if select.select([terminal], [], [], 0.1)[0]:
            got += os.read(terminal, 1 << 16)
    return got


@pytest.mark.parametrize(("end", "status"), [(b"q", 0), (b"\x03", 0), (signal.SIGTERM, 130)])
def test_top_shows_it_in_a_terminal_until_it_is_ended(
    bed: TestBed, folder: Path, command: Command, end: bytes | signal.Signals, status: int
) -> None:
    pytest.importorskip("textual")
    running, address = served(command, bed, folder)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    arguments = [sys.executable, "-m", "runs.cli", "top", address.removeprefix("http://"), "--every_s", "0.2"]
    top = subprocess.Popen(arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True)
    try:
        got = shown(ours, top, b"as decided")
        assert b"web_batch" in got
        assert b"as decided" in got
        if isinstance(end, bytes):
            os.write(ours, end)
        else:
            top.send_signal(end)
        shown(ours, top, b"a word that never comes")
        assert top.wait(60) == status
    finally:
        top.kill()
        running.terminate()
        running.communicate(timeout=60)
        os.close(ours)
        os.close(theirs)
