"""Settings are held against what stands beside them, and an error names the whole path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from envs.core.validation import SettingError, build, check, chosen, setting


@dataclass(frozen=True)
class Calm:
    source: Literal["calm"] = "calm"
    rate_hz: float = setting(1.0, gt=0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Bursts:
    source: Literal["bursts"] = "bursts"
    factor: float = setting(3.0, ge=1, lt=10)

    def __post_init__(self) -> None:
        check(self)


SOURCES: dict[str, type] = {"calm": Calm, "bursts": Bursts}


@dataclass(frozen=True)
class Load:
    arrivals: Calm | Bursts = chosen(lambda: SOURCES, by="source", default_factory=Calm)
    shares: list[float] = setting(default_factory=lambda: [0.5], ge=0, le=1, n_min=1)
    fixed: list[float] | None = setting(None, ge=0)
    limit: float | None = setting(None, gt=0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Top:
    load: Load = field(default_factory=Load)


def test_what_is_missing_has_its_default_and_a_choice_may_be_a_name_alone() -> None:
    assert build(Top, {}) == Top()
    assert build(Top, {"load": {"arrivals": "bursts"}}).load.arrivals == Bursts()
    assert build(Top, {"load": {"arrivals": {"source": "bursts", "factor": 4.0}}}).load.arrivals == Bursts(factor=4.0)


def test_the_default_of_a_choice_takes_settings_of_its_own() -> None:
    assert build(Top, {"load": {"arrivals": {"rate_hz": 2.0}}}).load.arrivals == Calm(rate_hz=2.0)


def test_what_may_be_left_out_is_held_to_its_limits_where_it_is_given() -> None:
    given = build(Top, {"load": {"fixed": [0.2, 0.8], "limit": 1.0}}).load
    assert (given.fixed, given.limit) == ([0.2, 0.8], 1.0)


WRONG: list[tuple[Mapping[str, Any], str]] = [
    ({"load": {"arrivals": {"source": "bursts", "factor": 0.5}}}, "load.arrivals.factor must be >= 1 and < 10, got 0.5"),
    ({"load": {"arrivals": "storm"}}, "load.arrivals.source must be one of calm, bursts, got storm"),
    ({"load": [1, 2]}, "load must be a mapping of settings, got [1, 2]"),
    ({"load": {"shares": []}}, "load.shares must be a list of at least 1, got []"),
    ({"load": {"shares": [0.5, 1.5]}}, "load.shares must be >= 0 and <= 1, got 1.5"),
    ({"load": {"fixed": [0.5, -1.0]}}, "load.fixed must be >= 0, got -1.0"),
    ({"load": {"limit": float("nan")}}, "load.limit must be > 0, got nan"),
    ({"lode": {}}, "lode must be a setting of the experiment (load), got {}"),
]


@pytest.mark.parametrize(("values", "line"), WRONG)
def test_what_is_not_allowed_is_named_with_its_whole_path(values: Mapping[str, Any], line: str) -> None:
    with pytest.raises(SettingError) as refused:
        build(Top, values)
    assert str(refused.value) == line


def test_a_config_that_stands_alone_names_its_own_field() -> None:
    with pytest.raises(SettingError, match=r"^factor must be >= 1 and < 10, got 11$"):
        Bursts(factor=11)
