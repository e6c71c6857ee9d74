"""Values come back as they were, to the last bit; nothing else is written, and nothing that was changed is read."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from envs.core.validation import SettingError
from hierarchy.storage.values import Values


@dataclass(frozen=True)
class Chosen:
    numbers: dict[str, float]
    scores: np.ndarray


class Race(NamedTuple):
    mixes: list[Any]
    best: Any


FILES = Values([Chosen, Race])
ARRAYS = arrays.arrays(
    st.sampled_from([np.bool_, np.uint8, np.int64, np.uint64, np.float32, np.float64]),
    arrays.array_shapes(min_dims=0, min_side=0, max_side=3),
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), ARRAYS, ARRAYS.map(lambda a: a.sum()),
    st.just(Path("a/b")),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.builds(Chosen, st.dictionaries(st.text(max_size=2), st.floats(), max_size=2), ARRAYS),
        st.builds(Race, st.lists(inner, max_size=2), inner),
    ),
    max_leaves=8,
)


def same(a: Any, b: Any) -> bool:
    """Types, names and bits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return a.hex() == b.hex()
    if isinstance(a, Chosen):
        return same(a.__dict__, b.__dict__)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[name], b[name]) for name in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


@given(VALUES)
def test_a_value_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    stem = tmp_path_factory.mktemp("record") / "1"
    FILES.write(value, stem)
    assert same(FILES.read(stem), value)


def test_an_array_that_lies_otherwise_comes_back_with_its_values(tmp_path: Path) -> None:
    array = np.arange(6.0).reshape(2, 3).T
    FILES.write(array, tmp_path / "1")
    assert np.array_equal(FILES.read(tmp_path / "1"), array)


def test_names_with_a_slash_are_told_from_branches(tmp_path: Path) -> None:
    value = {"a/b": np.zeros(1), "a": {"b": np.ones(1)}}
    FILES.write(value, tmp_path / "1")
    assert same(FILES.read(tmp_path / "1"), value)


@pytest.mark.parametrize("value", [{1, 2}, object(), np.array(["a"]), np.array([object()]), b"bytes", 1j, math.sqrt])
def test_what_is_not_plain_is_refused_and_nothing_written(tmp_path: Path, value: object) -> None:
    with pytest.raises(TypeError, match="/a must be"):
        FILES.write({"a": value}, tmp_path / "1")
    assert not list(tmp_path.iterdir())


def test_a_record_that_the_reader_does_not_name_is_refused(tmp_path: Path) -> None:
    FILES.write(Race([], None), tmp_path / "1")
    with pytest.raises(SettingError, match="Race"):
        Values([Chosen]).read(tmp_path / "1")
    with pytest.raises(TypeError, match="got Race"):
        Values([Chosen]).write(Race([], None), tmp_path / "2")


def rewritten(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("changes", [{"schema": 2}, {"value": [3]}, {"sha256": {}}, {"sha256": {"value": "0"}}])
def test_an_entry_that_was_changed_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    FILES.write([1, 2], tmp_path / "1")
    rewritten(tmp_path / "1.json", **changes)
    with pytest.raises(SettingError, match=r"1\.json must be a value that can be read"):
        FILES.read(tmp_path / "1")


def test_one_bit_of_an_array_is_noticed(tmp_path: Path) -> None:
    FILES.write(np.ones(5), tmp_path / "1")
    data = bytearray((tmp_path / "1.safetensors").read_bytes())
    data[-3] ^= 1
    (tmp_path / "1.safetensors").write_bytes(data)
    with pytest.raises(SettingError, match="arrays"):
        FILES.read(tmp_path / "1")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 1}', "[" * 100_000])
def test_a_file_that_is_no_record_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "1.json").write_text(text)
    with pytest.raises(SettingError, match=r"1\.json must be") as refused:
        FILES.read(tmp_path / "1")
    assert "\n" not in str(refused.value)


def test_arrays_that_are_missing_are_noticed(tmp_path: Path) -> None:
    FILES.write(np.ones(5), tmp_path / "1")
    (tmp_path / "1.safetensors").unlink()
    with pytest.raises(SettingError, match="must be a value"):
        FILES.read(tmp_path / "1")
