"""Renaming the parts renames what is done to them, and parts that aren't there change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th

from hierarchy.nets.equivariant import EquivariantLstmPolicy, standing
from tests.hierarchy.nets.parts import (
    LENGTHS,
    MARGIN,
    N_FEATURES,
    N_PARTS,
    N_TERMS,
    begun,
    drawn,
    joined,
    large,
    minibatch_of,
    parts_of,
    played,
    renamed,
    steps_of,
)
from tests.hierarchy.nets.policies import assert_close


@pytest.fixture
def policy() -> EquivariantLstmPolicy:
    return large()


# Names of parts mean nothing.


@pytest.mark.parametrize("seed", range(5))
def test_renaming_parts_renames_logits_and_actions_and_keeps_values(policy: EquivariantLstmPolicy, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(N_PARTS)
    steps = steps_of(seed)
    logits, values, _ = played(policy, steps)
    again, same, _ = played(policy, [renamed(step, order) for step in steps])
    assert_close(again, logits[:, :, order], MARGIN)
    assert_close(same, values, MARGIN)
    best = logits.topk(2, dim=-1).values
    clear = (best[..., 0] - best[..., 1] > MARGIN)[:, :, order]
    assert clear.float().mean() > 0.9
    assert th.equal(again.argmax(-1)[clear], logits.argmax(-1)[:, :, order][clear])
    assert (logits[:, :, 0] - logits[:, :, 1]).abs().mean() > 0.01  # parts differ, and so does what is done to them


def test_parts_that_are_alike_are_treated_alike(policy: EquivariantLstmPolicy) -> None:
    steps = steps_of(0)
    for step in steps:
        step[:, N_FEATURES : 2 * N_FEATURES] = step[:, :N_FEATURES]
    logits, _, _ = played(policy, steps)
    assert_close(logits[:, :, 0], logits[:, :, 1], MARGIN)


def test_rounding_does_not_tell_equal_parts_apart() -> None:
    value = th.from_numpy(np.random.default_rng(0).uniform(0.0, 20.0, (1, 100, 1)).astype(np.float32))
    stands = standing(value.expand(7, 100, 1), th.ones(7, 100, 1))
    assert stands.abs().max() < 1e-6


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@th.no_grad()
def test_renaming_parts_changes_nothing_in_an_update(policy: EquivariantLstmPolicy, lengths: list[int]) -> None:
    steps, actions, order = steps_of(2), drawn(), np.array([2, 0, 3, 1])
    memory = begun(policy, len(lengths))
    found = policy.evaluate(minibatch_of(steps, memory, actions, lengths))
    turned = [renamed(step, order) for step in steps]
    again = policy.evaluate(minibatch_of(turned, memory, actions[..., order], lengths))
    wrong = policy.evaluate(minibatch_of(turned, memory, actions, lengths))
    for ours, theirs in zip(again, found, strict=True):
        assert_close(ours, theirs)
    assert not th.allclose(wrong.log_prob, found.log_prob, atol=1e-3)


# Parts that aren't there.


@pytest.mark.parametrize("noise", [1.0, 1e3])
def test_what_an_absent_part_says_changes_nothing_for_others(policy: EquivariantLstmPolicy, noise: float) -> None:
    rng, steps, told = np.random.default_rng(3), steps_of(3), []
    for step in steps:
        parts = parts_of(step)
        absent = parts[..., -1] == 0
        said = noise * rng.normal(size=parts.shape)
        said[..., -1] = 0.0
        told.append(joined(np.where(absent[..., None], said, parts), step[:, -N_TERMS:].numpy()))
    there = th.from_numpy(np.stack([parts_of(step)[..., -1] > 0 for step in steps]))
    assert 0.1 < (~there).float().mean() < 0.5
    logits, values, _ = played(policy, steps)
    again, same, _ = played(policy, told)
    assert_close(again[there], logits[there], MARGIN)
    assert_close(same, values, MARGIN)
    assert again.isfinite().all()


def test_a_part_that_is_there_matters_to_the_others(policy: EquivariantLstmPolicy) -> None:
    steps = steps_of(4, 1, share=1.0)
    gone = steps[0].clone()
    gone[:, 2 * N_FEATURES - 1] = 0.0
    logits, values, _ = played(policy, steps)
    without, other, _ = played(policy, [gone])
    assert (logits - without)[:, :, [0, 2, 3]].abs().amax((0, 2, 3)).min() > 1e-3
    assert (values - other).abs().min() > 1e-3


def test_nothing_there_is_nothing_undefined(policy: EquivariantLstmPolicy) -> None:
    steps = steps_of(6)
    for step in steps:
        step[:, N_FEATURES - 1 : -N_TERMS : N_FEATURES] = 0.0
    logits, values, _ = played(policy, steps)
    assert logits.isfinite().all()
    assert values.isfinite().all()
    assert (policy.features_extractor(steps[0]) == 0).all()
    found = policy.evaluate(minibatch_of(steps, policy.initial_memory(2), drawn(), [3, 2]))
    (found.values.sum() + found.log_prob.sum()).backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in policy.parameters())
