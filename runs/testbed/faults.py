"""What goes wrong on purpose while a load runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envs.core.validation import check, setting

FaultKind = Literal["slow", "stop", "start", "kill_proxy", "start_proxy"]


@dataclass(frozen=True)
class Fault:
    """One thing that happens, at an instant of the load."""

    at_s: float = setting(ge=0)
    """seconds since the start of the load"""
    kind: FaultKind = "stop"
    """slow lets a server go on at its speed times `factor`, stop ends it with all requests in it and start lets it serve
    again, kill_proxy and start_proxy do the same to HAProxy"""
    server: int = setting(0, ge=0)
    """which server, from 0"""
    factor: float = setting(1.0, ge=0, le=1)
    """of the configured speed, for kind slow; 1 ends a slow-down"""

    def __post_init__(self) -> None:
        check(self)
