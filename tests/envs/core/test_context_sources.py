"""Contexts that are drawn: from all of the simplex, or half of them around a mix; each env by its own stream."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal

import envs
from envs import LoadBalancingConfig
from envs.core.context import ContextSampling
from envs.core.context_sources import SPREAD, SampledContexts
from envs.core.rng import streams
from tests.envs.load_balancing.pools import standard_errors

MIX = np.array([0.1, 0.5, 0.4])
N_ENVS, N_DRAWS = 50, 40


def drawn(around: np.ndarray | None, n_envs: int = N_ENVS) -> np.ndarray:
    """Contexts ``(N_DRAWS, n_envs, 3)``."""
    source, luck = SampledContexts(ContextSampling(corner_share=1.0), n_envs, 3), streams(3, "train", range(n_envs))
    source.around = around
    contexts = []
    for _ in range(N_DRAWS):
        source.begin(luck, np.ones(n_envs, np.bool_))
        contexts.append(source.context.copy())
    return np.array(contexts)


def test_half_of_the_contexts_lie_around_the_mix() -> None:
    """Between it and any, and as spread; the other half are what they would be without it, corners and edges here."""
    contexts = drawn(MIX).reshape(-1, 3)
    rest = (contexts - (1.0 - SPREAD) * MIX) / SPREAD
    near = (rest > -1e-9).all(-1)
    assert standard_errors(near, 0.5) < 4
    assert ((rest[near] < 1e-9).any(-1)).all(), "drawn towards corners and edges"
    assert ((contexts[~near] == 0.0).any(-1)).all()
    np.testing.assert_allclose(contexts.sum(-1), 1.0)


def test_without_a_mix_streams_move_as_ever() -> None:
    assert (drawn(None) == 0.0).any(-1).all()
    source, luck = SampledContexts(ContextSampling(), 1, 3), streams(3, "train", [0])
    before = luck.copy()
    source.begin(luck, np.zeros(1, np.bool_))
    assert_array_equal(luck, before)


def test_an_env_draws_from_its_own_stream() -> None:
    assert_array_equal(drawn(MIX, 3), drawn(MIX)[:, :3])


def test_what_contexts_lie_around_is_part_of_the_state_of_a_batch() -> None:
    """A batch that goes on from it draws what the first one would have drawn."""
    batch, other = (
        envs.make(LoadBalancingConfig(), 4, 1, sampling=ContextSampling(switch_probability=1.0)) for _ in range(2)
    )
    batch.aim(MIX)
    batch.reset()
    other.set_state(batch.get_state())
    action = np.zeros((4, 8), np.int64)
    for _ in range(5):
        assert_array_equal(batch.step(action)[0], other.step(action)[0])
