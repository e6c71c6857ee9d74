"""What experiments that write at once cost each other: by the server of `metabalance server`, and straight to PostgreSQL."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cache
from itertools import count
from pathlib import Path

from hierarchy.tracking.mlflow_store import STORE_VARIABLE
from runs.benchmarks.plan import Case, Plan, Ratio
from runs.benchmarks.writers import Writers
from runs.server.accounts import ADMIN, secret_in
from runs.server.folder import ServerFolder
from runs.server.mlflow_process import HOST
from runs.server.postgres import uri_of
from runs.server.running import Listening, check_installed, serving
from runs.testbed.ports import free_ports

SIZES = (1, 2, 4, 8)
"""Experiments at once."""
N_POINTS = 20_000
"""Of each experiment."""
WORKERS = 2
BY_SERVER, DIRECT = "by the server", "straight to PostgreSQL"


class Running:
    """A server, and processes that write to it, until this process ends.

    Raises
    ------
    SettingError
        A server can't run here.
    """

    def __init__(self) -> None:
        check_installed(None)
        stack = ExitStack()
        atexit.register(stack.close)
        self._root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="metabalance-")))
        self._writers = stack.enter_context(Writers())
        self._numbers = count()
        folder, [port] = ServerFolder(self._root.resolve() / "server"), free_ports(1)
        stack.enter_context(serving(folder, Listening(HOST, port, (), WORKERS)))
        signed_in = {"MLFLOW_TRACKING_USERNAME": ADMIN, "MLFLOW_TRACKING_PASSWORD": secret_in(folder.password)}
        self._environments: Mapping[str, Mapping[str, str]] = {
            BY_SERVER: {STORE_VARIABLE: f"http://{HOST}:{port}", **signed_in},
            DIRECT: {STORE_VARIABLE: uri_of(folder)},
        }

    def write(self, way: str, n: int, n_points: int) -> list[float]:
        """Seconds that each of ``n`` experiments took."""
        return self._writers.write(n, n_points, self._root / f"written-{next(self._numbers)}", self._environments[way])


@cache
def _running() -> Running:
    return Running()


class Crowd:
    """So many experiments at once, measured once for two figures.

    Parameters
    ----------
    n_points
        Of each.
    """

    def __init__(self, way: str, n: int, n_points: int) -> None:
        self._way, self._n, self._n_points = way, n, n_points
        self._elapsed_s: list[float] = []

    def each(self) -> float:
        """Points per second of one of them, in the mean."""
        self._elapsed_s = _running().write(self._way, self._n, self._n_points)
        return self._n_points * self._n / sum(self._elapsed_s)

    def together(self) -> float:
        """Points per second of all, until the last is done; of what :meth:`each` has measured."""
        return self._n * self._n_points / max(self._elapsed_s)


def plan(scale: float) -> Plan:
    """The benchmark; its first case is refused where a server can't run."""
    n_points = max(10, round(scale * N_POINTS / 10) * 10)
    cases, ratios = [], []
    for way in (BY_SERVER, DIRECT):
        for n in SIZES:
            crowd = Crowd(way, n, n_points)
            figures: dict[str, Callable[[], float]] = {"each": crowd.each, "together": crowd.together}
            for name, measure in figures.items():
                cases.append(Case(f"{n} {way}, {name}", "points/s", measure))
                if n > 1:
                    ratios.append(Ratio(f"{n} {way}, {name}", f"1 {way}, {name}"))
    return Plan(cases, ratios)
