"""HAProxy's log: a line for every request that has ended, in a format of its own, from a datagram socket.

Nothing that a client sends is in a line, so nobody can write one by way of a URL. Lines in another format, of other backends
or servers, are refused and counted; so are datagrams that are no text.

Times are in milliseconds, as HAProxy has them (configuration manual of 2.6, section 8.4): the request was received in `TR`,
waited for a server in a queue of HAProxy for `Tw` (what it waits for in the server is in `Tr`), and was active for `Ta` in
all, from its first byte to the end of the answer. For how long a connection that is kept alive was idle before (`Ti`) is in
none of them.

The last word is the instant of the end, `date(0,us)`: microseconds since 1970 on the clock of HAProxy's machine, as of the
poll that ended the request, in 16 digits until the year 2286. A log that is kept says by it when requests came: `Ta` before.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from envs.haproxy.addresses import host_and_port, is_path
from envs.haproxy.recorder import LogRecorder
from envs.load_balancing.kernel.metering import ANSWERED, TURNED_AWAY, UNANSWERED, Ended

FORMAT = "mb2"
"""First word of a line: the version of the format."""
LOG_FORMAT = f"{FORMAT} %pid %b %s %ST %ts %TR %Tw %Tc %Tr %Ta %[date(0,us)]"
"""For `log-format` of the frontends: process, backend, server, status, how it ended, times, and the instant of the end."""
TIME = rb"(-1|\d+)"
LINE = re.compile(rb"mb2 (\d+) (\S+) (\S+) (-1|\d{3}) ([A-Za-z-]{2}) " + rb" ".join([TIME] * 4) + rb" (\+?\d+) (\d{16})\s*")
NO_SERVER = b"<NOSRV>"
LONGEST = 1024
"""Bytes of a datagram that are read; a line has less than a quarter of it."""
MOST_WAITING = 1_000_000
"""Lines that wait to be taken in; of more the oldest are dropped, and counted."""
BUFFER = 1 << 22
"""Bytes that the system is asked to keep for us; it may give less."""
PAUSE_S = 0.2
"""Between two looks at whether to go on."""


class Line(NamedTuple):
    """A request that has ended, and when that was heard of."""

    heard_s: float
    pid: int
    backend: str
    server: str | None
    status: int
    termination: str
    received_ms: int
    waited_ms: int
    active_ms: int
    ended_us: int  # since 1970, on HAProxy's clock

    @property
    def outcome(self) -> int:
        """How it ended: a server's error is no answer, and neither is one that was cut off."""
        if self.server is None:
            return TURNED_AWAY
        return ANSWERED if 100 <= self.status < 500 and self.termination[0] == "-" else UNANSWERED


def line_of(data: bytes, heard_s: float) -> Line | None:
    """The request of a datagram; None if it is in another format."""
    found = LINE.fullmatch(data)
    if found is None:
        return None
    pid, backend, server, status, termination, received, waited, _, _, active, ended = found.groups()
    with suppress(UnicodeDecodeError, ValueError):
        return Line(
            heard_s,
            int(pid),
            backend.decode(),
            None if server == NO_SERVER else server.decode(),
            int(status),
            termination.decode(),
            int(received),
            max(int(waited), 0),
            int(active),
            int(ended),
        )
    return None


class Counts(NamedTuple):
    """What became of datagrams: taken in, in another format, of others, dropped since too many waited."""

    taken: int
    malformed: int
    foreign: int
    dropped: int


