"""An HTTP/1.1 server over a station: a request says its work, the answer who served it and for how long."""

from __future__ import annotations

import asyncio
import math
from dataclasses import asdict, dataclass

from runs.testbed.ports import bound_socket
from runs.testbed.station import Station

WORK_HEADER, SERVER_HEADER, SERVICE_HEADER = "X-Work-S", "X-Server", "X-Service-S"
HEALTH_PATH = "/health"
END = b"\r\n\r\n"
MAX_HEAD = 16_384
BACKLOG = 4_096
REASONS = {200: "OK", 400: "Bad Request", 503: "Service Unavailable"}


@dataclass(frozen=True)
class ServerSettings:
    """One server, see :class:`runs.testbed.station.Station`."""

    name: str
    cores: int
    speed: float
    max_flows: int


@dataclass
class Counts:
    """Requests of a server since it was made, health checks left out: arrived is answered, rejected, lost and inside."""

    arrived: int = 0
    answered: int = 0
    rejected: int = 0  # there was no room for them
    lost: int = 0  # the server stopped, or whoever asked was gone
    inside: int = 0  # now


class WebServer:
    """A server that can be stopped as abruptly as a machine, and started again on its port."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings, self.counts = settings, Counts()
        self.station = Station(asyncio.get_running_loop(), settings.cores, settings.speed, settings.max_flows)
        self.port: int | None = None
        self._listening: asyncio.Server | None = None
        self._conversations: set[_Conversation] = set()

    async def start(self) -> None:
        """Listen, on the same port as ever; nothing where it does.

        Raises
        ------
        OSError
            Somebody else has the port.
        """
        if self._listening is not None:
            return
        bound = bound_socket(self.port)
        self.port = int(bound.getsockname()[1])
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(lambda: _Conversation(self), sock=bound, backlog=BACKLOG)

    def stop(self) -> None:
        """Close everything at once: the requests in it are lost."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for conversation in tuple(self._conversations):
            conversation.abort()
        self._conversations.clear()
        self.counts.lost += self.station.clear()

    def counted(self) -> dict[str, int]:
        """The counts by name."""
        self.counts.inside = len(self.station)
        return asdict(self.counts)

    def opened(self, conversation: _Conversation) -> None:
        """Somebody has connected."""
        self._conversations.add(conversation)

    def closed(self, conversation: _Conversation) -> None:
        """Somebody is gone."""
        self._conversations.discard(conversation)


class _Conversation(asyncio.Protocol):
    """One keep-alive connection; a request that comes before the last one is answered waits for that."""

    def __init__(self, server: WebServer) -> None:
        self._server, self._received, self._is_busy, self._is_last = server, b"", False, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.closed(self)

    def abort(self) -> None:
        """Close without another word."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._go_on()

    def _go_on(self) -> None:
        while not self._is_busy and not self._transport.is_closing() and END in self._received:
            head, _, self._received = self._received.partition(END)
            self._take(head.decode("latin-1"))
        if len(self._received) > MAX_HEAD:
            self.abort()

    def _take(self, head: str) -> None:
        first, *lines = head.split("\r\n")
        method, _, rest = first.partition(" ")
        path, _, version = rest.partition(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self._is_last = version != "HTTP/1.1" or headers.get("connection", "").lower() == "close"
        if path == HEALTH_PATH:
            self._write(200)
            return
        work_s = _work_s(headers.get(WORK_HEADER.lower(), ""))
        if method != "GET" or work_s is None or headers.get("content-length", "0") != "0":
            self._is_last = True
            self._write(400)
            return
        counts = self._server.counts
        counts.arrived += 1
        self._is_busy = True
        if not self._server.station.enter(work_s, self._answer):
            counts.rejected += 1
            self._is_busy = False
            self._write(503)

    def _answer(self, service_s: float) -> None:
        self._is_busy = False
        if self._transport.is_closing():
            self._server.counts.lost += 1
            return
        self._server.counts.answered += 1
        self._write(200, f"{SERVICE_HEADER}: {service_s!r}\r\n")
        self._go_on()

    def _write(self, status: int, more: str = "") -> None:
        closing = "Connection: close\r\n" if self._is_last else ""
        named = f"{SERVER_HEADER}: {self._server.settings.name}\r\n"
        head = f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Length: 0\r\n{named}{more}{closing}\r\n"
        self._transport.write(head.encode("latin-1"))
        if self._is_last:
            self._transport.close()


def _work_s(told: str) -> float | None:
    try:
        work_s = float(told)
    except ValueError:
        return None
    return work_s if math.isfinite(work_s) and work_s >= 0.0 else None
