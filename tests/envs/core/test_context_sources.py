"""Contexts that are drawn: each env by its own stream, and from where a batch's state leaves off."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import envs
from envs import LoadBalancingConfig
from envs.core.context import ContextSampling
from envs.core.context_sources import SampledContexts
from envs.core.rng import streams
from envs.core.validation import SettingError

N_ENVS, N_DRAWS = 50, 40


def drawn(n_envs: int) -> np.ndarray:
    """Contexts ``(N_DRAWS, n_envs, 3)``."""
    source, luck = SampledContexts(ContextSampling(corner_share=1.0), n_envs, 3), streams(3, "train", range(n_envs))
    contexts = []
    for _ in range(N_DRAWS):
        source.begin(luck, np.ones(n_envs, np.bool_))
        contexts.append(source.context.copy())
    return np.array(contexts)


def test_corners_and_edges_are_drawn_where_they_are_asked_for() -> None:
    contexts = drawn(N_ENVS)
    assert (contexts == 0.0).any(-1).all()
    np.testing.assert_allclose(contexts.sum(-1), 1.0)


def test_where_no_episode_begins_streams_stay() -> None:
    source, luck = SampledContexts(ContextSampling(), 1, 3), streams(3, "train", [0])
    before = luck.copy()
    source.begin(luck, np.zeros(1, np.bool_))
    assert_array_equal(luck, before)


def test_an_env_draws_from_its_own_stream() -> None:
    assert_array_equal(drawn(3), drawn(N_ENVS)[:, :3])


def test_a_batch_that_goes_on_from_a_state_draws_what_the_first_one_would_have_drawn() -> None:
    batch, other = (
        envs.make(LoadBalancingConfig(), 4, 1, sampling=ContextSampling(switch_probability=1.0)) for _ in range(2)
    )
    batch.reset()
    other.set_state(batch.get_state())
    action = np.zeros((4, 8), np.int64)
    for _ in range(5):
        assert_array_equal(batch.step(action)[0], other.step(action)[0])


def test_a_fixed_context_is_held_in_place_of_those_that_are_drawn() -> None:
    sampling = ContextSampling(fixed=[0.25, 0.75, 0.0], switch_probability=1.0)
    batch = envs.make(LoadBalancingConfig(), 2, sampling=sampling)
    batch.reset()
    for _ in range(3):
        batch.step(np.stack([batch.world.nominal_action] * 2))
        assert_array_equal(batch.context, [[0.25, 0.75, 0.0]] * 2)


@pytest.mark.parametrize("fixed", [[1.0, 1.0], [0.5], [-1.0, 2.0]])
def test_a_fixed_context_is_on_the_simplex(fixed: list[float]) -> None:
    with pytest.raises(SettingError, match=r"^fixed"):
        ContextSampling(fixed=fixed)
