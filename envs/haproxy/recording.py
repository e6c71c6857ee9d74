"""A log that was kept in a file, as arrays: by the recorder, or by a syslog daemon, which writes words of its own before.

Other lines of ours are left out and counted: cut ones, and those of other backends. A line of something else is refused: it
may have what a client sent in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from envs.core.arrays import FloatArray, IntArray
from envs.core.validation import SettingError
from envs.haproxy.log import FORMAT, LOG_FORMAT, LONGEST, Line, line_of

SYSLOG = re.compile(
    rb"(?:<\d{1,3}>)?(?:"
    rb"(?:[A-Z][a-z]{2} [ \d]\d [\d:]{8}|\d{4}-\d\d-\d\dT[\w:.+-]+) (?:[\w.:-]+ )?[\w./-]+(?:\[\d+\])?: *"  # RFC 3164
    rb"|1 \d{4}-\d\d-\d\dT[\w:.+-]+ [\w.:-]+ \S+ \S+ \S+ (?:-|\[[^\]]*\]) *)"  # RFC 5424
)
"""What stands before a line in a file of a syslog daemon: time, machine and program, none of which a client sends."""


class Requests(NamedTuple):
    """Requests that have ended, in the order of their arrival; instants in s from the first arrival on."""

    came_s: FloatArray  # (n,) whole and received, not waiting for HAProxy any more: at the server, where there is one
    ended_s: FloatArray  # (n,)
    latency_s: FloatArray  # (n,) from the first byte to the end
    flow_class: IntArray  # (n,)
    server: IntArray  # (n,) -1 for none
    outcome: IntArray  # (n,) see :mod:`envs.load_balancing.kernel.metering`

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self.came_s)


class Recorded(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    requests
        Of the backends that were asked for.
    n_cut, n_foreign
        Lines that were left out: since a part is missing, and since they are of other backends.
    """

    requests: Requests
    n_cut: int
    n_foreign: int


def read_log(path: Path, backends: Mapping[str, int], servers: Sequence[str]) -> Recorded:
    """Read a log.

    Parameters
    ----------
    backends
        The class of requests of every backend by its name.
    servers
        Names of the servers in order.

    Raises
    ------
    SettingError
        The file can't be read, a line is in another format or names another server, or no line is of these backends.
    """
    places = {name: at for at, name in enumerate(servers)}
    rows: list[tuple[float, ...]] = []
    n_cut = n_foreign = 0
    others: set[str] = set()
    try:
        with path.open("rb") as file:
            for number, data in enumerate(iter(lambda: file.readline(4 * LONGEST), b""), 1):
                line = _line(data, path, number)
                if line is None:
                    n_cut += bool(data.strip())
                elif line.backend not in backends:
                    n_foreign += 1
                    others.add(line.backend)
                elif line.server is not None and line.server not in places:
                    raise SettingError(
                        "servers", f"those of the log, which has {line.server} in line {number}", list(servers)
                    )
                else:
                    rows.append(_row(line, backends[line.backend], places))
    except OSError as error:
        raise SettingError("log", "a file that can be read", f"{path} ({error.strerror})") from None
    if not rows:
        known = f" (it has those of {', '.join(sorted(others)[:5])})" if others else ""
        raise SettingError("log", f"a file with requests of {', '.join(backends)}", f"{path}, which has none{known}")
    return Recorded(_requests(rows), n_cut, n_foreign)


def _line(data: bytes, path: Path, number: int) -> Line | None:
    """The request of a line; None for one that is cut, or empty."""
    prefix = SYSLOG.match(data)
    ours = data[prefix.end() :] if prefix else data
    line = line_of(ours, 0.0)
    mark = f"{FORMAT} ".encode()
    if line is None and ours.strip() and not (ours.startswith(mark) or (not data.endswith(b"\n") and number > 1)):
        shown = data[:60].decode(errors="replace").strip()
        raise SettingError("log", f"in the format {LOG_FORMAT!r}", f"{path} with line {number}: {shown!r}")
    return line


def _row(line: Line, flow_class: int, places: Mapping[str, int]) -> tuple[float, ...]:
    before_ms = max(line.received_ms, 0) + line.waited_ms
    server = -1 if line.server is None else places[line.server]
    return (line.ended_us, line.active_ms, min(before_ms, line.active_ms), flow_class, server, line.outcome)


def _requests(rows: list[tuple[float, ...]]) -> Requests:
    """In the order of arrival, those that came in one microsecond in the order of the file."""
    ended_us, active_ms, before_ms, flow_class, server, outcome = np.array(rows, np.int64).T
    came_us = ended_us - (active_ms - before_ms) * 1_000
    order = np.argsort(came_us, kind="stable")
    first_us = int(came_us.min())
    return Requests(
        came_s=(came_us[order] - first_us) / 1e6,
        ended_s=(ended_us[order] - first_us) / 1e6,
        latency_s=active_ms[order] / 1e3,
        flow_class=flow_class[order],
        server=server[order],
        outcome=outcome[order],
    )
