"""Every setter sets a mix per env, from what it may know."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from hierarchy.arms.random_mixes import RandomMixes
from hierarchy.arms.tables import DelayedTable, RegimeTable

TABLE = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
NOW = np.array([0, 1, 1, 0])
EVERYONE = np.ones(4, np.bool_)


class Told:
    """An oracle whose regimes a test sets."""

    n_regimes = 2

    def __init__(self) -> None:
        self.regime = NOW


def window(oracle: Any = None) -> Any:
    return SimpleNamespace(world=SimpleNamespace(oracle=oracle), context=np.full((4, 3), 0.2))


def test_random_is_uniform_over_the_simplex() -> None:
    setter = RandomMixes(3, 0)
    mixes = np.concatenate([setter.contexts(window()) for _ in range(2000)])
    assert_allclose(mixes.sum(-1), 1.0)
    assert (mixes >= 0).all()
    assert_allclose(mixes.mean(0), 1 / 3, atol=0.01)
    assert_allclose((mixes > 0.5).mean(0), 1 / 4, atol=0.02)


def test_random_is_new_every_window_and_goes_on_from_a_state() -> None:
    setter, other = RandomMixes(3, 7), RandomMixes(3, 8)
    first = setter.contexts(window())
    other.set_state(setter.get_state())
    second = setter.contexts(window())
    assert len(np.unique(np.concatenate([first, second]), axis=0)) == 8
    assert_array_equal(other.contexts(window()), second)
    assert_array_equal(RandomMixes(3, 7).contexts(window()), first)


@pytest.mark.parametrize("per_env", [False, True])
def test_an_oracle_is_told_the_regime_now(per_env: bool) -> None:
    tables = np.random.default_rng(0).dirichlet(np.ones(3), (4, 2)) if per_env else np.tile(TABLE, (4, 1, 1))
    expected = tables[np.arange(4), NOW]
    assert_array_equal(RegimeTable(tables if per_env else TABLE).contexts(window(Told())), expected)


def test_a_delayed_oracle_is_told_the_regime_that_filled_most_of_the_last_window() -> None:
    oracle = Told()
    setter = DelayedTable(TABLE, oracle)
    assert_allclose(setter.contexts(window()), 1 / 3, err_msg="nothing is known before the first window")
    for regime in ([0, 1, 1, 0], [0, 1, 0, 1], [1, 0, 0, 1]):
        oracle.regime = np.array(regime)
        setter.on_step()
    assert_array_equal(setter.contexts(window()), TABLE[[0, 1, 0, 1]])
    oracle.regime = 1 - NOW
    setter.on_step()
    other = DelayedTable(TABLE, oracle)
    other.set_state(setter.get_state())
    assert_array_equal(other.contexts(window()), TABLE[1 - NOW], err_msg="windows before the last are forgotten")
    setter.reset(EVERYONE)
    assert_allclose(setter.contexts(window()), 1 / 3)


def test_what_random_mixes_remember_is_an_array() -> None:
    setter = RandomMixes(3, 7)
    setter.contexts(window())
    (state,) = setter.get_state().values()
    assert (state.dtype, state.shape) == (np.uint64, (6,))
