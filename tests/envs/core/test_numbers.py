"""Numbers of configs and tuples of arrays, as kernels read them."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple

import numpy as np

from envs.core.arrays import FloatArray, IntArray32, new_arrays
from envs.core.numbers import no_numbers, numbers


@dataclass(frozen=True)
class Settings:
    """Of every kind."""

    name: Literal["settings"] = "settings"
    mode: Literal["slow", "fast"] = "fast"
    rate_hz: float = 2
    n: int = 3
    on: bool = True
    limit: float | None = None
    entries: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Named:
    """Without a number."""

    name: Literal["named"] = "named"


class Inner(NamedTuple):
    """One array."""

    least: Annotated[FloatArray, "n 2", np.inf]


class Outer(NamedTuple):
    """An array, one that is given, and a tuple of arrays."""

    slot: Annotated[IntArray32, "n m"]
    given: FloatArray
    inner: Inner


def test_numbers_keep_their_names_and_words_become_places() -> None:
    assert numbers(Settings())._asdict() == {"mode": 1, "rate_hz": 2.0, "n": 3, "on": True}
    assert isinstance(numbers(Settings()).rate_hz, float), "else another type of kernel would be compiled"


def test_what_was_not_chosen_has_the_same_type() -> None:
    chosen, other = numbers(Settings()), no_numbers(Settings)
    assert type(chosen) is type(other)
    assert [type(value) for value in chosen] == [type(value) for value in other]
    assert not any(other)


def test_without_a_number_there_is_nothing() -> None:
    assert numbers(Named()) == no_numbers(Named) == ()


def test_the_type_is_found_by_its_name() -> None:
    """Compiled code is cached under it."""
    assert pickle.loads(pickle.dumps(numbers(Settings()))) == numbers(Settings())


def test_arrays_have_the_shape_type_and_values_declared() -> None:
    given = np.ones(1)
    made = new_arrays(Outer, {"n": 3, "m": 4}, given=given)
    assert made.slot.shape == (3, 4)
    assert made.slot.dtype == np.int32
    assert not made.slot.any()
    assert made.given is given
    assert made.inner.least.shape == (3, 2)
    assert np.isinf(made.inner.least).all()
