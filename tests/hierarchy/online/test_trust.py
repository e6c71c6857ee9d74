"""Mixes stay mixes, near the deployed ones, and go nowhere else than towards what is asked for."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from envs.core.arrays import FloatArray
from hierarchy.online.trust import distance, held_near

MIXES = arrays(np.float64, (4, 3), elements=st.floats(0.0, 1.0)).map(
    lambda raw: (raw + 1e-9) / (raw + 1e-9).sum(-1, keepdims=True)
)
TRUST = st.floats(1e-3, 1.0)


@given(MIXES, MIXES, TRUST)
def test_a_mix_is_never_further_from_the_deployed_one_than_trust(
    deployed: FloatArray, asked: FloatArray, trust: float
) -> None:
    held = held_near(deployed, asked, trust)
    assert (held >= -1e-12).all()
    np.testing.assert_allclose(held.sum(-1), 1.0)
    assert (distance(deployed, held) <= trust + 1e-12).all()


@given(MIXES, MIXES, TRUST)
def test_it_goes_as_far_towards_what_is_asked_for_as_it_may(deployed: FloatArray, asked: FloatArray, trust: float) -> None:
    held, away = held_near(deployed, asked, trust), distance(deployed, asked)
    np.testing.assert_allclose(distance(deployed, held), np.minimum(away, trust), atol=1e-9)
    np.testing.assert_allclose(distance(deployed, held) + distance(held, asked), away, atol=1e-9)


def test_distance_is_the_share_that_stands_elsewhere() -> None:
    assert distance(np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.5, 0.5])) == 1.0
    assert distance(np.array([0.5, 0.5, 0.0]), np.array([0.3, 0.5, 0.2])) == 0.2
