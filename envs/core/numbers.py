"""The numbers of a config, as kernels read them: each setting is declared once, in the config."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections import namedtuple
from collections.abc import Callable
from typing import Any, Literal

from envs.core.validation import Config


def numbers(config: Config) -> Any:
    """A named tuple of the numbers among a config's fields; a word becomes its place among the words allowed.

    The tuple has the fields of types float, int, bool and `Literal` of words under their names. Everything else (lists,
    configs, numbers that may be None, a word without a choice) is left out; where nothing remains the tuple is ``()``.
    """
    kind, converters = _numbers_type(type(config))
    return kind(*(convert(getattr(config, name)) for name, convert in converters.items())) if converters else ()


def no_numbers(config_type: type) -> Any:
    """The same of a config that was not chosen: all 0."""
    kind, converters = _numbers_type(config_type)
    return kind(*(convert() if isinstance(convert, type) else 0 for convert in converters.values())) if converters else ()


@functools.cache
def _numbers_type(config_type: type) -> tuple[Any, dict[str, Callable[..., Any]]]:
    """The type, as an attribute of the config's so that compiled code can be cached under its name; how fields get there."""
    hints = typing.get_type_hints(config_type)
    names = [field.name for field in dataclasses.fields(config_type)]
    converters = {name: convert for name in names if (convert := _converter(hints[name])) is not None}
    kind: Any = namedtuple("Numbers", converters)  # type: ignore[misc]
    kind.__module__, kind.__qualname__ = config_type.__module__, f"{config_type.__qualname__}.Numbers"
    config_type.Numbers = kind  # type: ignore[attr-defined]
    return kind, converters


def _converter(hint: Any) -> Callable[..., Any] | None:
    if typing.get_origin(hint) is Literal:
        words = typing.get_args(hint)
        return words.index if len(words) > 1 else None
    return hint if hint in (float, int, bool) else None
