"""Small configs, with choices at two depths, that stand for those of the project."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from envs.core.validation import check, chosen, setting


@dataclass(frozen=True)
class Steady:
    """Nothing changes."""

    source: Literal["steady"] = "steady"
    """kind of arrivals"""
    rate_hz: float = setting(1.0, gt=0)
    """mean rate"""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Bursts:
    """Calm and bursts in turn."""

    source: Literal["bursts"] = "bursts"
    """kind of arrivals"""
    rate_hz: float = setting(1.0, gt=0)
    """mean rate"""
    factor: float = setting(3.0, ge=1)
    """rate in a burst"""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Replay:
    """A recording."""

    path: str
    """the file; it has no default"""
    source: Literal["replay"] = "replay"
    """kind of arrivals"""


SOURCES = {"steady": Steady, "bursts": Bursts, "replay": Replay}


@dataclass(frozen=True)
class Size:
    """How large; neither has a default of its own."""

    width: int
    """in steps"""
    height: int
    """in steps"""


@dataclass(frozen=True)
class Shop:
    """A world with a choice in it."""

    family: Literal["shop"] = "shop"
    """family"""
    arrivals: Steady | Bursts | Replay = chosen(lambda: SOURCES, by="source", default_factory=Steady)  # type: ignore[arg-type]
    size: Size = field(default_factory=lambda: Size(2, 3))
    names: list[str] = field(default_factory=list)
    """names of the tills"""
    steps: int = setting(10, ge=1)
    """steps of an episode"""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Pond:
    """A world without any."""

    family: Literal["pond"] = "pond"
    """family"""
    steps: int = setting(20, ge=1)
    """steps of an episode"""
    size: str = "deep"
    """not what a shop calls so"""

    def __post_init__(self) -> None:
        check(self)


FAMILIES = {"shop": Shop, "pond": Pond}


@dataclass(frozen=True)
class Plan:
    """All of it."""

    env: Shop | Pond = chosen(lambda: FAMILIES, by="family", default_factory=Shop)  # type: ignore[arg-type]
    seed: int = setting(0, ge=0)
    """master seed"""
    bound: float | None = setting(None, gt=0)
    """None is none"""

    def __post_init__(self) -> None:
        check(self)
