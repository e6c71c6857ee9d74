"""What is asked over HTTP: GET of a few paths, answered in threads of their own, so many at once and not for long."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from envs.core.validation import SettingError, check, setting

MOST_CLIENTS = 16
"""Connections at once; more are closed unanswered."""
LONGEST_S = 5.0
"""How long a connection may last."""
PAUSE_S = 0.2
"""Between two looks at whether one has lasted too long."""
TEXT, JSON = "text/plain; charset=utf-8", "application/json"


@dataclass(frozen=True)
class HttpConfig:
    """Where metrics, health and state are asked for."""

    host: str = "127.0.0.1"
    """address to listen at; whoever reaches it may read, and nothing more"""
    port: int | None = setting(None, ge=0, le=65_535)
    """TCP port; 0 takes a free one, without one there is no HTTP"""

    def __post_init__(self) -> None:
        check(self)


class Answer(NamedTuple):
    """To a request."""

    body: bytes
    kind: str = TEXT
    status: int = 200


Routes = Mapping[str, Callable[[], Answer]]
"""What makes the answer for a path."""


def said(line: str, status: int = 200) -> Answer:
    """A line of text."""
    return Answer(f"{line}\n".encode(), status=status)


class Http:
    """Listens from when it is made; use as a context manager.

    Parameters
    ----------
    config
        Where; with a port.
    routes
        What is answered; called in several threads at once.

    Attributes
    ----------
    address
        ``http://HOST:PORT``, with the port that was taken.

    Raises
    ------
    SettingError
        It can't listen there.
    """

    def __init__(self, config: HttpConfig, routes: Routes) -> None:
        assert config.port is not None
        try:
            self._server = _Server(config.host, config.port, routes)
        except OSError as error:
            name, value = ("host", config.host) if isinstance(error, socket.gaierror) else ("port", config.port)
            allowed = f"one that can be listened at ({error.strerror or error})"
            raise SettingError(f"http.{name}", allowed, value) from None
        host, port = self._server.server_address[:2]
        self.address = f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(PAUSE_S,), name="http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more; who is being answered is cut off."""
        self._server.shutdown()
        self._server.server_close()
        self._server.cut(time.monotonic() + LONGEST_S)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_CLIENTS

    def __init__(self, host: str, port: int, routes: Routes) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        self.routes = routes
        self._since_s: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Without asking for the name of the host, which may take long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def verify_request(self, request: Any, client_address: Any) -> bool:
        with self._lock:
            is_room = len(self._since_s) < MOST_CLIENTS
            if is_room:
                self._since_s[request] = time.monotonic()
        return is_room

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._since_s.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        self.cut(time.monotonic())

    def cut(self, now_s: float) -> None:
        """Cut off who is there for longer than is allowed at that time."""
        with self._lock:
            late = [one for one, since_s in self._since_s.items() if now_s - since_s >= LONGEST_S]
            for one in late:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone, or cut off, is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = LONGEST_S

    def do_GET(self) -> None:
        route = self.server.routes.get(self.path.partition("?")[0])
        if route is None:
            self._answer(said("not found", 404))
            return
        try:
            answer = route()
        except Exception:  # what has failed is not for clients
            answer = said("it has failed", 500)
        self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if answer.status == 405:
            self.send_header("Allow", "GET")
        self.end_headers()
        self.wfile.write(answer.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What can't be read, and other methods than GET."""
        self.close_connection = True
        self._answer(said("only GET is answered", 405) if code == 501 else said("bad request", code))

    def version_string(self) -> str:
        return "metabalance"

    def log_message(self, format: str, *args: Any) -> None: ...
