"""Single values against their types: the parser's own rules, and errors that say field, what is allowed, and value."""

from __future__ import annotations

import types
import typing
from argparse import ArgumentError
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union

from jsonargparse import ArgumentParser

from envs.core.validation import SettingError

WORDS: dict[Any, tuple[str, str]] = {
    int: ("an integer", "integers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "true or false"),
    str: ("text", "texts"),
    Path: ("a path", "paths"),
    type(None): ("null", "null"),
}
"""Types as words, for one and for many."""


@cache
def _parser(annotation: Any) -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=annotation)
    return parser


def typed(annotation: Any, value: object, path: str) -> Any:
    """A value of a file or a word of the command line as a value of a type.

    Raises
    ------
    SettingError
        It is none.
    """
    try:
        found = _parser(annotation).parse_object({"value": value}).value
    except ArgumentError:
        raise SettingError(path, words(annotation), value) from None
    if found is None and not allows_none(annotation):
        raise SettingError(path, words(annotation), "null")
    return found


def allows_none(annotation: Any) -> bool:
    """Whether a setting may be null."""
    return annotation is type(None) or type(None) in typing.get_args(annotation)


def words(annotation: Any, many: bool = False) -> str:
    """What a type allows, in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in WORDS:
        return WORDS[annotation][many]
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin in (list, tuple) and arguments:
        return f"a list of {words(arguments[0], many=True)}"
    if origin in (Union, types.UnionType):
        return " or ".join(words(one, many) for one in arguments)
    return str(annotation)
