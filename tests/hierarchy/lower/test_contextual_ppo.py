"""Advantages are weighed within kinds of context: no context drowns another, and none is given another aim."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as th
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from hierarchy.building import lower
from hierarchy.config import ExperimentConfig
from hierarchy.lower.contextual_ppo import ContextScale, ContextualPPO
from hierarchy.lower.fused_ppo import FusedRecurrentPPO
from hierarchy.lower.ppo_learner import networks, ppo_settings
from hierarchy.nets.context_kinds import ContextKinds
from hierarchy.nets.sequences import SequenceBuffer

CORNERS, MIDDLE = np.eye(3, dtype=np.float32), np.full((1, 3), 1 / 3, np.float32)
N = 4000


def sample(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Contexts ``(N, 3)``, a third of them corners, and advantages ``(N,)`` whose size and mean depend on the context."""
    rng = np.random.default_rng(seed)
    contexts = rng.dirichlet(np.ones(3), N).astype(np.float32)
    contexts[: N // 3] = CORNERS[rng.integers(3, size=N // 3)]
    size = np.exp(4.0 * contexts[:, 2])
    return contexts, (size * rng.normal(0.3, 1.0, N)).astype(np.float32)


def test_within_every_kind_advantages_have_zero_mean_and_unit_spread() -> None:
    contexts, advantages = sample()
    scale = ContextScale(3)
    found, kinds = scale(contexts, advantages), ContextKinds(3).of(contexts)
    assert found.dtype == np.float32
    assert advantages.std() > 3.0
    assert len(np.unique(kinds)) == 10
    for kind in np.unique(kinds):
        assert_allclose([found[kinds == kind].mean(), found[kinds == kind].std()], [0.0, 1.0], atol=1e-4)


def test_within_a_kind_the_order_stays() -> None:
    contexts, advantages = sample()
    scale = ContextScale(3)
    found, kinds = scale(contexts, advantages), ContextKinds(3).of(contexts)
    for kind in np.unique(kinds):
        assert_array_equal(np.argsort(found[kinds == kind]), np.argsort(advantages[kinds == kind]))


@pytest.mark.parametrize("corner", range(3))
def test_the_units_of_one_corner_change_nothing(corner: int) -> None:
    scales, kinds = (ContextScale(3), ContextScale(3)), ContextKinds(3)
    for seed in range(3):
        contexts, advantages = sample(seed)
        loud = np.where(kinds.of(contexts) == kinds.of(CORNERS)[corner], 50.0 * advantages, advantages)
        plain, found = scales[0](contexts, advantages), scales[1](contexts, loud.astype(np.float32))
        assert_allclose(found, plain, atol=1e-4)


@pytest.mark.parametrize("n_terms", [2, 3, 4])
def test_corners_and_the_middle_of_an_edge_are_kinds_of_their_own(n_terms: int) -> None:
    corners = np.eye(n_terms, dtype=np.float32)
    edges = np.array([(a + b) / 2 for i, a in enumerate(corners) for b in corners[:i]], np.float32)
    kinds = ContextKinds(n_terms).of
    assert len(set(kinds(corners))) == n_terms
    assert not set(kinds(corners)) & set(kinds(edges))


def test_the_middle_is_of_no_kind_of_an_edge() -> None:
    kinds = ContextKinds(3).of
    on_edges = np.array([[a, 1 - a, 0] for a in np.linspace(0, 1, 21)], np.float32)
    for order in ([0, 1, 2], [0, 2, 1], [2, 0, 1]):
        assert kinds(MIDDLE)[0] not in kinds(on_edges[:, order])


def test_what_is_near_a_corner_is_of_its_kind() -> None:
    kinds = ContextKinds(3).of
    near = 0.9 * CORNERS + 0.1 * MIDDLE
    assert_array_equal(kinds(near), kinds(CORNERS))


def test_what_was_seen_before_still_counts() -> None:
    contexts = np.repeat(CORNERS[:1], 100, axis=0)
    wide, narrow = np.linspace(-10, 10, 100, dtype=np.float32), np.linspace(-1, 1, 100, dtype=np.float32)
    fresh, scale = ContextScale(3), ContextScale(3)
    scale(contexts, wide)
    assert 0.05 < scale(contexts, narrow).std() < 0.5 < fresh(contexts, narrow).std()
    for _ in range(100):
        found = scale(contexts, narrow)
    assert_allclose(found.std(), 1.0, atol=0.01)


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=5), st.booleans())
def test_few_or_equal_advantages_stay_finite(values: list[float], equal: bool) -> None:
    advantages = np.array(values, np.float32)
    if equal:
        advantages[:] = advantages[0]
    found = ContextScale(3)(np.repeat(MIDDLE, len(advantages), axis=0), advantages)
    assert np.isfinite(found).all()
    assert not equal or np.abs(found).max() < 0.1


# In the agent.


def trained_once(agent: FusedRecurrentPPO) -> dict[str, th.Tensor]:
    """The weights after one rollout and its updates."""
    agent.learn(agent.n_steps * agent.n_envs)
    return agent.policy.state_dict()


class Watched(ContextualPPO):
    """Keeps what every update was trained on."""

    def advantages(self, rollout: SequenceBuffer) -> np.ndarray:
        self.given, self.taken = rollout.estimates.copy(), super().advantages(rollout)
        return self.taken


def agent_of(kind: type[FusedRecurrentPPO], config: ExperimentConfig, **arguments: Any) -> FusedRecurrentPPO:
    env = lower.vec_env(config)
    return kind(env=env, **networks(config.lower, env.batch.n_terms, 0, 0), **ppo_settings(config.lower, 0), **arguments)


def test_the_agent_trains_on_advantages_scaled_by_the_contexts_they_were_made_under(tiny_config: ExperimentConfig) -> None:
    agent = agent_of(Watched, tiny_config, n_terms=3)
    trained_once(agent)
    observations = agent.rollout_buffer.observations
    contexts = observations.reshape(-1, observations.shape[-1])[:, -3:]
    expected = ContextScale(3)(contexts, agent.given.reshape(-1)).reshape(agent.given.shape)
    assert_allclose(agent.taken, expected, atol=1e-6)
    assert_array_equal(agent.rollout_buffer.advantages, agent.taken)
    assert not np.allclose(agent.taken, agent.given, atol=0.1)


def test_values_aim_at_returns_that_are_not_scaled(tiny_config: ExperimentConfig) -> None:
    agent = agent_of(Watched, tiny_config, n_terms=3)
    trained_once(agent)
    assert_array_equal(agent.rollout_buffer.returns, agent.given + agent.rollout_buffer.values)


def test_with_one_kind_of_context_training_is_that_of_the_plain_agent(tiny_config: ExperimentConfig) -> None:
    """A minibatch is normalised anyway, so one scale for all changes nothing."""
    ours = trained_once(agent_of(ContextualPPO, tiny_config, n_terms=1))
    for name, value in trained_once(agent_of(FusedRecurrentPPO, tiny_config)).items():
        assert_allclose(ours[name], value, atol=1e-4, err_msg=name)


def test_a_scale_goes_on_from_its_state() -> None:
    contexts, advantages = sample()
    one, other = ContextScale(3), ContextScale(3)
    one(contexts, advantages)
    other.set_state(one.get_state())
    assert_array_equal(one(contexts, 2 * advantages), other(contexts, 2 * advantages))
