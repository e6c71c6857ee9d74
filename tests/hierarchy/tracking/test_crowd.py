"""Many experiments write to one PostgreSQL at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hierarchy.tracking.mlflow_store import STORE_VARIABLE, open_store
from tests.docs.pages import ROOT
from tests.hierarchy.tracking import crowd
from tests.hierarchy.tracking.filling import ARMS, EXPERIMENT, handed, stored
from tests.hierarchy.tracking.servers import BINARIES, running_postgres

N_PROCESSES, N_STEPS, N_METRICS = 8, 6_250, 2
N_POINTS = 100_000


@pytest.mark.slow
def test_of_a_hundred_thousand_points_of_eight_processes_none_is_lost_and_none_is_there_twice(tmp_path: Path) -> None:
    assert N_PROCESSES * N_STEPS * N_METRICS == N_POINTS
    with running_postgres() as postgres:
        open_store(postgres.uri).create_experiment(EXPERIMENT)
        words = [sys.executable, "-m", crowd.__name__, str(tmp_path), str(N_PROCESSES), str(N_STEPS)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), STORE_VARIABLE: postgres.uri}
        done = subprocess.run(words, env=environment, cwd=tmp_path, check=False, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        found = stored(postgres.uri)
        query = "SELECT count(*), count(DISTINCT (run_uuid, key, step)) FROM metrics"
        asked = [BINARIES / "psql", "-h", postgres.folder, "-U", "mlflow", "-d", "postgres", "-Atc", query]
        counted = subprocess.run(asked, check=True, capture_output=True, text=True, cwd=tmp_path).stdout.strip()
    n_rows = N_POINTS + N_PROCESSES * len(ARMS)
    assert counted == f"{n_rows}|{n_rows}"
    expected = {key: points for number in range(N_PROCESSES) for key, points in handed(tmp_path / str(number)).items()}
    assert len(expected) == N_PROCESSES * (2 + len(ARMS))
    assert found == expected
