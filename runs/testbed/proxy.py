"""A real HAProxy: its configuration for the classes of requests, and its process, which may be killed and started again."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from envs.core.validation import SettingError, check, setting
from envs.haproxy.log import LOG_FORMAT
from envs.haproxy.runtime import MAX_WEIGHT, NAME, RuntimeApi, RuntimeApiError
from runs.testbed.errors import BedError
from runs.testbed.ports import HOST

Balance = Literal["leastconn", "roundrobin", "random(1)", "random(2)", "static-rr"]
SOCKET, OUTPUT = "admin.sock", "haproxy.log"
START_S, PAUSE_S = 10.0, 0.02
WEIGHT = 100
SOCKET_PATH = re.compile(r"/[\w./:-]+")
MAX_SOCKET_PATH = 107
"""What Linux takes for a Unix socket, in bytes."""
HEAD = """\
global
    nbthread 1
    maxconn {connections}
    stats socket {socket} mode 600 level admin
    log {log} len 1024 format raw local0 info
defaults
    mode http
    log global
    log-format "{log_format}"
    http-reuse always
    retries 0
    no option redispatch
    timeout connect 1s
    timeout queue 10s
    timeout check 1s
    timeout client 1h
    timeout server 1h
    timeout http-keep-alive 1h
    default-server inter {check_ms}ms fall {fall} rise {rise}
"""
FRONTEND = """\
frontend {name}
    bind {host}:{port} backlog 4096
    default_backend {backend}
"""
SPLIT = """\
    use_backend {backend} if {{ rand({of}) lt {share} }}
"""
OF = 10_000
"""In so many parts a share of the requests is told."""
BACKEND = """\
backend {name}
    balance {balance}
    option httpchk GET /health
