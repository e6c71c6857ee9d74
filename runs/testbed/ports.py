"""Ports of 127.0.0.1 that nothing else takes while whoever listens there is down."""

from __future__ import annotations

import random
import socket

HOST = "127.0.0.1"
FIRST, LAST = 12_000, 32_000
"""Below the ports that Linux gives to outgoing connections, which would take one of a server that is down."""
MAX_TRIES = 1_000


def bound_socket(port: int | None = None) -> socket.socket:
    """A socket bound to a port, or to any that is free.

    Raises
    ------
    OSError
        The port is taken, or none is free.
    """
    for _ in range(MAX_TRIES):
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((HOST, random.randint(FIRST, LAST) if port is None else port))
        except OSError:
            bound.close()
            if port is not None:
                raise
        else:
            return bound
    raise OSError(f"no port from {FIRST} to {LAST} is free")


def free_ports(n: int) -> list[int]:
    """Different ports that are free now."""
    held = [bound_socket() for _ in range(n)]
    try:
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()
