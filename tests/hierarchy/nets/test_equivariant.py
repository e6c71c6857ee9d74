"""Renaming parts renames what is done to them; those that aren't there change nothing; what all share matters to all."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th

from hierarchy.nets.equivariant import EquivariantLstmPolicy
from hierarchy.nets.part_networks import standing
from hierarchy.nets.recurrent import N_ACTOR
from tests.hierarchy.nets.parts import (
    LENGTHS,
    MARGIN,
    N_CHOICES,
    N_FEATURES,
    N_LEVELS,
    N_PARTS,
    N_REST,
    N_SHARED,
    N_TERMS,
    begun,
    drawn,
    fresh,
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
    assert (logits[:, :, :, 0] - logits[:, :, :, 1]).abs().mean() > 0.01  # and so do the choices of a part


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
    of_parts = actions.unflatten(-1, (N_PARTS, N_CHOICES))
    again = policy.evaluate(minibatch_of(turned, memory, of_parts[:, :, order].flatten(start_dim=2), lengths))
    wrong = policy.evaluate(minibatch_of(turned, memory, actions, lengths))
    for ours, theirs in zip(again, found, strict=True):
        assert_close(ours, theirs)
    assert not th.allclose(wrong.log_prob, found.log_prob, atol=1e-3)


# What belongs to no part.


@pytest.mark.parametrize("feature", range(N_SHARED))
def test_what_all_share_matters_to_every_part_and_to_the_value(policy: EquivariantLstmPolicy, feature: int) -> None:
    steps = steps_of(4, 1, share=1.0)
    moved = steps[0].clone()
    moved[:, feature - N_REST] += 1.0
    logits, values, _ = played(policy, steps)
    again, other, _ = played(policy, [moved])
    assert (again - logits).abs().amax((0, 1, 4)).min() > 1e-3  # of every part and choice
    assert (other - values).abs().min() > 1e-4


def test_shared_features_that_weigh_nothing_are_as_none(policy: EquivariantLstmPolicy) -> None:
    of_context = policy.features_extractor._context.weight
    with th.no_grad():
        of_context[:, 2 * N_TERMS :] = 0.0
    cut = {name: value[:, : 2 * N_TERMS] for name, value in policy.state_dict().items() if name.endswith("_context.weight")}
    without = fresh(n_shared=0)
    without.load_state_dict(policy.state_dict() | cut)
    steps = steps_of(2)
    logits, values, _ = played(policy, steps)
    again, same, _ = played(without, [th.cat([step[:, :-N_REST], step[:, -N_TERMS:]], dim=1) for step in steps])
    assert_close(again, logits)
    assert_close(same, values)


# Several choices of a part.


@th.no_grad()
def test_choices_of_a_part_are_made_by_themselves_of_one_latent(policy: EquivariantLstmPolicy) -> None:
    """Each has logits of its own, and the rest in common."""
    steps, parameters = steps_of(3), policy.state_dict()
    both, values, _ = played(policy, steps)
    for choice in range(N_CHOICES):
        alone, own = fresh(n_choices=1), slice(choice * N_LEVELS, (choice + 1) * N_LEVELS)
        logits = {name: value[own] for name, value in parameters.items() if name.startswith("action_net.logits")}
        assert len(logits) == 2
        alone.load_state_dict(parameters | logits)
        memory = alone.initial_memory(len(steps[0]))
        for step, expected, value in zip(steps, both, values, strict=True):
            found, _ = alone.acting.step(step, memory[:N_ACTOR], th.ones(len(step), 1))
            assert_close(found.view(-1, N_PARTS, N_LEVELS), expected[:, :, choice])
            assert_close(alone.values(step, memory, th.zeros(len(step))), value)
            memory = alone.step(step, memory, th.zeros(len(step)))[-1]


# Parts that aren't there.


@pytest.mark.parametrize("noise", [1.0, 1e3])
def test_what_an_absent_part_says_changes_nothing_for_others(policy: EquivariantLstmPolicy, noise: float) -> None:
    rng, steps, told = np.random.default_rng(3), steps_of(3), []
    for step in steps:
        parts = parts_of(step)
        absent = parts[..., -1] == 0
        said = noise * rng.normal(size=parts.shape)
        said[..., -1] = 0.0
        told.append(joined(np.where(absent[..., None], said, parts), step[:, -N_REST:].numpy()))
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
    assert (logits - without)[:, :, [0, 2, 3]].abs().amax((0, 2, 3, 4)).min() > 1e-3
    assert (values - other).abs().min() > 1e-3


def test_nothing_there_is_nothing_undefined(policy: EquivariantLstmPolicy) -> None:
    steps = steps_of(6)
    for step in steps:
        step[:, N_FEATURES - 1 : -N_REST : N_FEATURES] = 0.0
    logits, values, _ = played(policy, steps)
    assert logits.isfinite().all()
    assert values.isfinite().all()
    assert (policy.features_extractor(steps[0]) == 0).all()
    found = policy.evaluate(minibatch_of(steps, policy.initial_memory(2), drawn(), [3, 2]))
    (found.values.sum() + found.log_prob.sum()).backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in policy.parameters())
