"""The command line before any parser: which options are given, and what follows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from runs.settings.layers import WHOLE

PREFIX = "--"


def given(arguments: Sequence[str]) -> list[tuple[str, str]]:
    """Options and the words that follow them; one that nothing follows is left to the parser to complain of."""
    out = []
    for i, word in enumerate(arguments):
        name, equals, text = word.removeprefix(PREFIX).partition("=")
        if not word.startswith(PREFIX) or not name:
            continue
        if equals:
            out.append((name, text))
        elif i + 1 < len(arguments) and not arguments[i + 1].startswith(PREFIX):
            out.append((name, arguments[i + 1]))
    return out


def without(arguments: Sequence[str], names: Iterable[str]) -> list[str]:
    """The arguments but those options, and the words that follow them."""
    dropped, out, follows = set(names), [], False
    for word in arguments:
        name, equals, _ = word.removeprefix(PREFIX).partition("=")
        is_option = word.startswith(PREFIX)
        if is_option and name in dropped:
            follows = not equals
        elif follows and not is_option:
            follows = False
        else:
            follows = False
            out.append(word)
    return out


def layer(options: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Options with dotted names as nested mappings; a mapping in YAML may stand for a whole config."""
    out: dict[str, Any] = {}
    for name, text in options:
        *path, last = name.split(".")
        inside = out
        for key in path:
            inner = inside.get(key, {})
            inside[key] = inner if isinstance(inner, dict) else {WHOLE: inner}
            inside = inside[key]
        value = _whole(text)
        if isinstance(inside.get(last), dict):
            inside[last] = {**value, **inside[last]} if isinstance(value, dict) else {**inside[last], WHOLE: value}
        else:
            inside[last] = value
    return out


def _whole(text: str) -> Any:
    """A mapping, where the word is one; else the word as it is, for its type to read."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return value if isinstance(value, dict) else text
