"""The mix that is most like the objective is read off what was tried."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hierarchy.warm_start.branching import Tried
from hierarchy.warm_start.rounds import aligned


def tries(weights: list[float], noise: float = 0.1) -> Tried:
    rng = np.random.default_rng(0)
    gains = rng.normal(size=(4000, 2, 3)).astype(np.float32)
    objective = (gains @ np.array(weights) + noise * rng.normal(size=(4000, 2))).astype(np.float32)
    return Tried(np.zeros((4000, 4), np.float32), np.zeros((4000, 2), np.int64), gains, objective)


@pytest.mark.parametrize(
    ("weights", "mix"),
    [
        ([0.0, 3.0, 3.0], [0.0, 0.5, 0.5]),
        ([1.0, 2.0, 1.0], [0.25, 0.5, 0.25]),
        ([-0.5, 0.0, 2.0], [0.0, 0.0, 1.0]),  # a mix has no weights below 0
    ],
)
def test_it_is_that_whose_weighted_gains_are_the_objectives(weights: list[float], mix: list[float]) -> None:
    assert_allclose(aligned(tries(weights)), mix, atol=0.02)


def test_where_no_term_has_to_do_with_it_weights_are_equal() -> None:
    assert_allclose(aligned(tries([-1.0, -1.0, -1.0])), np.full(3, 1 / 3))
