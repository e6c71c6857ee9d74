"""What a journal holds: a record a line, in strict JSON, held against its type when it is read, wherever it comes from."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

from envs.core.validation import SettingError
from hierarchy.tracking.sinks import Level

Status = Literal["FINISHED", "FAILED", "KILLED"]
N_SHOWN = 60
"""Letters of a malformed line that an error shows."""
WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""Numbers that JSON does not know."""


@dataclass(frozen=True)
class Session:
    """An experiment begins in the folder; it goes on until the next one does, whatever process is at it."""

    experiment: str  # of MLflow
    above: int  # folders up to that of all outputs
    time_ms: int


@dataclass(frozen=True)
class Begin:
    """A run begins. Its key is its own wherever it gets to; that of the run above may be of another folder."""

    run: str
    level: Level
    name: str
    parent: str | None
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    time_ms: int


@dataclass(frozen=True)
class Again:
    """A run goes on in another process."""

    run: str
    time_ms: int


@dataclass(frozen=True)
class Metrics:
    """Figures of a run at a step."""

    run: str
    step: int
    values: Mapping[str, float]
    time_ms: int


@dataclass(frozen=True)
class Artifact:
    """A file of a run, as it was then: what it was called, where a copy waits, and the digest of both."""

    run: str
    path: str
    copy: str
    sha256: str


@dataclass(frozen=True)
class Model:
    """The pair of agents of a run: where a bundle of it waits, and the digest of its description, which has all others."""

    run: str
    copy: str
    sha256: str


@dataclass(frozen=True)
class Description:
    """What is shown of a run, and which parameters and metrics of the runs below it."""

    run: str
    markdown: str
    shown_parameters: tuple[str, ...]
    shown_metrics: tuple[str, ...]


@dataclass(frozen=True)
class End:
    """A run is over."""

    run: str
    status: Status
    time_ms: int


OfRun = Begin | Again | Metrics | Artifact | Model | Description | End
Copied = Artifact | Model
Record = Session | OfRun
KINDS: dict[str, type[Record]] = {
    "session": Session,
    "begin": Begin,
    "again": Again,
    "metrics": Metrics,
    "artifact": Artifact,
    "model": Model,
    "description": Description,
    "end": End,
}
"""Records by the name that a line has for them."""


def _is_integer(value: object) -> bool:
    return type(value) is int and abs(value) < 2**63


def _is_number(value: object) -> bool:
    return (type(value) is float and math.isfinite(value)) or _is_integer(value)


def _is_mapping(value: object, of: Callable[[object], bool]) -> bool:
    return isinstance(value, dict) and all(of(one) for one in value.values())


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_hexadecimal(value: object, n: int) -> bool:
    return isinstance(value, str) and re.fullmatch(rf"[0-9a-f]{{{n}}}", value) is not None


def _is_inside(value: object) -> bool:
    """Whether a path does not leave the folder that it starts from, links aside."""
    if not isinstance(value, str) or "\0" in value:
        return False
    path = PurePosixPath(value)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _is_list_of_text(value: object) -> bool:
    return isinstance(value, list) and all(_is_text(one) for one in value)


Check = Callable[[object], bool]
FIELDS: dict[str, tuple[str, Check]] = {
    "experiment": ("text", _is_text),
    "above": ("1 or 2", lambda value: value in (1, 2) and _is_integer(value)),
    "time_ms": ("an integer >= 0", lambda value: _is_integer(value) and value >= 0),  # type: ignore[operator]
    "run": ("a key of 32 hexadecimal digits", lambda value: _is_hexadecimal(value, 32)),
    "parent": ("a key of 32 hexadecimal digits or null", lambda value: value is None or _is_hexadecimal(value, 32)),
    "level": (f"one of {', '.join(get_args(Level))}", lambda value: value in get_args(Level)),
    "name": ("text", _is_text),
    "parameters": ("text by name", lambda value: _is_mapping(value, _is_text)),
    "tags": ("text by name", lambda value: _is_mapping(value, _is_text)),
    "step": ("an integer", _is_integer),
    "values": (
        f"numbers by name, {', '.join(WORDS)} as text",
        lambda value: _is_mapping(value, lambda one: _is_number(one) or (_is_text(one) and one in WORDS)),
    ),
    "path": ("a path inside of the folder", _is_inside),
    "copy": ("a path inside of the folder", _is_inside),
    "sha256": ("64 hexadecimal digits", lambda value: _is_hexadecimal(value, 64)),
    "markdown": ("text", _is_text),
    "shown_parameters": ("a list of text", _is_list_of_text),
    "shown_metrics": ("a list of text", _is_list_of_text),
    "status": (f"one of {', '.join(get_args(Status))}", lambda value: value in get_args(Status)),
}
"""What each field of a record may hold."""


def line_of(record: Record) -> bytes:
    """A record as a line."""
    kind = next(name for name, of in KINDS.items() if type(record) is of)
    return json.dumps({"record": kind, **_storable(vars(record))}, allow_nan=False).encode() + b"\n"


def _storable(value: Any) -> Any:
    """What JSON and every database take: no numbers that are none, no NUL, no halves of letters."""
    if isinstance(value, Mapping):
        return {_storable(name): _storable(one) for name, one in value.items()}
    if isinstance(value, tuple):
        return [_storable(one) for one in value]
    if isinstance(value, str):
        return value.replace("\0", "?").encode("utf-8", "replace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def record_of(line: bytes, where: str) -> Record:
    """The record of a line that stands at ``where``.

    Raises
    ------
    SettingError
        It is none: what is allowed there.
    """
    try:
        values = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise SettingError(where, "a JSON object", _short(line))
    kind = values.pop("record", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise SettingError(where, f"a record that is one of {', '.join(KINDS)}", _short(line))
    names = list(KINDS[kind].__dataclass_fields__)
    if set(values) != set(names):
        raise SettingError(where, f"a record {kind} with the fields {', '.join(names)}", _short(line))
    for name in names:
        allowed, holds = FIELDS[name]
        if not holds(values[name]):
            raise SettingError(where, f"a record {kind} whose {name} is {allowed}", _short(repr(values[name])))
    return _built(KINDS[kind], values)


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no JSON")


def _built(of: Callable[..., Record], values: dict[str, Any]) -> Record:
    if of is Metrics:
        values["values"] = {
            name: WORDS[value] if isinstance(value, str) else float(value) for name, value in values["values"].items()
        }
    return of(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _short(text: bytes | str) -> str:
    """The beginning of what may be anything, in letters that a terminal can show."""
    text = text if isinstance(text, str) else repr(text.rstrip(b"\n").decode("utf-8", "replace"))
    return text if len(text) <= N_SHOWN else f"{text[:N_SHOWN]}..."
