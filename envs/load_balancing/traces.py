"""Readers of trace formats: a file in, arrival times and relative work out, and what a column or path says of a request.

A format is one entry in :data:`READERS`: how its first line looks and how a line is read. A broken line is named by file
and line number.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from envs.core.arrays import FloatArray

PREFILL_PER_DECODE = 0.02
"""Work of reading one context token, in work of generating one token: prompts are read many tokens at a time."""

MAX_COUNT = 1_000_000
"""Requests in one second of a file of counts; what is above is taken for a broken line."""


class TraceError(ValueError):
    """A trace that can't be read; the message names file and line."""


@dataclass(frozen=True)
class Recording:
    """Requests in order of time."""

    time_s: FloatArray  # (n,) seconds since the first request, not decreasing
    work: FloatArray  # (n,) work of each request, of mean 1
    labels: Sequence[str] = ()  # (n,) what a column, or the path that was asked for, says of each; empty if not asked for

    @property
    def duration_s(self) -> float:
        """Length of one replay: the span of the requests and one mean gap, so that loops join without a clash."""
        span = float(self.time_s[-1] - self.time_s[0])
        return span * len(self.time_s) / (len(self.time_s) - 1)

    @property
    def rate_hz(self) -> float:
        return len(self.time_s) / self.duration_s


@dataclass(frozen=True)
class Wanted:
    """What is to be read of requests beside time and work: a column by name, or the path that was asked for."""

    column: str | None = None
    path: bool = False


Read = Callable[[str], tuple[float, float]]
"""From a line to time in seconds and work (any unit)."""


@dataclass(frozen=True)
class Format:
    """How to tell a format by its first line, and how to read one line of it.

    Attributes
    ----------
    first_line
        What the first line looks like.
    reader
        From the first line to what reads a line.
    delimiter
        Between the columns that the first line names; None in a format without.
    path
        From a line to the path or query that was asked for; None in a format without.
    """

    first_line: re.Pattern[str]
    reader: Callable[[str], Read]
    delimiter: str | None = None
    path: Callable[[str], str] | None = None

    def columns(self, line: str) -> list[str]:
        """The columns of a line."""
        assert self.delimiter is not None
        return next(csv.reader([line], delimiter=self.delimiter))


def _iso_seconds(text: str) -> float:
    """Seconds of a `YYYY-MM-DD HH:MM:SS.fffffff` timestamp (seven digits, one more than Python reads)."""
    whole, _, fraction = text.partition(".")
    seconds = (datetime.fromisoformat(whole) - datetime(2000, 1, 1)).total_seconds()
    return seconds + (float(f"0.{fraction}") if fraction else 0.0)


def _azure_llm(line: str) -> tuple[float, float]:
    """`TIMESTAMP,ContextTokens,GeneratedTokens` and what else; work is tokens generated plus a little for those read."""
    timestamp, context, generated, *_ = next(csv.reader([line]))
    work = int(generated) + PREFILL_PER_DECODE * int(context)
    if min(int(context), int(generated)) < 0 or work <= 0:
        raise ValueError("token counts must be >= 0 and not both 0")
    return _iso_seconds(timestamp), work


_LOOP_QUERY = re.compile(r"[?&]n=(\d+)\b")


def _query(line: str) -> str:
    return line.split("\t")[1]


def _marllb(line: str) -> tuple[float, float]:
    """`time<TAB>query`, where `?n=N` is a loop of N turns: work is N."""
    time, query = line.split("\t")
    match = _LOOP_QUERY.search(query)
    if match is None:
        raise ValueError("the query has no n=N")
    if int(match[1]) == 0:
        raise ValueError("n must be > 0")
    return float(time), float(match[1])


_COMMON_LOG = re.compile(r'^\S+ \S+ \S+ \[(?P<time>[^\]]+)\] "(?P<request>[^"]*)" \d{3} (?P<size>\d+|-)')


def _request(line: str) -> str:
    """The request line of a web log, as in `GET /path HTTP/1.1`: its path, or all of it if it has no three parts."""
    match = _COMMON_LOG.match(line)
    assert match is not None
    parts = match["request"].split(" ")
    return parts[1] if len(parts) == 3 else match["request"]


def _common_log(line: str) -> tuple[float, float]:
    """The Common Log Format of web servers; work is the size of the answer, at least one kilobyte."""
    match = _COMMON_LOG.match(line)
    if match is None:
        raise ValueError("not a line of the Common Log Format")
    seconds = datetime.strptime(match["time"], "%d/%b/%Y:%H:%M:%S %z").timestamp()
    size = 0 if match["size"] == "-" else int(match["size"])
    return seconds, float(max(size, 1024))


