"""An agent in a file of safetensors: what it has learned as arrays, and what it is as JSON beside them, under one sum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from envs.core.arrays import Array
from envs.core.validation import SettingError, one_line
from hierarchy.protocols import SavedAgent
from hierarchy.storage.files import write

SCHEMA = 1
KEY = "agent"
"""What is said of an agent is the value of this key in the metadata of its file."""
SUFFIX = ".safetensors"
READ_ERRORS = (OSError, AttributeError, KeyError, TypeError, ValueError, RecursionError, OverflowError, SafetensorError)
"""What reading a damaged file may raise."""


def write_saved(saved: SavedAgent, path: Path) -> None:
    """Write an agent, whole or not at all."""
    said = {"schema": SCHEMA, "sha256": sum_of(saved.description, saved.arrays), "description": saved.description}
    data = save(dict(saved.arrays), {KEY: _text(said)})  # under one key: several come in any order
    write(path, lambda file: file.write(data))


def read_saved(path: Path) -> SavedAgent:
    """The agent that was written.

    Raises
    ------
    SettingError
        It is missing or damaged, or another version wrote it.
    """
    try:
        with safe_open(path, "numpy") as file:
            said = json.loads((file.metadata() or {})[KEY])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
        if said["schema"] != SCHEMA:
            raise ValueError(f"schema {said['schema']}, not {SCHEMA}")
        if said["sha256"] != sum_of(said["description"], arrays):
            raise ValueError("its sum is another one")
        return SavedAgent(path.name, dict(said["description"]), arrays)
    except READ_ERRORS as error:
        raise SettingError(path.name, "an agent that can be read", f"{path} ({one_line(error)})") from None


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def sum_of(description: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
    """SHA-256 of a description and of arrays by name, whatever order those stand in."""
    found = hashlib.sha256(_text(description).encode())
    for name in sorted(arrays):
        found.update(f"\0{name}\0{arrays[name].dtype.str}\0{arrays[name].shape}\0".encode())
        found.update(arrays[name].tobytes())
    return found.hexdigest()
