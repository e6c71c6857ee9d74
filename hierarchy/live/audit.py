"""An audit file: a line of JSON for every step, each with the digest of the line before.

Lines are only ever added, and every line is synced to disk before the next is written. A file that is there is gone on with.
What a full disk or a crash has cut stays as it is: the line after it says so, and its digest goes back to the last whole
line.

A chain shows that a line was changed, put in or taken out, not that its end is missing, or that all of it was written anew:
for that, keep the digest of the last line somewhere else.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import time
from pathlib import Path
from typing import Any, NamedTuple

from envs.core.validation import SettingError
from hierarchy.live.lines import plain
from hierarchy.live.reports import Report, Subject, iso

FIRST = "0" * 64
"""In the place of a digest where there is no line before."""
MODE = 0o600
START = b'{"seq": '
"""How every line begins."""
PART, MOST = 1 << 16, 1 << 24
"""Bytes that are read from the end of a file at first, and at most, to find its last line."""


class Head(NamedTuple):
    """Where a chain ends."""

    number: int  # of the last whole line; 0 where there is none
    digest: str  # of what follows from that line on, without the newline at the end
    is_cut: bool = False  # whether a line that was cut follows it
    is_open: bool = False  # whether the newline at the end is missing


class BrokenChainError(Exception):
    """A line of an audit file is not what was written."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line} {why}")
        self.line = line


class Checked(NamedTuple):
    """An audit file whose chain holds."""

    n_lines: int
    head: Head
    n_cut: int  # lines that were cut


class Audit:
    """Writes steps; nobody else may write to the file meanwhile.

    Parameters
    ----------
    path
        The file, which is made, for its owner alone, where it is not there.
    subject
        What is watched.

    Raises
    ------
    SettingError
        The file can't be written, is in use, or is none of these.
    """

    name = "audit"

    def __init__(self, path: Path, subject: Subject) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, MODE)
        except OSError as error:
            raise SettingError("audit", f"a file that can be written ({error.strerror})", path) from None
        self._head: Head | None = None  # where that is not known any more, the file says it
        try:
            self._own(path)
            self._add({"event": "begin", "pid": os.getpid(), **subject._asdict()}, time.time())
        except OSError as error:
            os.close(self._file)
            raise SettingError("audit", f"a file that can be written ({error.strerror})", path) from None
        except SettingError:
            os.close(self._file)
            raise

    def observe(self, report: Report) -> None:
        """Add a line.

        Raises
        ------
        OSError
            It can't be written, or not whole.
        """
        decision = report.decision
        entry = {
            "event": "step",
            "step": decision.number,
            "measured": report.measured,
            "context": report.context,
            "proposed": plain(decision.asked),
            "weights": plain(decision.weights),
            "interventions": [one._asdict() for one in decision.interventions],
            "held_because": decision.held_because,
            "noticed": [one._asdict() for one in decision.noticed],
            "powered": decision.powered._asdict(),
            "learning": report.learning,
        }
        self._add(entry, report.at_s)

    def close(self) -> None:
        """Say that it was ended on purpose."""
        try:
            self._add({"event": "end"}, time.time())
        finally:
            os.close(self._file)

    def _own(self, path: Path) -> None:
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            raise SettingError("audit", "a plain file", path)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingError("audit", "a file that nobody else writes to", path) from None
        try:
            self._head = head_of(self._file)
        except ValueError:
            raise SettingError("audit", "a new file, or one that this command has written", path) from None

    def _add(self, entry: dict[str, Any], at_s: float) -> None:
        """Write a line after what is there, whatever became of the one before."""
        head, self._head = self._head or head_of(self._file), None
        cut = {"after_cut": True} if head.is_cut else {}
        numbered = {"seq": head.number + 1, "at": iso(at_s), **entry, **cut, "before": head.digest}
        line = json.dumps(plain(numbered), allow_nan=False).encode()
        data = b"\n" * head.is_open + line + b"\n"
        written = os.write(self._file, data)
        if written < len(data):
            raise OSError(None, f"{written} of {len(data)} bytes were written")
        os.fdatasync(self._file)
        self._head = Head(head.number + 1, digest_of(line))


def head_of(file: int) -> Head:
    """Where the chain of an open file ends.

    Raises
    ------
    ValueError
        It is none of an audit file.
    """
    size, n = os.fstat(file).st_size, PART
    while True:
        start = max(size - n, 0)
        lines = os.pread(file, n, start).split(b"\n")  # the last has no newline
        for at in reversed(range(bool(start), len(lines))):
            if number := _number(lines[at]):
                return _head(number, lines[at:])
        if not start or n >= MOST:
            break
        n *= 16
    if not size:
        return Head(0, FIRST)
    if start or not all(START.startswith(line[: len(START)]) for line in lines):
        raise ValueError("no line of an audit file")
    return _head(0, lines)


def _head(number: int, lines: list[bytes]) -> Head:
    """Of the last whole line, if there is one, and what follows it."""
    is_open = bool(lines[-1])
    there = lines if is_open else lines[:-1]
    return Head(number, digest_of(b"\n".join(there)), len(there) > bool(number), is_open)


def verify(path: Path) -> Checked:
    """Follow the chain of a file from its first line to its last.

    Raises
    ------
    OSError
        It can't be read.
    BrokenChainError
        A line is not what was written; the first is named.
    """
    number, n_lines, n_cut, data = 0, 0, 0, b""
    since: list[bytes] = []  # the last whole line and those after it
    with path.open("rb") as file:
        for n_lines, data in enumerate(file, 1):
            line = data.removesuffix(b"\n")
            entry = _entry(line)
            if entry is None:
                n_cut += 1
                since.append(line)
                continue
            _check(entry, n_lines, number, since)
            number, since = number + 1, [line]
    after = len(since) - bool(number)
    if after and data.endswith(b"\n"):
        raise BrokenChainError(n_lines - after + 1, "is no line of JSON")
    return Checked(n_lines, Head(number, _digest_since(since), after > 0), n_cut)


def _check(entry: dict[str, Any], at: int, number: int, since: list[bytes]) -> None:
    """Hold a line against what is before it: the last whole line, of that number, and those that were cut after it."""
    after = len(since) - bool(number)
    if after and entry.get("after_cut") is not True:
        raise BrokenChainError(at - after, "is no line of JSON, and the next does not say that it was cut")
    if entry.get("before") != _digest_since(since):
        raise BrokenChainError(at, "has another digest than the line before: that was changed, or one is missing")
    if entry.get("seq") != number + 1:
        raise BrokenChainError(at, f"has number {entry.get('seq')} in place of {number + 1}")


def _digest_since(lines: list[bytes]) -> str:
    return digest_of(b"\n".join(lines)) if lines else FIRST


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _number(line: bytes) -> int:
    """Of a line; 0 if it is none."""
    entry = _entry(line) or {}
    number = entry.get("seq")
    return number if isinstance(number, int) and "before" in entry else 0


def digest_of(line: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(line).hexdigest()
