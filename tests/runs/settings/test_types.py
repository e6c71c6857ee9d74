"""A value is held against its type by the parser's rules, and refused with what is allowed in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from envs.core.validation import SettingError
from runs.settings.types import typed


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (int, "5", 5),
        (float, 1, 1.0),
        (float, "1e3", 1000.0),
        (bool, "true", True),
        (str, "5", "5"),
        (list[int], "[1, 2]", [1, 2]),
        (list[float], [1, 2], [1.0, 2.0]),
        (float | None, "null", None),
        (float | None, None, None),
        (Literal["a", "b"], "b", "b"),
        (Path, "here", Path("here")),
    ],
)
def test_values_of_files_and_words_become_values_of_the_type(annotation: Any, value: Any, expected: Any) -> None:
    found = typed(annotation, value, "x")
    assert found == expected
    assert type(found) is type(expected) or isinstance(expected, Path)


@pytest.mark.parametrize(
    ("annotation", "value", "line"),
    [
        (int, "abc", "x must be an integer, got abc"),
        (int, 5.5, "x must be an integer, got 5.5"),
        (int, True, "x must be an integer, got True"),
        (int, None, "x must be an integer, got null"),
        (float, [1], "x must be a number, got [1]"),
        (float, "null", "x must be a number, got null"),
        (bool, "maybe", "x must be true or false, got maybe"),
        (str, {"a": 1}, "x must be text, got {'a': 1}"),
        (list[int], "[a]", "x must be a list of integers, got [a]"),
        (list[float], {"a": 1}, "x must be a list of numbers, got {'a': 1}"),
        (float | None, "x", "x must be a number or null, got x"),
        (list[float] | None, 3, "x must be a list of numbers or null, got 3"),
        (Literal["a", "b"], "c", "x must be one of a, b, got c"),
    ],
)
def test_another_value_is_refused_in_one_line(annotation: Any, value: Any, line: str) -> None:
    with pytest.raises(SettingError) as refused:
        typed(annotation, value, "x")
    assert str(refused.value) == line
