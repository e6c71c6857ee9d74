"""A small decision tree of the upper agent: from what it observes to the mix that it sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from envs.core.arrays import Array, FloatArray, IntArray

LEAF = -1
"""Stands for the feature of a node that splits no further."""
MIN_SHARE = 0.005
"""Windows of a leaf, at least, as a share of all that a tree is fitted to."""
MIN_GAIN = 1e-6
"""Squared error, a window and a term, that a split must spare and that there must be to explain: less is rounding."""
INDENT = "    "


class Fidelity(NamedTuple):
    """How near a tree is to what it was fitted to."""

    r2: float | None  # of all terms together; None of mixes that never change
    l1: float  # mean over windows of the sum over terms of absolute differences, in [0, 2]


@dataclass(frozen=True)
class Tree:
    """A tree in plain lists, an entry a node; the first is the root.

    Attributes
    ----------
    features
        Names of the features, in their order.
    terms
        Names of the weights of a mix.
    feature
        Which feature a node splits by, or `LEAF`.
    threshold
        A window goes left where the feature, in single precision, is at most this.
    left, right
        Nodes below.
    value
        The mean mix of the windows of a node.
    n_windows
        How many windows it was fitted to, by node.
    r2, l1
        See :class:`Fidelity`, on seeds that it was not fitted to.
    n_held_out
        Windows of those seeds.
    n_lower_steps
        Env steps that all these windows took.
    """

    features: Sequence[str]
    terms: Sequence[str]
    feature: Sequence[int]
    threshold: Sequence[float]
    left: Sequence[int]
    right: Sequence[int]
    value: Sequence[Sequence[float]]
    n_windows: Sequence[int]
    r2: float | None = None
    l1: float = 0.0
    n_held_out: int = 0
    n_lower_steps: int = 0

    @cached_property
    def _nodes(self) -> tuple[IntArray, FloatArray, IntArray, FloatArray]:
        below = np.array([self.left, self.right])
        return np.array(self.feature), np.array(self.threshold), below, np.array(self.value)

    def mixes(self, features: FloatArray) -> FloatArray:
        """Mixes ``(n, k)`` for ``features (n, n_features)``; a mean of mixes is a mix."""
        feature, threshold, below, value = self._nodes
        node, rows, single = np.zeros(len(features), np.int64), np.arange(len(features)), features.astype(np.float32)
        while (feature[node] != LEAF).any():
            goes_right = single[rows, feature[node]] > threshold[node]
            node = np.where(feature[node] == LEAF, node, below[goes_right.astype(np.int64), node])
        of_leaves: FloatArray = value[node]
        return of_leaves

    @property
    def n_leaves(self) -> int:
        """How many mixes there are."""
        return sum(one == LEAF for one in self.feature)

    def listing(self) -> str:
        """The tree as indented text: a line a condition, and the mix of every leaf."""
        return "\n".join(self._lines(0, ""))

    def _lines(self, node: int, indent: str) -> list[str]:
        if self.feature[node] == LEAF:
            mix = "  ".join(f"{term} {weight:.2f}" for term, weight in zip(self.terms, self.value[node], strict=True))
            return [f"{indent}{mix}  ({self.n_windows[node]:,} windows)"]
        name = self.features[self.feature[node]]
        return [
            f"{indent}if {name} <= {self.threshold[node]:,.4g}:",
            *self._lines(self.left[node], indent + INDENT),
            f"{indent}else:",
            *self._lines(self.right[node], indent + INDENT),
        ]


def fitted(features: FloatArray, mixes: FloatArray, names: Sequence[str], terms: Sequence[str], depth: int) -> Tree:
    """The tree of at most ``depth`` splits to a leaf for ``features (n, n_features)`` and ``mixes (n, k)``.

    Splits are those of least squared error, one after the other (Breiman et al., "Classification and regression trees",
    1984), by scikit-learn.
    """
    from sklearn.tree import DecisionTreeRegressor

    regressor = DecisionTreeRegressor(
        max_depth=depth, min_samples_leaf=MIN_SHARE, min_impurity_decrease=MIN_GAIN, random_state=0
    )
    nodes: Any = regressor.fit(features, mixes).tree_
    inner = nodes.children_left >= 0

    def kept(values: Array, leaf: float) -> list[Any]:
        plain: list[Any] = np.where(inner, values, leaf).tolist()
        return plain

    return Tree(
        features=list(names),
        terms=list(terms),
        feature=kept(nodes.feature, LEAF),
        threshold=kept(nodes.threshold, 0.0),
        left=kept(nodes.children_left, LEAF),
        right=kept(nodes.children_right, LEAF),
        value=nodes.value.reshape(len(inner), -1).tolist(),
        n_windows=nodes.n_node_samples.tolist(),
    )


def fidelity(tree: Tree, features: FloatArray, mixes: FloatArray) -> Fidelity:
    """How near a tree's mixes are to ``mixes (n, k)`` of windows with ``features (n, n_features)``.

    The share of variance that it explains adds up squares over all terms: terms weigh by their variance.
    """
    error, spread = tree.mixes(features) - mixes, mixes - mixes.mean(0)
    total = float((spread**2).mean())
    r2 = None if total < MIN_GAIN else 1.0 - float((error**2).mean()) / total
    return Fidelity(r2, float(np.abs(error).sum(-1).mean()))


def trees_of(found: Mapping[str, Any] | Sequence[Mapping[str, Any] | None] | None) -> list[Tree | None]:
    """The tree of every training seed, of what results hold; None where none was fitted."""
    of_seeds = [found] if found is None or isinstance(found, Mapping) else found
    return [None if one is None else Tree(**one) for one in of_seeds]
