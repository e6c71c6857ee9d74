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
