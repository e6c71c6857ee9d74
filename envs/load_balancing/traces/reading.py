"""From a file to a recording; a broken line is named by file and line number."""

from __future__ import annotations

import csv
import functools
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.validation import SettingError
from envs.load_balancing.traces.formats import READERS, Format
from envs.load_balancing.traces.recording import Recording, TraceError, Wanted, refused

MAX_COUNT = 1_000_000
"""Requests in one second of a file of counts; what is above is taken for a broken line."""

N_KEPT = 4
"""Recordings that are kept in memory: every world of an experiment reads the same ones."""

NOTHING_MORE = Wanted()


def read_trace(path: str | Path, wanted: Wanted = NOTHING_MORE) -> Recording:
    """Read a trace, its format told by its first line: see :data:`READERS`, or plain request counts per second.

    A file that has not changed is read once; arrays are read-only.

    Raises
    ------
    TraceError
        Unknown format, a broken line, time running backwards.
    SettingError
        Missing or empty file, no such column or path.
    """
    path = Path(path)
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, error.strerror) from None
    return _read(path.absolute(), path, wanted, (found.st_ino, found.st_mtime_ns, found.st_size))


def _unreadable(path: Path, reason: str | None) -> SettingError:
    return refused("path", "a trace that can be read", f"{path} ({reason})")


@functools.lru_cache(N_KEPT)
def _read(place: Path, path: Path, wanted: Wanted, version: tuple[int, int, int]) -> Recording:
    """What the file at ``place`` holds in that version; errors name it ``path``."""
    lines = _lines_of(path)
    name = next((name for name, fmt in READERS.items() if fmt.first_line.match(lines[0])), None)
    if name is None and not _is_count(lines[0]):
        known = ", ".join([*READERS, "counts per second"])
        raise TraceError(f"{path}:1: unknown format (known: {known}), got {lines[0][:80]!r}")
    fmt = None if name is None else READERS[name]
    if fmt is None:
        _label(None, (), wanted, path)
        time_s, work, labels = *_read_counts(path, lines), list[str]()
    else:
        time_s, work, labels = _read_lines(path, lines, fmt, wanted)
    if len(time_s) < 2 or time_s[-1] <= time_s[0]:
        raise TraceError(f"{path}: a trace needs two requests at different times, got {len(time_s)} requests")
    if fmt is not None and fmt.whole_seconds:
        time_s = _spread_within_seconds(time_s)
    time_s, work = time_s - time_s[0], work / work.mean()
    time_s.flags.writeable = work.flags.writeable = False
    return Recording(time_s, work, tuple(labels))


def _lines_of(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise _unreadable(path, error.strerror) from None
    except UnicodeDecodeError:
        raise _unreadable(path, "not a text file") from None
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise refused("path", "a trace with requests", f"{path} (empty)")
    return lines


def _names(fmt: Format, header: str, path: Path) -> Sequence[str]:
    """The columns of a file."""
    if fmt.names is not None:
        return fmt.names
    try:
        names = fmt.split(header)
    except csv.Error as error:
        raise TraceError(f"{path}:1: {error}, got {header[:80]!r}") from None
    if len(set(names)) < len(names):
        raise TraceError(f"{path}:1: every column must have a name of its own, got {header[:80]!r}")
    return names


def _label(fmt: Format | None, names: Sequence[str], wanted: Wanted, path: Path) -> int | None:
    """The place of the column that labels requests, if any does."""
    if wanted.path:
        if fmt is None or fmt.path not in names:
            raise refused("class_pattern", "left out for a trace without paths", path)
        return names.index(fmt.path)
    if wanted.column is None:
        return None
    if wanted.column not in names:
        allowed = f"one of {', '.join(names)}" if names else "left out for a trace without columns"
        raise refused("class_column", allowed, repr(wanted.column))
    return names.index(wanted.column)


def _read_lines(path: Path, lines: list[str], fmt: Format, wanted: Wanted) -> tuple[FloatArray, FloatArray, list[str]]:
    names = _names(fmt, lines[0], path)
    label = _label(fmt, names, wanted, path)
    missing = [name for name in fmt.needs if name not in names]
    if missing:
        raise TraceError(f"{path}:1: there must be a column {missing[0]}, got {lines[0][:80]!r}")
    needed = [names.index(name) for name in fmt.needs]
    times, works, labels = [], [], []
    last, skip = -np.inf, 1 if fmt.names is None else 0
    for number, line in enumerate(lines[skip:], start=skip + 1):
        if not line.strip():
            continue
        try:
            row = fmt.split(line)
            if len(row) != len(names):
                raise ValueError(f"expected {len(names)} columns")
            time, work = fmt.read(*(row[i] for i in needed))
        except (ValueError, OverflowError, csv.Error) as error:
            raise TraceError(f"{path}:{number}: {error}, got {line!r}") from None
        if not (np.isfinite(time) and np.isfinite(work)):
            raise TraceError(f"{path}:{number}: time and work must be finite, got {line!r}")
        if time < last:
            raise TraceError(f"{path}:{number}: time must not run backwards, got {line!r}")
        last = time
        times.append(time)
        works.append(work)
        if label is not None:
            labels.append(sys.intern(row[label]))
    return np.asarray(times), np.asarray(works), labels


def _spread_within_seconds(time_s: FloatArray) -> FloatArray:
    """Requests that share a whole second, spread evenly over it: logs have no finer clock."""
    _, first, count = np.unique(time_s, return_index=True, return_counts=True)
    position = np.arange(len(time_s)) - np.repeat(first, count)
    return time_s + (position + 0.5) / np.repeat(count, count)


def _is_count(line: str) -> bool:
    text = line.strip()
    return text.isascii() and text.isdigit() and len(text) <= len(str(MAX_COUNT)) and int(text) <= MAX_COUNT


def _read_counts(path: Path, lines: list[str]) -> tuple[FloatArray, FloatArray]:
    """One request count per second per line; requests are spread evenly over their second, all of equal work."""
    counts = np.empty(len(lines), np.int64)
    for number, line in enumerate(lines, start=1):
        if not _is_count(line):
            raise TraceError(f"{path}:{number}: expected a request count from 0 to {MAX_COUNT}, got {line.strip()[:80]!r}")
        counts[number - 1] = int(line)
    time_s = _spread_within_seconds(np.repeat(np.arange(len(lines), dtype=np.float64), counts))
    return time_s, np.ones(len(time_s))
