"""Layers of settings, one over the other, as the types of a config say.

A layer is a nested mapping. A field whose type is chosen by name may be given by the name alone. Where a layer chooses
another type than the layers below, what those say of fields that both types have stays, and the rest goes.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from envs.core.validation import Choice, SettingError, choice_of, field_type

WHOLE = ""
"""Key of what is said of a config as a whole, where a command line also says something of its fields."""
ROOT = "the experiment"

Read = Callable[[str, str], Mapping[str, Any] | None]


class Part(NamedTuple):
    """A config of the tree: where it is, its type, the choice that it was taken from, and its fields' defaults."""

    path: str
    config: type
    choice: Choice | None
    defaults: dict[str, Any]


class Leaf(NamedTuple):
    """A setting: where it is, its type, and its value."""

    path: str
    annotation: Any
    value: Any


def join(path: str, name: object) -> str:
    """The path of a field of the config at ``path``."""
    return f"{path}.{name}" if path else str(name)


def nothing(word: str, path: str) -> Mapping[str, Any] | None:
    """No word stands for a mapping."""
    return None


def lay_over(
    config: type, below: Mapping[str, Any], layer: Mapping[str, Any], path: str = "", read: Read = nothing
) -> dict[str, Any]:
    """The settings of ``below`` with those of ``layer`` over them, as nested mappings.

    Parameters
    ----------
    config
        The type that both are settings of.
    below, layer
        Nested mappings; ``below`` may be empty or has come from here.
    path
        Where the config is in a larger tree.
    read
        The mapping that a word stands for in place of a config at a path, if any.

    Raises
    ------
    SettingError
        An unknown field, an unknown name of a type, or something else than a mapping where a config belongs.
    """
    out, known = dict(below), {field.name for field in dataclasses.fields(config)}
    for name, value in layer.items():
        here = join(path, name)
        if name not in known:
            raise _unknown(here, value, path, config)
        old = field_type(config, name, below.get(name), here)
        if old is None:
            out[name] = value
            continue
        choice = choice_of(config, name)
        given = _mapping(value, choice, here, read)
        kept = below.get(name, {})
        new = old
        if choice is not None and choice.by in given:
            new = choice.of(given[choice.by], here)
            kept = kept if new is old else _common(kept, old, new)
            given = {choice.by: given[choice.by], **given}
        out[name] = lay_over(new, kept, given, here, read)
    return out


def _unknown(here: str, value: object, path: str, config: type) -> SettingError:
    """An unknown field; named down to where it branches, as an option of the command line is."""
    while isinstance(value, Mapping) and len(value) == 1:
        ((name, value),) = value.items()
        here = join(here, name)
    return SettingError(here, f"a setting of {path or ROOT} ({', '.join(_described(config))})", value)


def _described(config: type) -> Iterator[str]:
    """The settings of a config, with the value of those that allow but one."""
    types = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        words = typing.get_args(types[field.name]) if typing.get_origin(types[field.name]) is typing.Literal else ()
        yield f"{field.name} {words[0]}" if len(words) == 1 else field.name


def _mapping(value: object, choice: Choice | None, path: str, read: Read) -> Mapping[str, Any]:
    """What a layer says of a config, as a mapping of its fields."""
    if isinstance(value, str):
        found = read(value, path)
        if found is not None:
            return found
        if choice is not None and value.isidentifier():
            return {choice.by: value}
    if not isinstance(value, Mapping):
        raise SettingError(path, "a mapping of settings", value)
    if WHOLE not in value:
        return value
    return {**_mapping(value[WHOLE], choice, path, read), **{name: one for name, one in value.items() if name != WHOLE}}


def _common(values: Mapping[str, Any], old: type, new: type) -> dict[str, Any]:
    """Values of the fields that two types share by name and type."""
    olds, news = typing.get_type_hints(old), typing.get_type_hints(new)
    return {name: value for name, value in values.items() if name in news and news[name] == olds[name]}


def parts(config: type, values: Mapping[str, Any], path: str = "", default: object = None) -> Iterator[Part]:
    """Every config of the tree that ``values`` choose, parents first; ``default`` is what the parent has by default."""
    return _parts(config, values, path, None, default)


def _parts(config: type, values: Mapping[str, Any], path: str, choice: Choice | None, default: object) -> Iterator[Part]:
    defaults = _defaults(config, default)
    yield Part(path, config, choice, defaults)
    for name in defaults:
        inner = field_type(config, name, values.get(name), join(path, name))
        if inner is not None:
            yield from _parts(inner, values.get(name) or {}, join(path, name), choice_of(config, name), defaults[name])


def _defaults(config: type, default: object) -> dict[str, Any]:
    """What each field is when nothing is said: as in the parent's default, if that is of this type, or the type's own."""
    if type(default) is config:
        return {field.name: getattr(default, field.name) for field in dataclasses.fields(default)}  # type: ignore[arg-type]
    return {field.name: _default(field) for field in dataclasses.fields(config) if field.init}


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def leaves(config: type, values: Mapping[str, Any]) -> Iterator[Leaf]:
    """Every setting that a value is given for."""
    for part in parts(config, values):
        hints = typing.get_type_hints(part.config)
        inside = at(values, part.path)
        for name in part.defaults:
            if name in inside and field_type(part.config, name, inside[name]) is None:
                yield Leaf(join(part.path, name), hints[name], inside[name])


def at(values: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """The mapping at a path; an empty one where there is none."""
    inside: Any = values
    for name in path.split(".") if path else ():
        inside = inside.get(name, {})
    return inside  # type: ignore[no-any-return]
