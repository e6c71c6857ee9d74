"""Options of the parser are the fields of the chosen types: names, types, help, defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from jsonargparse import ArgumentParser

from envs.core.validation import SettingError, build
from runs.settings.layers import lay_over
from runs.settings.options import add_options, add_settings, check_given, options_of, positional, switch
from runs.settings.words import given, without
from tests.runs.settings.shapes import Bursts, Plan, Replay, Size


def parser_of(values: dict[str, Any]) -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    add_settings(parser, Plan, lay_over(Plan, {}, values))
    return parser


def test_a_tree_comes_back_as_it_is() -> None:
    assert build(Plan, parser_of({}).parse_args([]).as_dict()) == Plan()


def test_the_command_line_wins_over_what_is_given_before() -> None:
    parser = parser_of({"env": {"arrivals": {"source": "bursts", "factor": 2.0}, "size": {"width": 9}}, "seed": 3})
    env = build(Plan, parser.parse_args(["--env.arrivals.rate_hz", "5", "--env.names+", "till"]).as_dict()).env
    assert env.arrivals == Bursts(rate_hz=5.0, factor=2.0)  # type: ignore[union-attr]
    assert env.size == Size(9, 3)
    assert env.names == ["till"]  # type: ignore[union-attr]


def test_help_says_what_the_docstrings_say_and_what_can_be_chosen() -> None:
    text = " ".join(parser_of({"env": {"arrivals": "bursts"}}).format_help().split())
    assert "env.arrivals: Calm and bursts in turn; --env.arrivals FILE takes all of it from a file:" in text
    assert "--env.arrivals.source {steady,bursts,replay}" in text
    assert "rate in a burst (type: float, default: 3.0)" in text
    assert "--env.arrivals.factor" not in parser_of({}).format_help()


def test_what_has_no_default_must_be_given() -> None:
    for values, is_given in (
        ({"env": {"arrivals": "replay"}}, False),
        ({"env": {"arrivals": {"source": "replay", "path": "a"}}}, True),
    ):
        laid = lay_over(Plan, {}, values)
        parser = ArgumentParser(exit_on_error=False)
        missing = add_settings(parser, Plan, laid)
        if is_given:
            check_given(missing, laid)
            assert build(Plan, parser.parse_args([]).as_dict()).env.arrivals == Replay("a")  # type: ignore[union-attr]
        else:
            with pytest.raises(SettingError, match=r"^env\.arrivals\.path must be text, got nothing$"):
                check_given(missing, laid)


@dataclass(frozen=True, kw_only=True)
class Light:
    """Whether one can see."""

    is_on: bool = switch()
    """let there be light"""


@dataclass(frozen=True)
class Room(Light):
    """A room."""

    name: str = positional()
    """its name"""


def test_a_switch_takes_no_word() -> None:
    parser = ArgumentParser(exit_on_error=False)
    add_options(parser, Room, [])
    for words, is_on in ((["hall"], False), (["--is-on", "hall"], True), (["hall", "--is-on"], True)):
        assert options_of(Room, parser.parse_args(words)) == Room("hall", is_on=is_on)
    assert "--is-on let there be light" in " ".join(parser.format_help().split())


def test_options_are_read_as_a_parser_reads_them() -> None:
    arguments = ["DIR", "--a.b", "1", "--c=2", "--d", "--e", "-3", "stray", "--f", "--g=", "--a.b", "4"]
    assert given(arguments) == [("a.b", "1"), ("c", "2"), ("e", "-3"), ("g", ""), ("a.b", "4")]
    assert without(arguments, ["a.b", "c"]) == ["DIR", "--d", "--e", "-3", "stray", "--f", "--g="]
