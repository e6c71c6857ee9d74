"""A policy of parts observes what they share, and makes several choices for each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces

from hierarchy.nets.equivariant import EquivariantLstmPolicy, PartEncoder
from tests.hierarchy.nets.policies import assert_close

N_PARTS, N_FEATURES, N_SHARED, N_TERMS, N_CHOICES, N_LEVELS, HIDDEN = 4, 6, 5, 3, 2, 3, 8
MARGIN = 1e-5


def spaces_of(n_parts: int = N_PARTS, n_shared: int = N_SHARED, n_choices: int = N_CHOICES) -> tuple[Any, Any]:
    """What is observed, and what is done."""
    observed = spaces.Box(-5.0, 20.0, (n_parts * N_FEATURES + n_shared + N_TERMS,), np.float32)
    return observed, spaces.MultiDiscrete([N_LEVELS] * n_parts * n_choices)


@pytest.fixture
def policy() -> EquivariantLstmPolicy:
    """With parameters that are large enough for everything to matter."""
    extractor = {"n_terms": N_TERMS, "features_dim": HIDDEN, "n_parts": N_PARTS, "n_shared": N_SHARED}
    kwargs: dict[str, Any] = {"features_extractor_class": PartEncoder, "features_extractor_kwargs": extractor}
    found = EquivariantLstmPolicy(*spaces_of(), lambda _: 1e-3, net_arch=[HIDDEN], lstm_hidden_size=HIDDEN, **kwargs)
    generator = th.Generator().manual_seed(0)
    with th.no_grad():
        for parameter in found.parameters():
            parameter.copy_(0.5 * th.randn(parameter.shape, generator=generator))
    return found


def joined(parts: np.ndarray, shared: np.ndarray, contexts: np.ndarray) -> th.Tensor:
    return th.from_numpy(np.concatenate([parts.reshape(len(parts), -1), shared, contexts], axis=1).astype(np.float32))


def drawn(seed: int = 0, n: int = 7, n_parts: int = N_PARTS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parts, all of which are there, shared features and contexts."""
    rng = np.random.default_rng(seed)
    parts = rng.exponential(2.0, (n, n_parts, N_FEATURES))
    parts[..., -1] = 1.0
    return parts, rng.exponential(1.0, (n, N_SHARED)), rng.dirichlet(np.ones(N_TERMS), n)


@th.no_grad()
def acted(policy: EquivariantLstmPolicy, observations: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
    """Logits ``(n, n_parts, n_choices, n_levels)`` and values of a first step."""
    memory = policy.initial_memory(len(observations))
    start = th.zeros(len(observations))
    logits, _ = policy.step_actor(observations, policy.actor_memory(memory), 1.0 - start[:, None])
    return logits.view(len(observations), -1, N_CHOICES, N_LEVELS), policy.values(observations, memory, start)


def test_renaming_parts_renames_all_choices_of_a_part_together(policy: EquivariantLstmPolicy) -> None:
    parts, shared, contexts = drawn()
    order = np.random.default_rng(1).permutation(N_PARTS)
    logits, values = acted(policy, joined(parts, shared, contexts))
    again, same = acted(policy, joined(parts[:, order], shared, contexts))
    assert_close(again, logits[:, order], MARGIN)
    assert_close(same, values, MARGIN)
    assert (logits[:, :, 0] - logits[:, :, 1]).abs().mean() > 0.01, "choices of a part differ"


@pytest.mark.parametrize("feature", range(N_SHARED))
def test_every_shared_feature_matters_to_every_part_and_to_the_value(policy: EquivariantLstmPolicy, feature: int) -> None:
    parts, shared, contexts = drawn()
    other = shared.copy()
    other[:, feature] += 1.0
    logits, values = acted(policy, joined(parts, shared, contexts))
    changed, others = acted(policy, joined(parts, other, contexts))
    assert ((changed - logits).abs().amax((0, 2, 3)) > 1e-4).all()
    assert ((others - values).abs() > 1e-6).any()


def test_absent_parts_change_nothing(policy: EquivariantLstmPolicy) -> None:
    parts, shared, contexts = drawn()
    more = np.concatenate([parts, np.random.default_rng(2).exponential(2.0, (len(parts), 2, N_FEATURES))], axis=1)
    more[:, N_PARTS:, -1] = 0.0
    wider = policy.fitted(*spaces_of(N_PARTS + 2))
    logits, values = acted(policy, joined(parts, shared, contexts))
    again, same = acted(wider, joined(more, shared, contexts))
    assert_close(again[:, :N_PARTS], logits, MARGIN)
    assert_close(same, values, MARGIN)


@pytest.mark.parametrize(("n_shared", "n_choices"), [(N_SHARED + 1, N_CHOICES), (N_SHARED, 1), (N_SHARED, 3)])
def test_other_shared_features_or_choices_are_refused(policy: EquivariantLstmPolicy, n_shared: int, n_choices: int) -> None:
    with pytest.raises(ValueError, match=r"^(observation|action)_space must be "):
        policy.fitted(*spaces_of(6, n_shared, n_choices))


@th.no_grad()
def test_it_begins_near_the_levels_of_an_action(policy: EquivariantLstmPolicy) -> None:
    for parameter in policy.action_net.logits.parameters():
        parameter.zero_()
    policy.begin_near(np.array([2, 0] * N_PARTS), 3.0)
    logits, _ = acted(policy, joined(*drawn()))
    assert logits.argmax(-1).unique(dim=0).tolist() == [[[2, 0]] * N_PARTS]
    with pytest.raises(ValueError, match=r"^action must be the same levels for all parts, got"):
        policy.begin_near(np.array([2, 0, 2, 0, 1, 0, 2, 0]), 3.0)
