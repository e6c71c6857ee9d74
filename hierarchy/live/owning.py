"""One controller for a backend: a name that the system gives to one process at a time.

The name is that of an abstract Unix socket, made of the real path of the stats socket and the backend. It goes with the
process whatever ends it, takes no folder that one may write to, and whoever asks for it learns which process has it. It does
not cover another machine, another network namespace such as a container's, and a HAProxy that is reached at two addresses,
at TCP and at a path for example: what such a controller does shows as weights that somebody else set.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from envs.core.validation import SettingError
from envs.haproxy.addresses import is_path

PREFIX = "\0metabalance/"
CREDENTIALS = struct.Struct("3i")
"""What Linux says of a peer: process, user, group."""
WAIT_S, PAUSE_S = 5.0, 0.05
"""How long a name is waited for: a watchdog that puts weights back has it for less."""
ANSWER_S = 0.5
BACKLOG = 4096
"""Those who have asked for the holder of a name; nobody answers them."""


def name_of(address: str, backend: str) -> str:
    """The name of a backend of the HAProxy whose stats socket is at ``address``."""
    place = os.path.realpath(address) if is_path(address) else address
    return PREFIX + hashlib.sha256(f"{place}\n{backend}".encode()).hexdigest()


def taken(address: str, backend: str) -> socket.socket | None:
    """The name of a backend, as an open socket; None if another process has it."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        held.bind(name_of(address, backend))
        held.listen(BACKLOG)
    except OSError:
        held.close()
        return None
    return held


class Holder(NamedTuple):
    """Who has a name."""

    pid: int
    uid: int

    @property
    def may_steer(self) -> bool:
        """Whether it is the administrator or this user: any other can take a name, too, and steers nothing by it."""
        return self.uid in (0, os.getuid())


def holder(address: str, backend: str) -> Holder | None:
    """Who has the name of a backend; None if nobody has it, or it can't be told."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(ANSWER_S)
        asking.connect(name_of(address, backend))
        pid, uid, _ = CREDENTIALS.unpack(asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
        return Holder(pid, uid) if pid else None
    return None


def is_free(address: str, backend: str) -> bool:
    """Whether nobody has the name of a backend who may steer it."""
    found = holder(address, backend)
    return found is not None and not found.may_steer


@contextlib.contextmanager
def alone_on(
    address: str,
    backends: Iterable[str],
    wait_s: float = WAIT_S,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Keep other controllers away from backends.

    Raises
    ------
    SettingError
        Another process has one of them, and does not let go within ``wait_s``.
    """
    until_s = now() + wait_s
    with contextlib.ExitStack() as stack:
        for backend in sorted(set(backends)):
            while (held := taken(address, backend)) is None:
                if is_free(address, backend):
                    break
                if now() >= until_s:
                    found = holder(address, backend)
                    who = "another one" if found is None else f"process {found.pid}"
                    raise SettingError(f"haproxy backend {backend}", "one that no other controller steers", who)
                sleep(PAUSE_S)
            if held is not None:
                stack.enter_context(held)
        yield
