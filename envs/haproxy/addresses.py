"""Addresses of sockets: the path of a Unix socket, or HOST:PORT."""

from __future__ import annotations

from envs.core.validation import SettingError


def is_path(address: str) -> bool:
    """Whether it is the path of a Unix socket."""
    return ":" not in address or "/" in address


def host_and_port(address: str, field: str, least: int = 1) -> tuple[str, int]:
    """Of an address that is no path; brackets around a host of IPv6 are left out. Port 0 is any that is free, to hear at.

    Raises
    ------
    SettingError
        It is none; the error names the setting ``field``.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not least <= int(port) < 65536:
        raise SettingError(field, "the path of a Unix socket, or HOST:PORT", address)
    return host.strip("[]"), int(port)
