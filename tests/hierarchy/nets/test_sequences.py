"""A rollout keeps any memory as it comes, and gives every sequence the memory that it began with."""

from __future__ import annotations

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.testing import assert_array_equal

from hierarchy.nets.memory import Memory, memory_of, rows, state_of
from hierarchy.nets.sequences import SequenceBuffer, lay_out

N_STEPS, N_ENVS = 6, 3
STARTS = np.array([[1, 1, 1], [0, 0, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0]], np.float32)


def memory_at(step: int) -> Memory:
    """Three parts of different widths, told apart by step, env and part."""
    env = th.arange(N_ENVS, dtype=th.float32)[:, None]
    return tuple(
        (100.0 * part + 10.0 * step + env + 1.0).expand(-1, width).reshape(N_ENVS, *shape)
        for part, (width, shape) in enumerate(((1, (1,)), (4, (4,)), (6, (2, 3))))
    )


def rollout() -> SequenceBuffer:
    """Of constant rewards, each step with the memory of its own."""
    space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    buffer = SequenceBuffer(N_STEPS, N_ENVS, space, spaces.Discrete(3), memory_at(0))
    for step in range(N_STEPS):
        observations, actions = np.zeros((N_ENVS, 2), np.float32), np.zeros((N_ENVS, 1), np.int64)
        nothing, ones = th.zeros(N_ENVS), np.ones(N_ENVS, np.float32)
        buffer.add(observations, STARTS[step], memory_at(step), actions, nothing, nothing, ones)
    return buffer


def test_sequences_begin_with_the_memory_of_their_first_step_cleared_where_an_episode_starts() -> None:
    minibatch = rollout().minibatch(np.arange(N_STEPS * N_ENVS))
    begins = [(env, step) for env in range(N_ENVS) for step in range(N_STEPS) if step == 0 or STARTS[step, env]]
    assert minibatch.n_sequences == len(begins) == 5
    assert [part.shape[1:] for part in minibatch.memory] == [(1,), (4,), (2, 3)]
    for part in minibatch.memory:
        assert (part == 0).all(), "every sequence here begins an episode"


def test_a_sequence_that_a_minibatch_cuts_goes_on_with_its_memory() -> None:
    minibatch = rollout().minibatch(np.arange(2, 4))
    for part, expected in zip(minibatch.memory, memory_at(2), strict=True):
        assert_array_equal(part, expected[:1])


def test_estimates_are_discounted_sums_of_rewards_up_to_the_end_of_an_episode() -> None:
    buffer = rollout()
    buffer.finish(np.full(N_ENVS, 8.0, np.float32), np.array([False, False, True]), 0.5, 1.0)
    assert_array_equal(buffer.estimates[:, 0], [1.875, 1.75, 1.5, 1.0, 1.5 + 0.25 * 8.0, 1.0 + 0.5 * 8.0])
    assert buffer.estimates[-1, 2] == 1.0
    assert_array_equal(buffer.returns, buffer.estimates + buffer.values)


def test_a_memory_comes_back_from_its_state_as_a_copy() -> None:
    memory = tuple(part.clone() for part in memory_at(3))
    state = state_of(memory)
    for part in memory:
        part.zero_()
    for found, expected in zip(memory_of(state), memory_at(3), strict=True):
        assert_array_equal(found, expected)


def test_rows_are_the_memories_of_some_envs() -> None:
    for found, part in zip(rows(memory_at(1), th.tensor([2, 0])), memory_at(1), strict=True):
        assert_array_equal(found, part[[2, 0]])


def test_sequences_are_laid_out_side_by_side() -> None:
    layout = lay_out(np.array([7, 8, 9, 0, 1, 2]), np.array([0, 0, 1, 1, 0, 0], bool))
    assert layout.first.tolist() == [7, 9, 0]
    assert layout.padded.reshape(3, 3).tolist() == [[7, 9, 0], [8, 7, 1], [7, 7, 2]]
    assert layout.padded[layout.place].tolist() == [7, 9, 0, 8, 1, 2]
