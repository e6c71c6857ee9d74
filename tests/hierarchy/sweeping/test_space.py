"""What a space allows, and where it is held against settings."""

from __future__ import annotations

import math

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.core.validation import SettingError
from hierarchy.sweeping.space import Choices, Range, corners, dimension_of

DIMENSIONS = (
    Range(1e-4, 1e-2, log=True),
    Range(0.0, 1.0, step=0.25),
    Range(2, 8, step=3),
    Range(1, 64, log=True),
    Choices([[1, 2], "a"]),
)

REFUSED = {
    "upside_down": (lambda: Range(2.0, 1.0), "low must be <= high (1.0), got 2.0"),
    "log_of_nothing": (lambda: Range(0.0, 1.0, log=True), "low must be > 0 with log, got 0.0"),
    "log_with_steps": (lambda: Range(1, 4, log=True, step=1), "step must be left out with log, got 1"),
    "no_step": (lambda: Range(0.0, 1.0, step=0.0), "step must be > 0, got 0.0"),
    "step_that_misses": (lambda: Range(0, 10, step=3), "step must be a divisor of high - low (10), got 3"),
    "infinite": (lambda: Range(0.0, math.inf), "low must be finite, as high, got 0.0 with high inf"),
    "no_choice": (lambda: Choices([]), "choices must be a list of at least 1, got []"),
    "one_choice_twice": (lambda: Choices([1, 2, 1]), "choices must be values of which no two are the same, got [1, 2, 1]"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused(name: str) -> None:
    make, said = REFUSED[name]
    with pytest.raises(SettingError) as caught:
        make()
    assert str(caught.value) == said


@pytest.mark.parametrize("one", DIMENSIONS, ids=str)
def test_what_is_suggested_is_of_the_space_and_kept_as_it_is(one: Range | Choices) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    found = [one.suggest(trial, "x") for trial in (study.ask() for _ in range(30))]
    assert all(one.kept(value) is not None for value in found)
    again = [one.suggest(trial, "x") for trial in study.get_trials()]
    assert again == found
    if math.isfinite(one.n_values) and one.n_values < 10:
        assert len({str(value) for value in found}) == one.n_values


@pytest.mark.parametrize("one", DIMENSIONS, ids=str)
def test_a_file_has_it_as_it_is(one: Range | Choices) -> None:
    assert dimension_of(one.plain()) == one


@given(st.integers(-20, 20), st.integers(1, 5), st.integers(0, 8), st.integers(-40, 80))
def test_steps_begin_at_the_lower_end(low: int, step: int, n: int, value: int) -> None:
    one = Range(low, low + n * step, step=step)
    assert (one.kept(value) is not None) == (value in range(low, low + n * step + 1, step))
    assert one.n_values == n + 1


def test_corners_have_every_end_beside_the_first_and_the_last_of_the_others() -> None:
    space = {"a": Range(0.0, 1.0), "b": Choices(["x", "y", "z"]), "c": Range(5, 5)}
    found = corners(space)
    assert {(one["a"], one["b"]) for one in found} == {(a, b) for a in (0.0, 1.0) for b in "xyz"}
    assert all(one["c"] == 5 for one in found)
    assert len(found) == 6
