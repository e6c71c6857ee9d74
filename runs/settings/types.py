"""Single values against their types: the parser's own rules, and errors that say field, what is allowed, and value."""

from __future__ import annotations

import typing
from argparse import ArgumentError
from functools import cache
from typing import Any

from jsonargparse import ArgumentParser

from envs.core.validation import SettingError
from envs.core.value_types import words


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
