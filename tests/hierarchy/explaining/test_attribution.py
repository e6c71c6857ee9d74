"""Shares of a change keep the axioms of integrated gradients, for functions that are known and for every upper algorithm."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch as th
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from hierarchy.building import upper
from hierarchy.config import ExperimentConfig
from hierarchy.explaining.attribution import N_HALVINGS, attributions, contexts_of
from hierarchy.lower.acting import PolicyActor
from hierarchy.upper import ALGORITHMS
from tests.hierarchy.settings import like

BEFORE, AFTER = np.array([0.5, -1.0, 2.0, 0.0], np.float32), np.array([1.5, 1.0, 2.0, -0.5], np.float32)
COMPLETE = 1e-3
"""Shares add up to the change within this."""


def mixes(logits: np.ndarray) -> np.ndarray:
    weights: np.ndarray = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def test_what_is_linear_is_shared_out_by_its_slopes() -> None:
    slopes = np.array([[1.0, -1.0], [0.5, 0.0], [3.0, 2.0], [0.0, 4.0]])
    shares = attributions(lambda rows: rows @ slopes, BEFORE, AFTER)
    assert_allclose(shares, slopes * (AFTER - BEFORE)[:, None], atol=1e-4)


def test_a_product_is_shared_out_by_the_mean_of_the_other_factor() -> None:
    """The integral of ``x_1`` along the way is its mean; the gradient at either end would be wrong."""
    shares = attributions(lambda rows: np.stack([rows[:, 0] * rows[:, 3], rows[:, 0] ** 2], -1), BEFORE, AFTER)
    means, way = (BEFORE + AFTER) / 2, AFTER - BEFORE
    assert_allclose(shares[:, 0], [way[0] * means[3], 0.0, 0.0, way[3] * means[0]], atol=1e-4)
    assert_allclose(shares[:, 1], [1.5**2 - 0.5**2, 0.0, 0.0, 0.0], atol=1e-4)


def test_what_does_not_move_and_what_does_not_matter_has_no_share() -> None:
    shares = attributions(lambda rows: mixes(rows[:, [0, 2]] * 3.0), BEFORE, AFTER)
    assert (shares[[1, 2, 3]] == 0.0).all()
    assert abs(shares[0]).min() > 0.01
    assert (attributions(lambda rows: mixes(rows), AFTER, AFTER) == 0.0).all()


def test_entries_that_do_the_same_share_alike() -> None:
    before, after = np.array([0.0, 0.0, 1.0], np.float32), np.array([2.0, 2.0, 0.0], np.float32)
    first, second, _ = attributions(lambda rows: mixes(np.stack([rows[:, 0] + rows[:, 1], rows[:, 2]], -1)), before, after)
    assert_allclose(first, second, atol=1e-5)
    assert first[0] > 0.1


@given(seed=st.integers(0, 10_000), slope=st.sampled_from([0.3, 1.0, 5.0]))
def test_shares_of_mixes_of_a_network_with_kinks_add_up_to_the_change(seed: int, slope: float) -> None:
    rng = np.random.default_rng(seed)
    into, out = rng.normal(size=(12, 32)), rng.normal(size=(32, 3)) * slope / 4.0

    def contexts(rows: np.ndarray) -> np.ndarray:
        return mixes(np.maximum(rows @ into, 0.0) @ out)

    before, after = rng.normal(size=(2, 12)).astype(np.float32)
    change = np.diff(contexts(np.stack([before, after])), axis=0)[0]
    assert_allclose(attributions(contexts, before, after).sum(0), change, atol=COMPLETE)


def test_steps_are_halved_where_the_mix_turns_and_nowhere_else() -> None:
    asked: list[np.ndarray] = []

    def steep(rows: np.ndarray) -> np.ndarray:
        asked.append(rows[:, 0])
        return mixes(np.stack([rows[:, 0], -rows[:, 1]], -1) * 150.0)

    before, after = np.array([-1.0, -1.0], np.float32), np.array([1.03, 1.03], np.float32)
    assert_allclose(attributions(steep, before, after).sum(0), [1.0, -1.0], atol=COMPLETE)
    first, *halved = asked
    assert_allclose([first.min(), first.max()], [-1.0, 1.03], rtol=1e-6)
    assert len(halved) > 2
    assert np.abs(np.concatenate(halved)).max() < 0.1


def test_what_no_step_is_small_enough_for_ends_all_the_same() -> None:
    asked: list[int] = []

    def jump(rows: np.ndarray) -> np.ndarray:
        asked.append(len(rows))
        return np.where(rows[:, :1] + rows[:, 1:2] > 0.337, [1.0, 0.0], [0.0, 1.0])

    shares = attributions(jump, BEFORE * 0.0, np.array([1.0, 1.0, 0.0, 0.0], np.float32))
    assert len(asked) == 1 + N_HALVINGS
    assert max(asked[1:]) < asked[0]
    assert shares.shape == (4, 2)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_shares_of_every_algorithm_add_up_to_the_change_of_its_mix(
    name: str, tiny_config: ExperimentConfig, policy: PolicyActor
) -> None:
    config = dataclasses.replace(tiny_config, upper=like(ALGORITHMS[name], tiny_config.upper))
    learner: Any = upper.build(config, policy)
    with th.no_grad():  # an agent that is sure of itself: its mixes move far
        for parameter in learner.agent.actor.parameters():
            parameter.mul_(4.0)
    contexts = contexts_of(learner.actor)
    n_features = learner.agent.observation_space.shape[0]
    rng = np.random.default_rng(0)
    moved = []
    for _ in range(10):
        before, after = rng.normal(size=(2, n_features)).astype(np.float32)
        change = np.diff(contexts(np.stack([before, after])), axis=0)[0]
        shares = attributions(contexts, before, after)
        assert shares.shape == (n_features, 3)
        assert_allclose(shares.sum(0), change, atol=COMPLETE)
        assert_allclose(shares.sum(1), 0.0, atol=COMPLETE)
        moved.append(np.abs(change).sum())
    assert max(moved) > 0.1
