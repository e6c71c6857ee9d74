"""Curves of training over common bins of steps."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from hierarchy.plots.curves import N_BINS, binned


def test_curves_of_one_length_are_averaged_in_their_bins() -> None:
    step = [float(n) for n in range(1, 4 * N_BINS + 1)]
    curves = [{"step": step, "a": [10.0 * factor * n for n in step]} for factor in (1, 2)]
    x, values = binned(curves, "a")
    centres = (np.arange(N_BINS) + 0.5) * 4
    assert_allclose(x, centres)
    assert_allclose(values, [10 * (centres + 0.5), 20 * (centres + 0.5)])


def test_bins_that_a_curve_has_no_step_in_are_left_out() -> None:
    long = {"step": [10.0, 20.0, 30.0, 40.0], "a": [1.0, 2.0, 3.0, 4.0]}
    short = {"step": [10.0, 30.0], "a": [5.0, 7.0]}
    x, values = binned([long, short], "a")
    assert_allclose(x, [9.5, 29.5])
    assert values.tolist() == [[1.0, 3.0], [5.0, 7.0]]


def test_steps_without_a_value_are_left_out() -> None:
    step = [1.0, 2.0, 3.0, 4.0]
    whole = binned([{"step": step, "a": [1.0, 2.0, 3.0, 4.0]}], "a")
    x, values = binned([{"step": step, "a": [1.0, None, 3.0, None]}], "a")
    places = [list(whole[0]).index(one) for one in x]
    assert len(x) == 2
    assert list(values[0]) == list(whole[1][0][places]) == [1.0, 3.0]


def test_a_metric_that_begins_late_has_its_bins_from_there_on() -> None:
    step = [1000.0, *range(2000, 2100)]
    x, values = binned([{"step": step, "a": [None, *map(float, range(100))]}], "a")
    assert len(x) == N_BINS
    assert x[0] > 1999
    assert (values[0][1:] > values[0][:-1]).all()
