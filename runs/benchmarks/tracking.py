"""What tracking costs: the preset `quick` with a server of MLflow, with one that is away for a third, and with none."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from hierarchy.storage.folder import OutputFolder
from hierarchy.tracking.history import read
from hierarchy.tracking.mlflow_store import KEY_TAG, STORE_VARIABLE, open_store
from hierarchy.tracking.records import Metrics
from runs.benchmarks.end_to_end import Finished
from runs.benchmarks.plan import Case, Plan, Ratio, Target

PRESET = "quick"
HOST = "127.0.0.1"
START_S, PAUSE_S = 60.0, 0.2
"""How long a server may take to begin, and between two looks at it."""
MOST = Target("at most", 1.05)
EVERYTHING = 10**9
Points = Counter[tuple[str, str, int]]
"""Of runs by their key, metric and step."""


class Server:
    """A tracking server over an SQLite file in a folder, where it keeps everything; it can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server((HOST, 0)) as free:
            self.port = int(free.getsockname()[1])
        self.uri = f"http://{HOST}:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it answers some seconds later."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"]
        command += ["--artifacts-destination", (self.folder / "artifacts").as_uri()]
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(
            command, cwd=self.folder, stdout=quiet, stderr=quiet, env=environment, start_new_session=True
        )

    def wait(self) -> None:
        """Wait until it answers."""
        until_s = time.monotonic() + START_S
        while time.monotonic() < until_s:
            try:
                with urlopen(f"{self.uri}/health", timeout=PAUSE_S):
                    return
            except (URLError, OSError):
                time.sleep(PAUSE_S)
        raise RuntimeError(f"the server at {self.uri} did not begin")

    def kill(self) -> None:
        """At once, with all its workers."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    @contextmanager
    def away(self, from_s: float, until_s: float) -> Iterator[None]:
        """Away between two times of the block, which may end before."""
        over = threading.Event()

        def leave() -> None:
            if not over.wait(from_s):
                self.kill()
                over.wait(until_s - from_s)
                self.start()

        thread = threading.Thread(target=leave)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def handed(folder: Path) -> Points:
    """Points that an experiment journaled."""
    records = [placed.record for placed in read(OutputFolder(folder).journal, 0, EVERYTHING)]
    return Counter((one.run, name, one.step) for one in records if isinstance(one, Metrics) for name in one.values)


def stored(uri: str) -> Points:
    """Points that a server has."""
    client, found = open_store(uri), Points()
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            key, run_id = run.data.tags[KEY_TAG], run.info.run_id
            found.update(
                (key, name, one.step) for name in run.data.metrics for one in client.get_metric_history(run_id, name)
            )
    return found


class Training:
    """Measures whole experiments; how long the last one took says when the third of the next one is."""

    def __init__(self, scale: float) -> None:
        self._options = ["--lower.timesteps", str(max(1, round(scale * 204_800)))] if scale < 1 else []
        self._last_s = 0.0

    def there(self) -> float:
        """Seconds with a server that answers."""
        self._last_s = self._tracked(0.0)
        return self._last_s

    def away(self) -> float:
        """Seconds with one that is away for the middle third."""
        return self._tracked(self._last_s / 3)

    def untracked(self) -> float:
        """Seconds without MLflow."""
        with tempfile.TemporaryDirectory() as folder:
            return self._train(Path(folder) / "out", "--tracking.enabled", "false")

    def _tracked(self, third_s: float) -> float:
        with tempfile.TemporaryDirectory() as folder:
            server = Server(Path(folder))
            server.start()
            try:
                server.wait()
                with server.away(third_s, 2 * third_s) if third_s else nullcontext():
                    elapsed_s = self._train(Path(folder) / "out", uri=server.uri)
                server.wait()
                self._run("sync", Path(folder) / "out", uri=server.uri)
                if handed(Path(folder) / "out") != stored(server.uri):
                    raise RuntimeError("the server has other points than were journaled")
                return elapsed_s
            finally:
                server.kill()

    def _train(self, out: Path, *options: str, uri: str = "") -> float:
        return self._run("train", "--preset", PRESET, "--out", out, *self._options, *options, uri=uri)

    @staticmethod
    def _run(*words: object, uri: str) -> float:
        return Finished([sys.executable, "-m", "runs.cli", *map(str, words)], {STORE_VARIABLE: uri}).elapsed_s


def plan(scale: float) -> Plan:
    """The benchmark."""
    training = Training(scale)
    there, away, untracked = "a server of MLflow", "one that is away for the middle third", "no MLflow"
    return Plan(
        cases=[
            Case(there, "s", training.there),
            Case(away, "s", training.away),
            Case(untracked, "s", training.untracked),
        ],
        ratios=[Ratio(away, there, MOST), Ratio(there, untracked)],
    )
