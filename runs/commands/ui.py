"""`metabalance ui`: MLflow's web page over the experiments of an output folder."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from envs.core.validation import SettingError, check, setting
from runs.commands.experiments import OUT_ROOT
from runs.server.mlflow_process import HOST, check_port, server_words
from runs.server.processes import end_group
from runs.settings.options import add_options, options_of
from runs.settings.usage import UsageError

SHARING = (
    "on this machine only, for whoever reaches MLflow can change everything in it; "
    "docs/server.md has a server for several people"
)


def serve(out_root: Path, port: int, experiment: str) -> int:
    """Serve until interrupted; prints the address of the arms ranked by objective. Returns the server's exit status.

    Raises
    ------
    UsageError, SettingError
        There is no such experiment, its store does not answer, or the port is taken.
    """
    from hierarchy.tracking.mlflow_store import artifact_root, store_exists, store_uri

    uri, base = store_uri(out_root), f"http://{HOST}:{port}"
    found = _latest(uri, experiment, base) if store_exists(uri) else None
    if found is None:
        raise UsageError(f"out must hold MLflow experiment {experiment!r}, got {out_root}")
    check_port(HOST, port)
    address, has_arms = found
    print(f"{'arms by objective' if has_arms else 'no arms yet'}: {address}", flush=True)
    print(SHARING, flush=True)
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": uri}  # anyone may read the words of a command
    server = subprocess.Popen(server_words(HOST, port, artifact_root(out_root)), start_new_session=True, env=environment)
    try:
        return server.wait()
    finally:
        end_group(server, signal.SIGTERM)


def _latest(uri: str, experiment: str, base: str) -> tuple[str, bool] | None:
    from hierarchy.tracking.addresses import shown
    from hierarchy.tracking.answering import NoAnswerError
    from hierarchy.tracking.mlflow_store import STORE_VARIABLE, answering
    from hierarchy.tracking.mlflow_views import latest_address

    try:
        with answering(uri) as client:
            return latest_address(client, experiment, base)
    except NoAnswerError as error:
        raise SettingError(STORE_VARIABLE, f"a store that answers ({error})", shown(uri)) from None


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
        from hierarchy.tracking.addresses import shown
        from hierarchy.tracking.mlflow_store import STORE_VARIABLE, store_exists, store_uri
        from hierarchy.tracking.store import check_store

        options = options_of(Options, parsed)
        uri = store_uri(options.out)
        if store_exists(uri) and not check_store(uri):
            raise SettingError(STORE_VARIABLE, "a store that answers", shown(uri))
        return serve(options.out, options.port, options.experiment)


UI = Ui()