class LogListener:
    """Hears HAProxy's log in a thread of its own; use as a context manager.

    Parameters
    ----------
    address
        Path of a Unix datagram socket, which is made, or HOST:PORT for UDP.
    backends
        The class of requests of every backend by its name.
    servers
        Names of the servers in order.
    now
        Seconds on the clock that is meant; that of the system by default.
    recorder
        Is given every line that is taken, as it came; it is closed with the listener.

    Raises
    ------
    OSError
        The address can't be bound.
    """

    def __init__(
        self,
        address: str,
        backends: Mapping[str, int],
        servers: Sequence[str],
        now: Callable[[], float] = time.monotonic,
        recorder: LogRecorder | None = None,
    ) -> None:
        self.address, self._now, self._recorder = address, now, recorder
        self._classes = dict(backends)
        self._servers = {name: at for at, name in enumerate(servers)}
        self._waiting: deque[Line] = deque()
        self._n_taken = self._n_malformed = self._n_foreign = self._n_dropped = 0
        self.heard_s: float | None = None
        """When the last line of ours was heard."""
        self._socket = _bound(address)
        self._made = _file_of(address) if is_path(address) else None
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._hear, name="log", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> Counts:
        """What became of datagrams so far."""
        return Counts(self._n_taken, self._n_malformed, self._n_foreign, self._n_dropped)

    @property
    def n_waiting(self) -> int:
        """How many lines there are to drain."""
        return len(self._waiting)

    def drain(self, at_most: int | None = None) -> list[Line]:
        """Lines that came since the last call, in their order; the others stay."""
        lines = []
        with suppress(IndexError):
            for _ in range(self.n_waiting if at_most is None else at_most):
                lines.append(self._waiting.popleft())
        return lines

    def ended(self, lines: Sequence[Line], began_s: float) -> Ended:
        """Lines as a meter takes them in, ``began_s`` being its 0 s.

        Requests end when they are heard of, on the clock of the looks that close a step. HAProxy's own is another one, maybe
        another machine's, and goes back where somebody sets it.
        """
        rows = [
            (
                line.heard_s - began_s,
                self._classes[line.backend],
                -1 if line.server is None else self._servers[line.server],
                line.outcome,
                line.active_ms / 1e3,
                max(line.active_ms - line.waited_ms - max(line.received_ms, 0), 0) / 1e3,
            )
            for line in lines
        ]
        when, flow_class, server, outcome, latency_s, duration_s = np.array(rows, np.float64).reshape(-1, 6).T.copy()
        return Ended(
            when,
            flow_class.astype(np.int64),
            server.astype(np.int64),
            outcome.astype(np.int64),
            latency_s,
            duration_s,
        )

    def _hear(self) -> None:
        while not self._is_over.is_set():
            try:
                data = self._socket.recv(LONGEST)
            except TimeoutError:
                if self._recorder is not None:
                    self._recorder.flush()
                continue
            except OSError:
                return
            self._take(data)

    def _take(self, data: bytes) -> None:
        line = line_of(data, self._now())
        if line is None:
            self._n_malformed += 1
        elif line.backend not in self._classes or (line.server is not None and line.server not in self._servers):
            self._n_foreign += 1
        else:
            self._n_taken += 1
            if self._recorder is not None:
                self._recorder.take(data)
            self.heard_s = line.heard_s
            self._waiting.append(line)
            if len(self._waiting) > MOST_WAITING:
                self._waiting.popleft()
                self._n_dropped += 1

    def close(self) -> None:
        """Hear no more; a socket that was made goes."""
        self._is_over.set()
        self._thread.join()
        self._socket.close()
        if self._recorder is not None:
            self._recorder.close()
        with suppress(FileNotFoundError):
            if self._made is not None and _file_of(self.address) == self._made:  # else it is somebody else's by now
                Path(self.address).unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _file_of(path: str) -> tuple[int, int]:
    """Which file is there: device and number."""
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _is_heard(address: str) -> bool:
    """Whether a process hears at the path of a datagram socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking, suppress(ConnectionRefusedError):
        asking.connect(address)
        return True
    return False


def _bound(address: str) -> socket.socket:
    """A socket that others may send to; one that is left of a process that died is taken over."""
    if not is_path(address):
        place = host_and_port(address, "log", least=0)
        made = socket.socket(socket.AF_INET6 if ":" in place[0] else socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(place)
    else:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with suppress(FileNotFoundError):
            if Path(address).is_socket() and not _is_heard(address):
                os.unlink(address)
        before = os.umask(0o117)
        try:
            made.bind(address)
        finally:
            os.umask(before)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    made.settimeout(PAUSE_S)
    return made
