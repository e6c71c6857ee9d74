"""Settings that say what they allow: constraints stand beside a field, and one function holds a config against them.

A config is a frozen dataclass. :func:`setting` declares a field with its constraints, :func:`chosen` one whose type is
chosen by name, :func:`check` is called when a config is built, and :func:`build` makes a whole tree of configs from nested
mappings, naming the path of what is wrong.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
import operator
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

from envs.core.value_types import is_of, words

LIMITS, CHOICE = "limits", "choice"
"""Keys of a field's metadata."""
BOUNDS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "gt": (">", operator.gt),
    "ge": (">=", operator.ge),
    "lt": ("<", operator.lt),
    "le": ("<=", operator.le),
}


class Config(Protocol):
    """A frozen dataclass of settings."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


C = TypeVar("C")


def one_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


class SettingError(ValueError):
    """A setting that is not allowed: its path, what is allowed, and what was given."""

    def __init__(self, path: str, allowed: str, value: object) -> None:
        super().__init__(_printable(f"{path} must be {allowed}, got {value}"))
        self.path, self.allowed, self.value = path, allowed, value

    def under(self, prefix: str) -> SettingError:
        """The same, seen from a config that holds the one it was found in as ``prefix``."""
        return SettingError(f"{prefix}.{self.path}" if prefix else self.path, self.allowed, self.value)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.allowed, self.value)


def is_finite(value: numbers.Real | float) -> bool:
    """Whether a number is finite; an integer that no float holds counts as none."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _printable(text: str) -> str:
    """One line, whatever a file that somebody sent has in it: a terminal is told nothing else."""
    return text if text.isprintable() else "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


@dataclass(frozen=True)
class Limits:
    """What a number, a word, or each entry of a list may be."""

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    one_of: Callable[[], Iterable[str]] | tuple[str, ...] | None = None
    n_min: int = 0  # entries of a list
    is_list: bool = False

    def violated(self, value: Any) -> str | None:
        """What is allowed, if ``value`` is not."""
        if self.one_of is not None:
            words = tuple(self.one_of() if callable(self.one_of) else self.one_of)
            return None if value in words else f"one of {', '.join(words)}"
        bounds = [(sign, holds, getattr(self, name)) for name, (sign, holds) in BOUNDS.items()]
        bounds = [(sign, holds, bound) for sign, holds, bound in bounds if bound is not None]
        is_number = isinstance(value, numbers.Real) and is_finite(value)
        if bounds and not (is_number and all(holds(value, bound) for _, holds, bound in bounds)):
            return " and ".join(f"{sign} {bound:g}" for sign, _, bound in bounds)
        return None


@dataclass(frozen=True)
class Choice:
    """The configs that a field may hold, by name; the attribute ``by`` of each is its name."""

    by: str
    types: Callable[[], Mapping[str, type]]

    def of(self, name: object, path: str) -> type:
        """The type of that name.

        Raises
        ------
        SettingError
            There is none.
        """
        types = self.types()
        if not isinstance(name, str) or name not in types:
            raise SettingError(f"{path}.{self.by}", f"one of {', '.join(types)}", name)
        return types[name]


def setting(
    default: Any = MISSING,
    *,
    default_factory: Any = MISSING,
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
    one_of: Callable[[], Iterable[str]] | tuple[str, ...] | None = None,
    n_min: int = 0,
) -> Any:
    """A field with its constraints: finite numbers above ``gt``, at least ``ge``, ...; words ``one_of``.

    The entries of a list are each held against them, and there must be ``n_min``. None is allowed where the type says so.
    """
    limits = Limits(gt, ge, lt, le, one_of, n_min)
    return field(**_given(default, default_factory), metadata={LIMITS: limits})


def chosen(
    types: Callable[[], Mapping[str, type]], by: str, default: Any = MISSING, *, default_factory: Any = MISSING
) -> Any:
    """A field that holds one of the configs of a registry, told by their attribute ``by``."""
    return field(**_given(default, default_factory), metadata={CHOICE: Choice(by, types)})


def _given(default: Any, default_factory: Any) -> dict[str, Any]:
    return {
        name: value for name, value in (("default", default), ("default_factory", default_factory)) if value is not MISSING
    }


