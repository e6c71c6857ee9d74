"""The tables of a server for another version of MLflow."""

from __future__ import annotations

import subprocess
import sys

from runs.server import postgres
from runs.server.folder import ServerFolder, alone
from runs.server.processes import ServerError
from runs.server.running import environment, log_of


def upgrade(folder: ServerFolder) -> None:
    """Bring the tables of a server that does not run up to the version of MLflow that is installed; accounts follow when it
    starts.

    Raises
    ------
    SettingError
        There is no server, or it runs.
    ServerError
        MLflow does not do it.
    """
    postgres.check_postgres()
    folder.check_is_one()
    with alone(folder), postgres.running(folder), log_of(folder).open("ab") as log:
        words = [sys.executable, "-m", "mlflow", "db", "upgrade", postgres.uri_of(folder)]
        done = subprocess.run(words, stdout=log, stderr=log, check=False, env=environment(folder), cwd=folder.path)
    if done.returncode != 0:
        raise ServerError(f"MLflow does not upgrade the tables, what it said is in {log_of(folder)}")