def _table(header: str) -> Read:
    """Columns by name, `time` in seconds and `work` among them."""
    names = next(csv.reader([header]))
    time, work = names.index("time"), names.index("work")

    def read(line: str) -> tuple[float, float]:
        row = next(csv.reader([line]))
        if len(row) != len(names):
            raise ValueError(f"expected {len(names)} columns")
        if float(row[work]) <= 0:
            raise ValueError("work must be > 0")
        return float(row[time]), float(row[work])

    return read


READERS: dict[str, Format] = {
    "azure_llm": Format(re.compile(r"TIMESTAMP,ContextTokens,GeneratedTokens(,|$)"), lambda header: _azure_llm, ","),
    "marllb": Format(re.compile(r"time\tquery$"), lambda header: _marllb, "\t", _query),
    "table": Format(re.compile(r"(?=(.*,)?time(,|$))(?=(.*,)?work(,|$))"), _table, ","),
    "common_log": Format(re.compile(r"\S+ \S+ \S+ \[[^\]]+\] \""), lambda header: _common_log, path=_request),
}


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


def _labelling(fmt: Format | None, header: str, wanted: Wanted, path: Path) -> Callable[[str], str] | None:
    """What labels a line, if anything is wanted."""
    if wanted.path:
        if fmt is None or fmt.path is None:
            raise TraceError(f"workload.arrivals.class_pattern must be left out for a trace without paths, got {path}")
        return fmt.path
    if wanted.column is None:
        return None
    names = [] if fmt is None or fmt.delimiter is None else fmt.columns(header)
    if wanted.column not in names:
        allowed = f"one of {', '.join(names)}" if names else "left out for a trace without columns"
        raise TraceError(f"workload.arrivals.class_column must be {allowed}, got {wanted.column!r}")
    assert fmt is not None
    place, columns = names.index(wanted.column), fmt.columns
    return lambda line: columns(line)[place]


def _read_lines(
    path: Path, lines: list[str], fmt: Format, label: Callable[[str], str] | None
) -> tuple[FloatArray, FloatArray, list[str]]:
    times, works, labels = [], [], []
    last, read = -np.inf, fmt.reader(lines[0])
    skip = 0 if fmt.delimiter is None else 1
    for number, line in enumerate(lines[skip:], start=skip + 1):
        if not line.strip():
            continue
        try:
            time, work = read(line)
            if label is not None:
                labels.append(label(line))
        except (ValueError, TypeError, OverflowError, IndexError, csv.Error) as error:
            raise TraceError(f"{path}:{number}: {error}, got {line!r}") from None
        if not (np.isfinite(time) and np.isfinite(work)):
            raise TraceError(f"{path}:{number}: time and work must be finite, got {line!r}")
        if time < last:
            raise TraceError(f"{path}:{number}: time must not run backwards, got {line!r}")
        last = time
        times.append(time)
        works.append(work)
    return np.asarray(times), np.asarray(works), labels


def _lines_of(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise TraceError(f"workload.arrivals.path must name a readable trace, got {path} ({reason})") from None
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise TraceError(f"workload.arrivals.path must name a trace with requests, got {path} (empty)")
    return lines


NOTHING_MORE = Wanted()


def read_trace(path: str | Path, wanted: Wanted = NOTHING_MORE) -> Recording:
    """Read a trace, its format told by its first line: see :data:`READERS`, or plain request counts per second.

    Raises
    ------
    TraceError
        Missing or empty file, unknown format, a broken line, time running backwards, or no such column or path.
    """
    path = Path(path)
    lines = _lines_of(path)
    name = next((name for name, fmt in READERS.items() if fmt.first_line.match(lines[0])), None)
    if name is None and not _is_count(lines[0]):
        known = ", ".join([*READERS, "counts per second"])
        raise TraceError(f"{path}:1: unknown format (known: {known}), got {lines[0][:80]!r}")
    fmt = None if name is None else READERS[name]
    label = _labelling(fmt, lines[0], wanted, path)
    time_s, work, labels = (*_read_counts(path, lines), []) if fmt is None else _read_lines(path, lines, fmt, label)
    if len(time_s) < 2 or time_s[-1] <= time_s[0]:
        raise TraceError(f"{path}: a trace needs two requests at different times, got {len(time_s)} requests")
    if name == "common_log":
        time_s = _spread_within_seconds(time_s)
    return Recording(time_s=time_s - time_s[0], work=work / work.mean(), labels=labels)
