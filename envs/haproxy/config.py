"""Where a HAProxy is, and what it calls things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from envs.core.validation import SettingError, check, setting
from envs.haproxy.recorder import LogRecorder
from envs.load_balancing.config import CLASSES, LoadBalancingConfig


@dataclass(frozen=True)
class HAProxyConfig:
    """Where a HAProxy is, and what it calls things."""

    socket: str = ""
    """its stats socket, of level admin: a path, or HOST:PORT"""
    log: str = ""
    """where it sends its log: the path of a Unix datagram socket, which is made, or HOST:PORT for UDP"""
    backends: list[str] = field(default_factory=list)
    """backend of every class of requests, in the order of the world's classes; all have the same servers"""
    servers: list[str] = field(default_factory=list)
    """names of the servers, in the order of the world's pool; [] takes HAProxy's order"""
    backend: str = ""
    """in place of backends, for a world with joint ones: the only one; all its requests count as of the first class"""
    control: list[str] = field(default_factory=list)
    """backends over the same servers that have the rest of the requests and are not steered, one for each of those"""
    day_began_s: float = setting(0.0, ge=0)
    """seconds since 1970 (UTC) when a day of the world's arrivals began, where they come by day; 0 is a midnight"""
    record: str = ""
    """file that lines of the log are appended to as they come, for `metabalance calibrate`; none by default"""
    record_mb: int = setting(1_000, ge=1, le=1_000_000)
    """size of that file at which no more is written"""

    def __post_init__(self) -> None:
        check(self)
        if self.backend and self.backends:
            raise SettingError("backend", "empty where backends are given", self.backend)


def recorder_of(settings: HAProxyConfig) -> LogRecorder | None:
    """What keeps the log, if anything does.

    Raises
    ------
    SettingError
        The file can't be written.
    """
    if not settings.record:
        return None
    try:
        return LogRecorder(Path(settings.record), settings.record_mb * 1_000_000)
    except OSError as error:
        raise SettingError("record", f"a file that can be written ({error.strerror})", settings.record) from None


def backends_of(config: LoadBalancingConfig, settings: HAProxyConfig) -> list[str]:
    """The backends that are looked at: one for each class, or the only one.

    Raises
    ------
    SettingError
        There are others.
    """
    if config.balancers.n > 1:
        raise SettingError("balancers.n", "1 before a real HAProxy", config.balancers.n)
    backends = [settings.backend] if settings.backend else list(settings.backends)
    if config.n_backends == 1 and len(set(backends)) == 1:
        return backends[:1]
    if settings.backend:
        raise SettingError(
            "backend", f"empty in a world with a backend for each class ({', '.join(CLASSES)})", settings.backend
        )
    if len(backends) != len(CLASSES) or len(set(backends)) != len(CLASSES):
        raise SettingError("backends", f"a backend for each class ({', '.join(CLASSES)})", backends)
    return backends


def control_of(settings: HAProxyConfig, backends: Sequence[str]) -> list[str]:
    """The backends that are not steered, if there are any.

    Raises
    ------
    SettingError
        They are not as many as those that are, or the same.
    """
    control = list(settings.control)
    if control and (len(set(control)) != len(backends) or set(control) & set(backends)):
        allowed = f"another backend for each that is steered ({', '.join(backends)})"
        raise SettingError("control", allowed, control)
    return control
