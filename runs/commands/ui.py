"""`metabalance ui`: MLflow's web page over the experiments of an output folder."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from envs.core.validation import check, setting
from runs.commands.experiments import OUT_ROOT
from runs.settings.options import add_options, options_of
from runs.settings.usage import UsageError

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
    """Serve until interrupted; prints the address of the arms ranked by objective. Returns the server's exit status.

    Raises
    ------
    UsageError
        There is no such experiment, or the port is taken.
    """
    from hierarchy.tracking.mlflow_store import artifact_root, open_store, store_uri
    from hierarchy.tracking.mlflow_views import latest_view, runs_address, view_address

    uri = store_uri(out_root)
    client = open_store(uri) if _store_exists(uri) else None
    found = client.get_experiment_by_name(experiment) if client is not None else None
    if client is None or found is None:
        raise UsageError(f"out must hold MLflow experiment {experiment!r}, got {out_root}")
    if not _port_is_free(port):
        raise UsageError(f"port must be a free TCP port, got {port}")
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


@dataclass(frozen=True)
class Options:
    """Which experiments, and where."""

    out: Path = OUT_ROOT
    """folder that holds all outputs"""
    port: int = setting(5000, ge=1, le=65535)
    """TCP port"""
    experiment: str = "metabalance"
    """MLflow experiment to show"""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Ui:
    """MLflow's page, on this machine only."""

    name: str = "ui"
    help: str = "serve MLflow on 127.0.0.1"

    def add_options(self, parser: ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
        add_options(parser, Options, arguments)
        return arguments

    def run(self, parsed: Namespace) -> int:
        from hierarchy.tracking.mlflow_store import store_uri
        from hierarchy.tracking.store import check_store

        options = options_of(Options, parsed)
        if _store_exists(store_uri(options.out)):
            check_store(store_uri(options.out))
        return serve(options.out, options.port, options.experiment)


UI = Ui()
