"""MLflow's web page over the experiments of an output folder."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from hierarchy.tracking.mlflow_store import artifact_root, open_store, store_uri
from hierarchy.tracking.mlflow_views import latest_view, runs_address, view_address

HOST = "127.0.0.1"


def _port_is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def serve(out_root: Path, port: int, experiment: str) -> int:
    """Serve until interrupted; prints the address of the arms ranked by objective. Returns the server's exit status."""
    uri = store_uri(out_root)
    client = open_store(uri) if _store_exists(uri) else None
    found = client.get_experiment_by_name(experiment) if client is not None else None
    if client is None or found is None:
        print(f"metabalance: out must hold MLflow experiment {experiment!r}, got {out_root}", file=sys.stderr)
        return 2
    if not 0 < port < 65536 or not _port_is_free(port):
        print(f"metabalance: port must be a free TCP port, got {port}", file=sys.stderr)
        return 2
    base, view = f"http://{HOST}:{port}", latest_view(client, found.experiment_id)
    if view is None:
        print(f"no arms yet: {runs_address(base, found.experiment_id)}", flush=True)
    else:
        print(f"arms by objective: {view_address(base, found.experiment_id, view)}", flush=True)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--host", HOST]
    command += ["--port", str(port), "--artifacts-destination", artifact_root(out_root), "--workers", "1"]
    server = subprocess.Popen(command, start_new_session=True)
    try:
        return server.wait()
    finally:
        _end_group(server.pid)


def _end_group(group: int) -> None:
    """End the server and the workers that it started: an interrupt of this process does not reach them."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)


def _store_exists(uri: str) -> bool:
    """A missing SQLite file would be made by asking for it."""
    return not uri.startswith("sqlite:") or Path(uri.removeprefix("sqlite:///")).is_file()