"""


@dataclass(frozen=True)
class ProxyConfig:
    """How HAProxy balances, and how it learns that a server is down."""

    balance: Balance = "leastconn"
    """algorithm of every backend; static-rr takes no other weights while it runs"""
    prefix: str = "web"
    """backends are named by this and the class, as in web_interactive"""
    weights: list[int] = setting(default_factory=list, ge=0, le=MAX_WEIGHT)
    """initial weight of each server, the same in every backend; [] gives all the same"""
    check_ms: int = setting(200, ge=10, le=60_000)
    """milliseconds between two health checks of a server"""
    fall: int = setting(2, ge=1, le=100)
    """checks that fail until a server is down"""
    rise: int = setting(1, ge=1, le=100)
    """checks that succeed until it is up again"""
    share: float = setting(0.0, ge=0, lt=1)
    """of the requests, drawn at random, that go to backends of their own over the same servers, as canary_web_batch"""

    def __post_init__(self) -> None:
        check(self)
        if not NAME.fullmatch(self.prefix):
            raise SettingError("prefix", "letters, digits and _ . : -", repr(self.prefix))


def configuration(
    config: ProxyConfig,
    *,
    socket: Path,
    log: Path,
    connections: int,
    frontends: Mapping[str, tuple[int, str]],
    servers: Mapping[str, int],
) -> str:
    """The text of a configuration file.

    One thread balances, so that the algorithm sees all requests in one order.

    Parameters
    ----------
    socket, log
        Of the Runtime API, and where lines of :data:`envs.haproxy.log.LOG_FORMAT` go.
    connections
        That clients may have open at once.
    frontends
        Port and backend by name.
    servers
        Ports by name.

    Raises
    ------
    SettingError
        There is not one weight per server, or the path of a socket is too long.
    """
    for name, path in (("socket", socket), ("log_socket", log)):
        check_socket_path(path, name)
    weights = config.weights or [WEIGHT] * len(servers)
    if len(weights) != len(servers):
        raise SettingError("weights", f"[] or one entry per server ({len(servers)})", config.weights)
    head = HEAD.format(
        connections=connections,
        socket=socket,
        log=log,
        log_format=LOG_FORMAT,
        check_ms=config.check_ms,
        fall=config.fall,
        rise=config.rise,
    )
    parts, backends = [head], [backend for _, backend in frontends.values()]
    for name, (port, backend) in frontends.items():
        parts.append(FRONTEND.format(name=name, host=HOST, port=port, backend=backend))
        if config.share:
            backends.append(canary(backend))
            parts.append(SPLIT.format(backend=backends[-1], of=OF, share=round(config.share * OF)))
    lines = [
        f"    server {name} {HOST}:{port} weight {weight} check\n"
        for (name, port), weight in zip(servers.items(), weights, strict=True)
    ]
    for backend in dict.fromkeys(backends):
        parts += [BACKEND.format(name=backend, balance=config.balance), *lines]
    return "".join(parts)


def canary(backend: str) -> str:
    """The backend that has a share of the requests of another one."""
    return f"canary_{backend}"


def check_socket_path(path: Path, name: str) -> None:
    """Hold the path of a socket against what Linux and HAProxy's configuration take.

    Raises
    ------
    SettingError
        It is too long, or has other characters; the error names the setting ``name``.
    """
    if not SOCKET_PATH.fullmatch(str(path)) or len(str(path).encode()) > MAX_SOCKET_PATH:
        allowed = f"an absolute path of letters, digits and _ . : - of at most {MAX_SOCKET_PATH} bytes"
        raise SettingError(name, allowed, repr(str(path)))


def find_haproxy() -> str:
    """The program.

    Raises
    ------
    SettingError
        It is not installed.
    """
    found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if found is None:
        raise SettingError("haproxy", "installed (Debian 12: apt-get install haproxy)", "nothing by that name")
    return found


def ends_with_us() -> Sequence[str]:
    """What stands before a command that is to be killed when the thread that starts it ends, however it does."""
    found = shutil.which("setpriv")
    return [] if found is None else [found, "--pdeathsig", "KILL"]


class HAProxy:
    """A process over a configuration in a folder of its own.

    Parameters
    ----------
    folder
        Is there already; its path is short, for it holds a socket.
    text
        The configuration; its stats socket is `SOCKET` in the folder.

    Attributes
    ----------
    socket
        Path of the stats socket.
    process
        The process, while it runs.
    """

    def __init__(self, folder: Path, text: str) -> None:
        self.folder, self.config, self.socket = folder, folder / "haproxy.cfg", str(folder / SOCKET)
        self.config.write_text(text)
        self.process: subprocess.Popen[bytes] | None = None
        self._words = [*ends_with_us(), find_haproxy(), "-db", "-f", str(self.config)]

    def __enter__(self) -> HAProxy:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def launch(self) -> None:
        """Start the process and return at once; nothing if it runs."""
        if self.process is not None and self.process.poll() is None:
            return
        with (self.folder / OUTPUT).open("ab") as output:
            self.process = subprocess.Popen(
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                start_new_session=True,
            )

    def start(self) -> None:
        """Start the process, and return when it answers at its socket.

        Raises
        ------
        BedError
            It does not answer in time, or ends.
        """
        self.launch()
        until_s = time.monotonic() + START_S
        while not self.answers():
            assert self.process is not None
            if self.process.poll() is not None:
                raise BedError(f"HAProxy has ended with {self.process.returncode}: {self._last_words()}")
            if time.monotonic() > until_s:
                raise BedError(f"HAProxy does not answer within {START_S:g} s: {self._last_words()}")
            time.sleep(PAUSE_S)

    def answers(self) -> bool:
        """Whether this process, and no other, answers at the socket."""
        with contextlib.suppress(RuntimeApiError):
            return self.process is not None and RuntimeApi(self.socket).process().get("Pid") == str(self.process.pid)
        return False

    def kill(self) -> None:
        """End the process as a crash does; nothing if it does not run."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _last_words(self) -> str:
        said = (self.folder / OUTPUT).read_text(errors="replace").strip().splitlines()
        alerts = [line for line in said if "ALERT" in line]
        return (alerts or said or ["nothing was said"])[0]
