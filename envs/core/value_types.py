"""Types of settings: whether a plain value is of one, and what it allows in words."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union

WORDS: dict[Any, tuple[str, str]] = {
    int: ("an integer", "integers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "true or false"),
    str: ("text", "texts"),
    Path: ("a path", "paths"),
    type(None): ("null", "null"),
}
"""Types as words, for one and for many."""


def words(annotation: Any, many: bool = False) -> str:
    """What a type allows, in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in WORDS:
        return WORDS[annotation][many]
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin in (list, tuple) and arguments:
        return f"a list of {words(arguments[0], many=True)}"
    if origin is dict:
        return "a mapping"
    if origin in (Union, types.UnionType):
        return " or ".join(words(one, many) for one in arguments)
    return str(annotation)


def is_of(annotation: Any, value: object) -> bool:
    """Whether a value is of a type, of those that settings have; an integer is a number, true and false are none."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in arguments)
    if origin in (Union, types.UnionType):
        return any(is_of(one, value) for one in arguments)
    if origin in (list, tuple):
        return isinstance(value, (list, tuple)) and all(is_of(arguments[0], one) for one in value)
    if origin is dict:
        of_name, of_entry = arguments
        return isinstance(value, Mapping) and all(is_of(of_name, k) and is_of(of_entry, one) for k, one in value.items())
    if annotation is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return annotation is Any or isinstance(value, origin or annotation)
