"""Files that are written whole or not at all, and read with errors that name them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from envs.core.arrays import Array
from envs.core.validation import SettingError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def write(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Write a file by what ``fill`` writes; it takes the place of the one before once it is on the disk.

    Raises
    ------
    OSError
        It can't be written; the one before is still there, and nothing of this one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    try:
        with partial.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno is not None:
            error.filename = str(path)
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Make sure that a folder's names are on the disk, where the system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_free(to: Path, field: str = "to") -> None:
    """Whether a folder can be written there as a whole; ``field`` is the setting that names it.

    Raises
    ------
    SettingError
        There is something at ``to`` already.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise SettingError(field, "a folder that is empty or not there yet", to.resolve())


@contextmanager
def whole_folder(to: Path, field: str = "to") -> Iterator[Path]:
    """A folder to write into, not there yet, that is at ``to`` once the block is over, and nowhere if that fails.

    ``field`` is the setting that names it.

    Raises
    ------
    SettingError
        There is something at ``to`` already.
    """
    to = to.resolve()
    check_free(to, field)
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=f".{to.name}-") as draft:
        whole = Path(draft) / "whole"
        yield whole
        os.replace(whole, to)  # of an empty folder, it takes the place


def write_json(value: object, path: Path) -> None:
    """Write plain values. Non-finite numbers, which JSON does not know, are refused."""
    text = json.dumps(value, indent=2, allow_nan=False, default=_plain)
    write(path, lambda file: file.write((text + "\n").encode()))


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"values must be plain, got {type(value).__name__}")


def plain_settings(settings: DataclassInstance) -> Any:
    """Settings as they come back from a file."""
    return json.loads(json.dumps(dataclasses.asdict(settings)))


def read_json(path: Path) -> Any:
    """Plain values.

    Raises
    ------
    SettingError
        The file is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingError(path.name, "a JSON file that can be read", f"{path} ({error})") from None


def read_mapping(path: Path) -> dict[str, Any]:
    """Plain values by name.

    Raises
    ------
    SettingError
        The file is missing or damaged, or holds something else.
    """
    values = read_json(path)
    if not isinstance(values, dict):
        raise SettingError(path.name, "a mapping of names to values", f"{path} with {type(values).__name__}")
    return values


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_arrays(arrays: Mapping[str, Array], path: Path) -> None:
    """Write arrays by name."""
    write(path, lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))


def read_arrays(path: Path) -> dict[str, Array]:
    """Arrays by name.

    Raises
    ------
    SettingError
        The file is missing or damaged.
    """
    try:
        with np.load(path) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise SettingError(path.name, "a file of arrays that can be read", f"{path} ({error})") from None
