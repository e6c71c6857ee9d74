"""A tree says what it does: fitted, kept, read aloud and followed by hand it gives the same mixes."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.tree import DecisionTreeRegressor

from hierarchy.explaining.tree import LEAF, MIN_SHARE, Tree, fidelity, fitted, trees_of

NAMES, TERMS = ["load", "late_ms", "context/cost"], ["fairness", "latency", "cost"]
FEW, MANY, DEAR = [0.2, 0.3, 0.5], [0.6, 0.4, 0.0], [0.0, 0.0, 1.0]


def by_hand(features: np.ndarray) -> np.ndarray:
    """Two splits, the second by another feature."""
    below = np.where(features[:, [1]] <= 1500.0, FEW, MANY)
    return np.where(features[:, [0]] <= 0.5, below, DEAR)


def drawn(n: int, seed: int = 0) -> np.ndarray:
    """Features with a gap around both thresholds."""
    rng = np.random.default_rng(seed)
    load, late = rng.choice([0.1, 0.3, 0.7, 0.9], n), rng.choice([500.0, 1000.0, 2000.0, 2500.0], n)
    return np.stack([load, late, rng.random(n)], axis=-1)


@pytest.fixture
def tree() -> Tree:
    features = drawn(400)
    return fitted(features, by_hand(features), NAMES, TERMS, 4)


@pytest.fixture
def rough() -> tuple[Tree, np.ndarray, np.ndarray]:
    """A tree of mixes that no small tree holds."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(600, 3)) * [1.0, 1e4, 1e-3]
    mixes = np.exp(np.stack([features[:, 0], features[:, 1] / 1e4, features[:, 0] * features[:, 2] * 1e3], axis=-1))
    mixes /= mixes.sum(-1, keepdims=True)
    return fitted(features, mixes, NAMES, TERMS, 3), features, mixes


def test_what_a_tree_can_say_is_learned_exactly(tree: Tree) -> None:
    fresh = drawn(500, seed=1)
    assert_allclose(tree.mixes(fresh), by_hand(fresh), atol=1e-12)
    assert fidelity(tree, fresh, by_hand(fresh)) == (pytest.approx(1.0), pytest.approx(0.0, abs=1e-12))
    assert tree.n_leaves == 3


def test_a_tree_reads_as_it_acts(tree: Tree) -> None:
    n_dear, n_few = (int(count) for count in ((drawn(400)[:, 0] > 0.5).sum(), (by_hand(drawn(400)) == FEW).all(-1).sum()))
    assert tree.listing().splitlines() == [
        "if load <= 0.5:",
        "    if late_ms <= 1,500:",
        f"        fairness 0.20  latency 0.30  cost 0.50  ({n_few} windows)",
        "    else:",
        f"        fairness 0.60  latency 0.40  cost 0.00  ({400 - n_dear - n_few} windows)",
        "else:",
        f"    fairness 0.00  latency 0.00  cost 1.00  ({n_dear} windows)",
    ]


def test_mixes_are_those_of_the_library(rough: tuple[Tree, np.ndarray, np.ndarray]) -> None:
    tree, features, mixes = rough
    theirs = DecisionTreeRegressor(max_depth=3, min_samples_leaf=MIN_SHARE, random_state=0).fit(features, mixes)
    fresh = np.concatenate([features, np.random.default_rng(2).normal(size=(500, 3)) * [1.0, 1e4, 1e-3]])
    assert_array_equal(tree.mixes(fresh), theirs.predict(fresh))
    for feature, threshold in zip(tree.feature, tree.threshold, strict=True):
        if feature != LEAF:  # in double precision on the other side
            edge = features.copy()
            edge[:, feature] = np.nextafter(threshold, np.inf)
            assert_array_equal(tree.mixes(edge), theirs.predict(edge))
    assert len(np.unique(tree.mixes(fresh), axis=0)) == tree.n_leaves == 8


def test_no_leaf_is_deeper_than_asked_for(rough: tuple[Tree, np.ndarray, np.ndarray]) -> None:
    tree, features, mixes = rough

    def depth(one: Tree, node: int) -> int:
        return 0 if one.feature[node] == LEAF else 1 + max(depth(one, below[node]) for below in (one.left, one.right))

    assert depth(tree, 0) == 3
    assert [depth(fitted(features, mixes, NAMES, TERMS, n), 0) for n in (1, 2, 5)] == [1, 2, 5]


@given(arrays.arrays(np.float64, (5, 3), elements=st.floats(-1e30, 1e30)))
def test_whatever_is_observed_a_mix_is_set(features: np.ndarray) -> None:
    given = drawn(50)
    mixes = np.random.default_rng(0).dirichlet([0.3, 0.3, 0.3], 50)
    found = fitted(given, mixes, NAMES, TERMS, 4).mixes(features)
    assert (found >= 0.0).all()
    assert_allclose(found.sum(-1), 1.0, atol=1e-12)


def test_a_tree_survives_a_file(rough: tuple[Tree, np.ndarray, np.ndarray]) -> None:
    tree, features, _ = rough
    plain = json.loads(json.dumps(dataclasses.asdict(tree)))
    again = Tree(**plain)
    assert again == tree
    assert_array_equal(again.mixes(features), tree.mixes(features))
    assert trees_of(plain) == [tree]
    assert trees_of([plain, None]) == [tree, None]
    assert trees_of(None) == [None]


def test_fidelity_weighs_terms_by_their_variance_and_distances_alike(tree: Tree) -> None:
    features = np.array([[0.1, 500.0, 0.0], [0.9, 500.0, 0.0]])  # the tree: FEW, DEAR
    mixes = np.array([[0.2, 0.4, 0.4], [1.0, 0.0, 0.0]])
    errors, spread = np.square([FEW, DEAR] - mixes).sum(), 2 * np.square([0.4, 0.2, 0.2]).sum()
    assert fidelity(tree, features, mixes) == (pytest.approx(1.0 - errors / spread), pytest.approx((0.2 + 2.0) / 2))


def test_mixes_that_never_change_leave_nothing_to_explain(tree: Tree) -> None:
    features = drawn(20)
    constant = fitted(features, np.tile(FEW, (20, 1)), NAMES, TERMS, 4)
    assert constant.n_leaves == 1
    assert constant.listing() == "fairness 0.20  latency 0.30  cost 0.50  (20 windows)"
    r2, l1 = fidelity(constant, features, np.tile(FEW, (20, 1)))
    assert (r2, l1) == (None, pytest.approx(0.0, abs=1e-12))
