"""What is drawn anew per env and episode."""

from __future__ import annotations

from dataclasses import dataclass, fields

from envs.core.validation import SettingError, check, setting


@dataclass(frozen=True)
class Randomisation:
    """What is drawn anew per env and episode: an empty list leaves it as configured, `[low, high]` is drawn from."""

    n_servers: list[int] = setting(default_factory=list, ge=1)
    """servers present, uniform; the others of the pool are absent for the episode"""
    cores: list[int] = setting(default_factory=list, ge=1, le=1e6)
    """cores of each server, uniform"""
    speed: list[float] = setting(default_factory=list, gt=0, le=1e6)
    """speed of each server, log-uniform"""
    price_per_capacity: list[float] = setting(default_factory=list, gt=0)
    """price in $ an hour of a second of work a second, log-uniform per server; its price is that times its capacity"""
    load: list[float] = setting(default_factory=list, gt=0)
    """factor on the load of all regimes, uniform"""
    interactive_share: list[float] = setting(default_factory=list, ge=-1, le=1)
    """shift of the interactive share of all regimes, uniform; shares stay within 0 and 1"""
    work: list[float] = setting(default_factory=list, gt=0)
    """factor on the mean work of each class, log-uniform"""
    deadline: list[float] = setting(default_factory=list, gt=0)
    """factor on the deadline of each class, log-uniform"""

    def __post_init__(self) -> None:
        check(self)
        for one in fields(self):
            span = getattr(self, one.name)
            if span and not (len(span) == 2 and span[0] <= span[1]):
                raise SettingError(one.name, "[] or [low, high] with low <= high", span)
            if one.type == "list[int]" and any(end != int(end) for end in span):
                raise SettingError(one.name, "two integers", span)
