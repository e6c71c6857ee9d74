"""Formats of recordings: how each is told, and what its lines say.

A format is one entry in :data:`READERS`. Whatever it is, a line is a row of named columns.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

PREFILL_PER_DECODE = 0.02
"""Work of reading one context token, in work of generating one token: prompts are read many tokens at a time."""


@dataclass(frozen=True)
class Format:
    """How to tell a format by its first line, and how to read one line of it.

    Attributes
    ----------
    first_line
        What the first line looks like.
    split
        From a line to its columns.
    needs
        The columns that `read` is given.
    read
        From those columns to time in seconds and work (any unit).
    names
        Of the columns; None if the first line names them.
    path
        The column that holds the path or query that was asked for, if a file has it.
    whole_seconds
        Whether times are told in whole seconds.
    """

    first_line: re.Pattern[str]
    split: Callable[[str], Sequence[str]]
    needs: tuple[str, ...]
    read: Callable[..., tuple[float, float]]
    names: tuple[str, ...] | None = None
    path: str | None = None
    whole_seconds: bool = False


def _commas(line: str) -> Sequence[str]:
    return next(csv.reader([line], strict=True))


def _tabs(line: str) -> Sequence[str]:
    return line.split("\t")


def _timestamp(text: str) -> float:
    """Seconds of an ISO 8601 timestamp, which is taken for UTC unless it says otherwise."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _azure_llm(timestamp: str, context: str, generated: str) -> tuple[float, float]:
    """Work is tokens generated plus a little for those read."""
    work = int(generated) + PREFILL_PER_DECODE * int(context)
    if min(int(context), int(generated)) < 0 or work <= 0:
        raise ValueError("token counts must be >= 0 and not both 0")
    return _timestamp(timestamp), work


_LOOP_QUERY = re.compile(r"[?&]n=(\d+)\b")


def _marllb(time: str, query: str) -> tuple[float, float]:
    """A query `?n=N` is a loop of N turns: work is N."""
    match = _LOOP_QUERY.search(query)
    if match is None:
        raise ValueError("the query has no n=N")
    if int(match[1]) == 0:
        raise ValueError("n must be > 0")
    return float(time), float(match[1])


def _table(time: str, work: str) -> tuple[float, float]:
    """Time is a number of seconds or a timestamp."""
    if float(work) <= 0:
        raise ValueError("work must be > 0")
    try:
        return float(time), float(work)
    except ValueError:
        return _timestamp(time), float(work)


_COMMON_LOG = re.compile(
    r'^(?P<host>\S+) \S+ (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<request>[^"]*)" (?P<status>\d{3}) (?P<size>\d+|-)'
)


def _split_log(line: str) -> Sequence[str]:
    """A request line as in `GET /path HTTP/1.1`; all of it is the path if it has no three parts."""
    match = _COMMON_LOG.match(line)
    if match is None:
        raise ValueError("not a line of the Common Log Format")
    host, user, time, request, status, size = match.groups()
    parts = request.split(" ")
    method, path = parts[:2] if len(parts) == 3 else ("-", request)
    return host, user, time, method, path, status, size


def _common_log(time: str, size: str) -> tuple[float, float]:
    """Work is the size of the answer, at least one kilobyte."""
    seconds = datetime.strptime(time, "%d/%b/%Y:%H:%M:%S %z").timestamp()
    return seconds, float(max(0 if size == "-" else int(size), 1024))


READERS: dict[str, Format] = {
    "azure_llm": Format(
        re.compile(r"TIMESTAMP,ContextTokens,GeneratedTokens(,|$)"),
        _commas,
        ("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
        _azure_llm,
    ),
    "marllb": Format(re.compile(r"time\tquery(\t|$)"), _tabs, ("time", "query"), _marllb, path="query"),
    "table": Format(re.compile(r"(?=(.*,)?time(,|$))(?=(.*,)?work(,|$))"), _commas, ("time", "work"), _table, path="path"),
    "common_log": Format(
        re.compile(r"\S+ \S+ \S+ \[[^\]]+\] \""),
        _split_log,
        ("time", "size"),
        _common_log,
        names=("host", "user", "time", "method", "path", "status", "size"),
        path="path",
        whole_seconds=True,
    ),
}
"""Formats by name; a file is of the first whose first line it has."""
