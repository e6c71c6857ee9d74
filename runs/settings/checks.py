"""What can't be told from settings alone and must not be noticed after an hour of work: folders, files, the store."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from envs.core.validation import SettingError
from runs.settings.usage import UsageError


def check_writable(folder: Path, field: str) -> None:
    """Try to write where the folder is or would be.

    Raises
    ------
    UsageError
        Nothing can be written there.
    """
    nearest = folder.resolve()
    while not nearest.exists():
        nearest = nearest.parent
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise UsageError(f"{field} must be a folder that can be written, got {folder} ({error.strerror})") from None


def check_trace(path: Path) -> None:
    """Whether both parts of a recording can be replayed.

    Raises
    ------
    SettingError, UsageError
        They can't: what is wrong with the file, or with a line of it.
    """
    from envs import simulate
    from envs.load_balancing.stories import on_trace
    from envs.load_balancing.traces import TraceError

    try:
        for role in ("train", "evaluate"):
            simulate(on_trace(str(path)), 1, 0, role)
    except SettingError as error:
        is_file = error.path == "workload.arrivals.path"
        got = error.value if is_file else f"{path} with {error.path} {error.value}"
        raise SettingError("trace", error.allowed, got) from None
    except TraceError as error:
        raise UsageError(str(error)) from None


def check_json(path: Path | None) -> None:
    """Whether results can be written there, if anywhere.

    Raises
    ------
    UsageError
        They can't.
    """
    if path is None:
        return
    check_writable(path.parent, "json")
    if path.is_dir():
        raise UsageError(f"json must be a file, got {path} (a folder)")


def check_tracking(out_root: Path) -> None:
    """Whether the store of experiments can be opened; one that does not answer now is noted on standard error.

    Raises
    ------
    SettingError
        It never can.
    """
    from hierarchy.tracking.addresses import shown
    from hierarchy.tracking.mlflow_store import store_uri
    from hierarchy.tracking.store import check_store

    uri = store_uri(out_root)
    if not check_store(uri):
        print(f"note: MLflow does not answer at {shown(uri)}, figures for it wait in the output folder", file=sys.stderr)