def check(config: Config) -> None:
    """Hold every field of a config against its constraints; configs that it holds have checked themselves.

    A field of a `Literal` type may hold the words of that type, whatever else is declared.

    Raises
    ------
    SettingError
        The first field whose value is not allowed.
    """
    for name, limits in limits_of(type(config)).items():
        value = getattr(config, name)
        if value is None:
            continue
        if limits.is_list and not isinstance(value, (list, tuple)):
            raise SettingError(name, "a list", repr(value))
        entries = value if limits.is_list else [value]
        if limits.is_list and len(entries) < limits.n_min:
            raise SettingError(name, f"a list of at least {limits.n_min}", value)
        for entry in entries:
            allowed = limits.violated(entry)
            if allowed is not None:
                raise SettingError(name, allowed, repr(entry) if isinstance(entry, str) else entry)


@functools.cache
def limits_of(config_type: type) -> dict[str, Limits]:
    """The constraints of a config type by field, those of its `Literal` types too."""
    hints = {name: _given_type(hint) for name, hint in typing.get_type_hints(config_type).items()}
    limits = {one.name: one.metadata.get(LIMITS) for one in dataclasses.fields(config_type)}
    words = {name: Limits(one_of=typing.get_args(hints[name])) for name in limits if _is_literal(hints[name])}
    return {
        name: dataclasses.replace(given, is_list=typing.get_origin(hints[name]) is list)
        for name, given in (limits | words).items()
        if given is not None
    }


def _given_type(hint: Any) -> Any:
    """The type of a field that may be None, when it is not."""
    others = [one for one in typing.get_args(hint) if one is not type(None)]
    return others[0] if isinstance(hint, types.UnionType) and len(others) == 1 else hint


def _is_literal(hint: Any) -> bool:
    return typing.get_origin(hint) is typing.Literal


def choice_of(config_type: type, name: str) -> Choice | None:
    """The choice that a field of a config type offers, if it does."""
    choice: Choice | None = config_type.__dataclass_fields__[name].metadata.get(CHOICE)  # type: ignore[attr-defined]
    return choice


def field_type(config_type: type, name: str, value: object, path: str = "") -> type | None:
    """The config type of a field that holds a config, given what it is made from; None for a plain field.

    A chosen field takes the type that ``value`` names, or else that of its default.
    """
    choice = choice_of(config_type, name)
    if choice is not None:
        return choice.of(_name_of(value, choice) or _default_name(config_type, name, choice), path or name)
    annotation = _types_of(config_type)[name]
    return annotation if dataclasses.is_dataclass(annotation) and isinstance(annotation, type) else None


@functools.cache
def _types_of(config_type: type) -> dict[str, Any]:
    """The types of all fields."""
    return typing.get_type_hints(config_type)


def _name_of(value: object, choice: Choice) -> object:
    if isinstance(value, Mapping):
        return value.get(choice.by)
    return value if isinstance(value, str) else None


def _default_name(config_type: type, name: str, choice: Choice) -> object:
    one = config_type.__dataclass_fields__[name]  # type: ignore[attr-defined]
    default = one.default if one.default_factory is MISSING else one.default_factory()
    return getattr(default, choice.by, None)


def build(config_type: type[C], values: Mapping[str, Any], path: str = "") -> C:
    """A config from nested mappings; what is missing has its default, and a chosen field may be given by name alone.

    Raises
    ------
    SettingError
        An unknown field, something else than a mapping where a config belongs, or a value that is not allowed; it names
        the whole path.
    """
    if not isinstance(values, Mapping):
        raise SettingError(path or "settings", "a mapping of settings", repr(values))
    names = config_type.__dataclass_fields__  # type: ignore[attr-defined]
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        here = f"{path}.{name}" if path else str(name)
        if name not in names:
            raise SettingError(here, f"a setting of {path or 'the experiment'} ({', '.join(names)})", repr(value))
        inner = field_type(config_type, name, value, here)
        if inner is None:
            annotation = _types_of(config_type)[name]  # type: ignore[arg-type]  # a type
            if not is_of(annotation, value):
                raise SettingError(here, words(annotation), repr(value))
            arguments[name] = value
        elif value is None and names[name].default is None:
            arguments[name] = value
        else:
            choice = choice_of(config_type, name)
            given = {choice.by: value} if choice is not None and isinstance(value, str) else value
            arguments[name] = build(inner, given, here)
    for name, one in names.items():
        if name not in arguments and one.default is MISSING and one.default_factory is MISSING:
            raise SettingError(f"{path}.{name}" if path else name, "given", "nothing")
    try:
        return config_type(**arguments)
    except SettingError as error:
        raise error.under(path) from None
