"""A minimal HTTP/1.1 client: keep-alive connections from a pool, requests without a body, one at a time on each."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from runs.testbed.ports import HOST
from runs.testbed.web_server import END, SERVER_HEADER

NO_ANSWER = 0
"""In place of a status."""
STATUS = re.compile(r"HTTP/1\.([01]) (\d{3}) ")
LENGTH = re.compile(r"\r\nContent-Length: *(\d+)", re.IGNORECASE)
SERVER = re.compile(rf"\r\n{SERVER_HEADER}: *([^\r]*)", re.IGNORECASE)
CLOSING = re.compile(r"\r\nConnection: *close", re.IGNORECASE)


class Call:
    """One request, and what is to be done as soon as it is over: exactly once, however it ends.

    Parameters
    ----------
    sent
        Called when the request is written.
    over
        Called with the status, or `NO_ANSWER`, and the name of the server that answered, which may be empty.
    """

    __slots__ = ("_over", "connection", "is_over", "request", "sent")

    def __init__(self, request: bytes, sent: Callable[[], None], over: Callable[[int, str], None]) -> None:
        self.request, self.sent, self._over = request, sent, over
        self.connection: Connection | None = None
        self.is_over = False

    def finish(self, status: int, server: str) -> None:
        """It ends like this, unless it has ended already."""
        if not self.is_over:
            self.is_over = True
            self._over(status, server)

    def give_up(self) -> None:
        """It gets no answer; a connection that waits for one is closed."""
        connection = self.connection
        self.finish(NO_ANSWER, "")
        if connection is not None:
            connection.abort()


class Connection(asyncio.Protocol):
    """A connection with one call on it at most."""

    def __init__(self, pool: Pool, port: int) -> None:
        self._pool, self.port = pool, port
        self._call: Call | None = None
        self._received = b""
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self.is_open = transport, True
        self._pool.remember(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self._pool.forget(self)
        self._end(NO_ANSWER, "")

    def abort(self) -> None:
        """Close at once."""
        self.is_open = False
        self._transport.abort()

    def send(self, call: Call) -> None:
        """Write a request."""
        self._call, call.connection = call, self
        self._transport.write(call.request)
        call.sent()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(END)
        if end < 0:
            return
        head = self._received[:end].decode("latin-1")
        status, length, server = STATUS.match(head), LENGTH.search(head), SERVER.search(head)
        if self._call is None or status is None or length is None:
            self.abort()
            return
        if len(self._received) < end + len(END) + int(length[1]):
            return
        self._received = b""
        stays = status[1] == "1" and CLOSING.search(head) is None
        if not stays:
            self.abort()
        self._end(int(status[2]), "" if server is None else server[1])
        if stays and self.is_open:
            self._pool.give_back(self)

    def _end(self, status: int, server: str) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.connection = None
            call.finish(status, server)


class Pool:
    """Connections to ports of this machine: the one that was used last is used next.

    Parameters
    ----------
    limit
        Connections that may be open at once; a call that finds none is given up.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._idle: dict[int, list[Connection]] = {}
        self._open: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()

    def ask(self, port: int, call: Call) -> None:
        """Send a request now, or as soon as a new connection is there."""
        idle = self._idle.setdefault(port, [])
        while idle:
            connection = idle.pop()
            if connection.is_open:
                connection.send(call)
                return
        if len(self._open) + len(self._opening) >= self._limit:
            call.give_up()
            return
        task = asyncio.get_running_loop().create_task(self._connect(port, call))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self, port: int, call: Call) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(lambda: Connection(self, port), HOST, port)
        except OSError:
            call.give_up()
            return
        if call.is_over:
            self.give_back(connection)
        elif connection.is_open:
            connection.send(call)
        else:
            call.give_up()

    def give_back(self, connection: Connection) -> None:
        """A connection is free."""
        self._idle.setdefault(connection.port, []).append(connection)

    def remember(self, connection: Connection) -> None:
        """A connection is open."""
        self._open.add(connection)

    def forget(self, connection: Connection) -> None:
        """A connection is closed."""
        self._open.discard(connection)

    async def close(self) -> None:
        """Close all connections; none of their calls is answered any more."""
        for task in tuple(self._opening):
            task.cancel()
        for connection in tuple(self._open):
            connection.abort()
        await asyncio.sleep(0)
