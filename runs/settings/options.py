"""Options of the command line from config types: names, types, help and defaults are those of the fields."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, TypeVar

import docstring_parser
from jsonargparse import ArgumentParser, Namespace, set_parsing_settings

from envs.core.validation import LIMITS, Limits, SettingError, build, field_type
from envs.core.value_types import words
from runs.settings.layers import Leaf, Part, at, join, parts
from runs.settings.types import allows_none, typed
from runs.settings.words import given

set_parsing_settings(add_print_completion_argument=True)

T = TypeVar("T")
POSITIONAL, REPEATED, OFFERED, SWITCH, WORD = "positional", "repeated", "offered", "switch", "word"
"""Keys of the metadata of a field that is given without its name, several times, whose help lists what there is, that no
word follows, or whose option has another name."""


def positional(one_of: tuple[str, ...] | None = None, default: Any = dataclasses.MISSING) -> Any:
    """A field of a command's options that is given without its name; it may be left out where it has a default."""
    metadata = {POSITIONAL: True, LIMITS: Limits(one_of=one_of)}
    return dataclasses.field(default=default, metadata=metadata)


def repeated() -> Any:
    """A field of a command's options that may be given several times; it holds all values in order."""
    return dataclasses.field(default_factory=list, metadata={REPEATED: True})


def offered(names: Callable[[], Iterable[str]]) -> Any:
    """A field of a command's options, None by default, whose help lists names; who takes one says whether there is such."""
    return dataclasses.field(default=None, metadata={OFFERED: names})


def switch() -> Any:
    """A field of a command's options that is False unless it is named; no word follows it."""
    return dataclasses.field(default=False, metadata={SWITCH: True})


def called(word: str) -> Any:
    """A field of a command's options, None by default, whose option is a word that no field can be named."""
    return dataclasses.field(default=None, metadata={WORD: word})


def _word(field: dataclasses.Field[Any]) -> str:
    """The name of a field's option."""
    word: str = field.metadata.get(WORD, field.name)
    return word


@cache
def _help(config: type) -> dict[str, str]:
    """What the docstring below each field says, those of inherited ones included."""
    kinds = [kind for kind in reversed(config.__mro__) if dataclasses.is_dataclass(kind)]
    said = [one for kind in kinds for one in docstring_parser.parse_from_object(kind).params]
    return {one.arg_name: " ".join((one.description or "").split()) for one in said}


def _title(part: Part) -> str:
    """What a config is, and that all of it may come from a file."""
    said = " ".join((inspect.getdoc(part.config) or "").split("\n\n")[0].split()).rstrip(".")
    return f"{part.path}: {said}; --{part.path} FILE takes all of it from a file" if part.path else said


def add_settings(
    parser: ArgumentParser, config: type, values: Mapping[str, Any], without: Container[str] = ()
) -> list[Leaf]:
    """Add an option for every setting of a tree, those of chosen types included; values given are defaults.

    Parts of a path in ``without`` are left out.

    Returns the settings that must be given, for they have no default.
    """
    missing = []
    for part in parts(config, values):
        if part.path in without:
            continue
        group = parser.add_argument_group(_title(part))
        hints, said, inside = typing.get_type_hints(part.config), _help(part.config), at(values, part.path)
        for name, default in part.defaults.items():
            if field_type(part.config, name, inside.get(name)) is not None:
                continue
            value = inside.get(name, default)
            annotation, text, path = hints[name], said.get(name, ""), join(part.path, name)
            if part.choice is not None and name == part.choice.by:
                annotation = Literal[tuple(part.choice.types())]
                text = f"{text}; chooses the other settings of {part.path}; --{part.path} NAME does, too"
            if value is dataclasses.MISSING:
                missing.append(Leaf(path, annotation, None))
                value = None
            group.add_argument(f"--{path}", type=annotation, default=value, help=text)
    return missing


def add_options(parser: ArgumentParser, options: type, arguments: Sequence[str]) -> None:
    """Add the options of a command, one for each field of a config, and hold the words that are given against their types.

    Raises
    ------
    SettingError
        A word is no value of the type.
    """
    hints, said = typing.get_type_hints(options), _help(options)
    for field in dataclasses.fields(options):
        annotation, text = hints[field.name], said.get(field.name, "") + _allowed(field)
        if field.metadata.get(POSITIONAL):
            there = {} if field.default is dataclasses.MISSING else {"nargs": "?", "default": field.default}
            parser.add_argument(field.name, type=annotation, help=text, **there)
        elif field.metadata.get(REPEATED):
            parser.add_argument(f"--{field.name}", action="append", type=str, help=f"{text}; may be given several times")
        elif field.metadata.get(SWITCH):
            parser.add_argument(f"--{field.name.replace('_', '-')}", action="store_true", help=text)
        else:
            made = None if field.default_factory is dataclasses.MISSING else field.default_factory()
            default = made if field.default is dataclasses.MISSING else field.default
            parser.add_argument(f"--{_word(field)}", type=annotation, default=default, help=text)
            for name, word in given(arguments):
                if name == _word(field):
                    typed(annotation, word, name)


def _allowed(field: dataclasses.Field[Any]) -> str:
    """The words that a field may hold, for its help."""
    one_of = field.metadata.get(OFFERED, field.metadata.get(LIMITS, Limits()).one_of)
    one_of = one_of() if callable(one_of) else one_of
    return f"; one of {', '.join(one_of)}" if one_of else ""


def options_of(options: type[T], parsed: Namespace) -> T:
    """The options of a command as its config.

    Raises
    ------
    SettingError
        A value is not allowed.
    """
    hints = typing.get_type_hints(options)
    values = {field.name: parsed[_word(field)] for field in dataclasses.fields(options)}  # type: ignore[arg-type]
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        if REPEATED in field.metadata:
            [of_one] = typing.get_args(hints[field.name])
            values[field.name] = [of_one(word) for word in values[field.name] or []]
    return build(options, values)


def check_given(missing: Sequence[Leaf], values: Mapping[str, Any]) -> None:
    """Settings without a default must be given.

    Raises
    ------
    SettingError
        One is not.
    """
    for leaf in missing:
        path, _, name = leaf.path.rpartition(".")
        if at(values, path).get(name) is None and not allows_none(leaf.annotation):
            raise SettingError(leaf.path, words(leaf.annotation), "nothing")
