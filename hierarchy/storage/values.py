"""Values on disk that come back as they were, and run no code when read: JSON, and the arrays in it as safetensors.

A value is a number, a text, a path, an array, None, a list, a tuple or a mapping by name of values, or a record: a dataclass
or named tuple of a type that the reader names. ``7.json`` holds the value and sums of everything, ``7.safetensors`` the
arrays if there are any, each named by its number and place; it is written before.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from envs.core.arrays import Array
from envs.core.validation import SettingError
from hierarchy.storage.files import write

SCHEMA = 1


class Values:
    """Writes and reads values.

    Parameters
    ----------
    types
        Of records that there may be; no two of the same name.
    """

    def __init__(self, types: Iterable[Callable[..., Any]] = ()) -> None:
        self._types = {kind.__name__: kind for kind in types}

    def write(self, value: object, stem: Path) -> None:
        """Write a value to ``stem.json``, and its arrays beside it; it is there whole or not at all.

        Raises
        ------
        TypeError
            Some part of it is of a type that is not allowed.
        """
        arrays: dict[str, Array] = {}
        plain = self._plain(value, "", arrays)
        sums = {"value": _sum(_text(plain).encode())}
        if arrays:
            data = save(arrays)
            sums["arrays"] = _sum(data)
            write(stem.with_suffix(".safetensors"), lambda file: file.write(data))
        entry = _text({"schema": SCHEMA, "sha256": sums, "value": plain})
        write(stem.with_suffix(".json"), lambda file: file.write((entry + "\n").encode()))

    def read(self, stem: Path) -> Any:
        """The value that was written.

        Raises
        ------
        SettingError
            It is missing or damaged, or another version wrote it.
        """
        path = stem.with_suffix(".json")
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
            plain, sums = entry["value"], entry["sha256"]
            if entry["schema"] != SCHEMA or sums["value"] != _sum(_text(plain).encode()):
                raise ValueError("its sum is another one")
            data = stem.with_suffix(".safetensors").read_bytes() if "arrays" in sums else save({})
            if sums.get("arrays", _sum(data)) != _sum(data):
                raise ValueError("the sum of its arrays is another one")
            return self._value(plain, load(data))
        except (OSError, KeyError, TypeError, ValueError, RecursionError, SafetensorError) as error:
            raise SettingError(path.name, "a value that can be read", f"{path} ({error})") from None

    def _plain(self, value: Any, place: str, arrays: dict[str, Array]) -> Any:
        """A value as JSON has it; arrays are taken out and named by their place."""
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return {"float": value.hex()}
        if isinstance(value, np.ndarray | np.generic):
            return _kept(value, place, arrays)
        if isinstance(value, Path):
            return {"path": str(value)}
        if type(value) is list:
            return [self._plain(part, f"{place}/{n}", arrays) for n, part in enumerate(value)]
        if type(value) is tuple:
            return {"tuple": self._plain(list(value), place, arrays)}
        if isinstance(value, Mapping):
            return {"mapping": self._plain_parts(value, place, arrays)}
        name = type(value).__name__
        if self._types.get(name) is not type(value):
            raise TypeError(f"{place or 'a value'} must be plain, an array or a record, got {name}")
        return {"record": name, "fields": self._plain_parts(_fields(value), place, arrays)}

    def _plain_parts(self, parts: Mapping[str, Any], place: str, arrays: dict[str, Array]) -> dict[str, Any]:
        return {name: self._plain(part, f"{place}/{name}", arrays) for name, part in parts.items()}

    def _value(self, plain: Any, arrays: Mapping[str, Array]) -> Any:
        """The inverse of :meth:`_plain`."""
        if isinstance(plain, list):
            return [self._value(part, arrays) for part in plain]
        if not isinstance(plain, dict):
            return plain
        kind = next(iter(plain))
        inner = plain[kind]
        if kind == "record":
            return self._types[inner](**{name: self._value(part, arrays) for name, part in plain["fields"].items()})
        if kind == "mapping":
            return {name: self._value(part, arrays) for name, part in inner.items()}
        return self._leaves(arrays)[kind](inner)

    def _leaves(self, arrays: Mapping[str, Array]) -> dict[str, Callable[[Any], Any]]:
        return {
            "float": float.fromhex,
            "array": lambda place: arrays[place],
            "scalar": lambda place: arrays[place][()],
            "path": Path,
            "tuple": lambda parts: tuple(self._value(parts, arrays)),
        }


def _kept(value: Any, place: str, arrays: dict[str, Array]) -> dict[str, str]:
    """Put an array or a number of numpy's aside: by which name it is kept."""
    array = np.array(value, order="C")  # safetensors keeps no other order
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{place or 'a value'} must be an array of numbers, got one of {array.dtype}")
    name = f"{len(arrays)}{place}"  # places alone need not differ: names may hold a slash
    arrays[name] = array
    return {"array" if isinstance(value, np.ndarray) else "scalar": name}


def _fields(value: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return dict(value._asdict())


def _text(plain: object) -> str:
    return json.dumps(plain, separators=(",", ":"), allow_nan=False)


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
