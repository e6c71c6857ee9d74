"""The arm that a reader can check by hand: a small decision tree in place of the upper agent."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from envs.core.arrays import BoolArray, FloatArray
from envs.core.context import of_env
from envs.core.simulation import Simulation
from envs.core.spec import WorldSpec
from hierarchy.arms.arm import Arm
from hierarchy.arms.found import Found
from hierarchy.arms.selection import Selection
from hierarchy.arms.start import Start
from hierarchy.config import ExperimentConfig
from hierarchy.explaining.features import feature_names, features_of
from hierarchy.explaining.tree import Tree, fidelity, fitted
from hierarchy.pair import ContextSetter, Pair, Upper, Window

HELD_OUT = 4
"""A tree is tried on one selection seed for so many that it is fitted to, at least on one."""


def _features(window: Window) -> FloatArray:
    return features_of(window.world, window.statistics, window.context)


class Watched(ContextSetter):
    """The upper agent; what it goes by and what it sets is kept, window by window, until an episode ends.

    Attributes
    ----------
    features, mixes
        ``(n_running, n_features)`` and ``(n_running, k)`` of every window; of agents that have one each, the mean.
    """

    uses_statistics = True

    def __init__(self, upper: Upper, simulation: Simulation) -> None:
        self._upper, self._simulation = upper, simulation
        self.features: list[FloatArray] = []
        self.mixes: list[FloatArray] = []

    def contexts(self, window: Window) -> FloatArray:
        contexts, running = self._upper.contexts(window), ~self._simulation.ended
        self.features.append(_features(window)[running])
        self.mixes.append(of_env(contexts)[running])
        return contexts

    def reset(self, mask: BoolArray) -> None:
        self._upper.reset(mask)


class Distilled(ContextSetter):
    """A tree that sets contexts."""

    uses_statistics = True

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def contexts(self, window: Window) -> FloatArray:
        return self._tree.mixes(_features(window))


def start_watched(kept: list[Watched], start: Start) -> Pair:
    """Both trained agents; who watches the upper one is kept."""
    assert start.agents.upper is not None
    kept.append(Watched(Upper(start.agents.upper.start(start.simulation.n_envs)), start.simulation))
    return start.pair(kept[-1])


def watched(selection: Selection, seeds: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """Features ``(n, n_features)`` and mixes ``(n, k)`` of all windows of the learned pair on selection seeds."""
    kept: list[Watched] = []
    selection.play(partial(start_watched, kept), selection.batch(seeds))
    [one] = kept
    return np.concatenate(one.features), np.concatenate(one.mixes)


def _seeds(config: ExperimentConfig) -> tuple[range, range]:
    """Selection seeds to fit to, and those that are held out."""
    n = config.ablation.n_select_seeds
    return range(n), range(n, n + -(-n // HELD_OUT))


def find_tree(selection: Selection, found: Mapping[str, Any]) -> Tree:
    """The tree, and how near it is to the upper agent where it was not fitted."""
    config, spec, before = selection.config, selection.spec, selection.n_steps
    fit, held_out = (watched(selection, seeds) for seeds in _seeds(config))
    tree = fitted(*fit, feature_names(spec), spec.terms, config.ablation.tree_depth)
    r2, l1 = fidelity(tree, *held_out)
    n_steps = selection.n_steps - before
    return dataclasses.replace(tree, r2=r2, l1=l1, n_held_out=len(held_out[0]), n_lower_steps=n_steps)


def n_tree_steps(config: ExperimentConfig, spec: WorldSpec) -> int:
    """Env steps of the windows that it is fitted to and tried on."""
    return sum(Selection.steps_per_candidate(config, len(seeds)) for seeds in _seeds(config))


def has_its_names(tree: Tree, spec: WorldSpec) -> bool:
    """A tree over other features, or of other terms, says nothing."""
    return list(tree.features) == feature_names(spec) and tuple(tree.terms) == spec.terms


TREE = Found("tree", find_tree, n_tree_steps, one_job=True, fits=has_its_names, record=Tree)


def start_distilled(start: Start) -> Pair:
    """The tree over the trained lower agent."""
    return start.pair(Distilled(start.found[TREE.name]))


def wants_distilled(config: ExperimentConfig, spec: WorldSpec) -> bool:
    """It can be left out."""
    return config.ablation.distilled


DISTILLED = Arm("learned", start_distilled, wants_distilled, needs=(TREE,))
