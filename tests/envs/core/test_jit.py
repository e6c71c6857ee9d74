"""Kernels that call kernels: what comes out is what Python makes of the same lines, and each is machine code once."""

from __future__ import annotations

import numpy as np
import pytest

from envs.core.jit import Kernel, inlined, kernel, one_of


@inlined
def double(values, at):
    values[at] *= 2.0


@kernel
def all_doubled(values):
    for at in range(len(values)):
        double(values, at)


def choice() -> Kernel:
    @inlined
    def doubles(settings, memory, values, at):
        values[at] *= settings[0]
        memory[0] += 1

    @inlined
    def halves(settings, memory, values, at):
        values[at] /= settings[0] * settings[1]

    chosen = one_of([doubles, halves])

    @kernel
    def each(which, settings, memories, values):
        for at in range(len(values)):
            chosen(which, settings, memories, values, at)

    return each


@pytest.fixture
def values() -> np.ndarray:
    return np.arange(5.0)


def test_a_kernel_does_what_those_that_it_calls_do(values: np.ndarray) -> None:
    all_doubled(values)
    assert values.tolist() == [0.0, 2.0, 4.0, 6.0, 8.0]


@pytest.mark.parametrize(
    ("which", "wanted", "counted"), [(0, [0.0, 3.0, 6.0, 9.0, 12.0], 5), (1, [0.0, 1.0, 2.0, 3.0, 4.0], 0)]
)
def test_one_of_several_runs_with_its_own_settings(
    which: int, wanted: list[float], counted: int, values: np.ndarray
) -> None:
    settings, memories = ((3.0,), (0.5, 2.0)), (np.zeros(1), np.zeros(1))
    choice()(which, settings, memories, values)
    assert values.tolist() == wanted
    assert memories[0][0] == counted


def test_what_kernels_call_is_no_machine_code_of_its_own(values: np.ndarray) -> None:
    double._inner.compile("(float64[::1], int64)")
    all_doubled(values)
    (called,), (caller,) = (one.overloads.values() for one in (double._inner, all_doubled._entry))
    assert called.library.get_pointer_to_function(called.fndesc.mangled_name) == 0
    assert caller.library.get_pointer_to_function(caller.fndesc.mangled_name) != 0
