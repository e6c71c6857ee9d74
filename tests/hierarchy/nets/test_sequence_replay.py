"""What is replayed are consecutive steps of one env, the newest there are, each as likely as another."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hierarchy.nets.sequence_replay import SequenceReplay, Steps

N_ENVS = 3


def step(number: int) -> Steps:
    """The step of that number in every env: all of it says which step and which env it is of."""
    marks = 100 * np.arange(N_ENVS) + number
    flags = marks % 5 == 0
    numbers = marks.astype(np.float32)
    return Steps(numbers[:, None], flags, numbers[:, None], marks[:, None], numbers, flags, ~flags)


def filled(n_steps: int, size: int = 10 * N_ENVS) -> SequenceReplay:
    replay = SequenceReplay(size, N_ENVS)
    for number in range(n_steps):
        replay.add(step(number))
    return replay


@pytest.mark.parametrize("n_steps", [4, 10, 17, 40])
def test_sequences_are_of_one_env_and_without_gaps(n_steps: int) -> None:
    drawn = filled(n_steps).draw(500, 4, np.random.default_rng(0))
    marks = drawn.action[..., 0]
    assert (np.diff(marks, axis=0) == 1).all()
    assert marks.shape == (4, 500)
    for part in (drawn.observation[..., 0], drawn.memory[..., 0], drawn.reward):
        assert_array_equal(part, marks)
    assert_array_equal(drawn.start, marks % 5 == 0)
    assert_array_equal(drawn.truncated, ~drawn.terminated)


@pytest.mark.parametrize("n_steps", [10, 17])
def test_the_newest_steps_are_drawn_evenly(n_steps: int) -> None:
    drawn = filled(n_steps).draw(30_000, 4, np.random.default_rng(0))
    first = drawn.action[0, :, 0] % 100
    counts = np.bincount(first, minlength=n_steps)
    kept = range(n_steps - 10, n_steps - 3)
    assert set(np.flatnonzero(counts)) == set(kept)
    assert np.abs(counts[list(kept)] / 30_000 - 1 / 7).max() < 0.02
    assert set(np.unique(drawn.action[0, :, 0] // 100)) == {0, 1, 2}


def test_a_sequence_longer_than_what_is_kept_is_refused() -> None:
    with pytest.raises(ValueError, match="length must be <= 3, the steps of each env, got 4"):
        filled(3).draw(1, 4, np.random.default_rng(0))


def test_it_goes_on_from_a_state() -> None:
    one, other = filled(17), filled(2)
    other.set_state(one.get_state())
    for replay in (one, other):
        replay.add(step(17))
    ours, theirs = (replay.draw(50, 3, np.random.default_rng(1)) for replay in (one, other))
    for name, part in ours._asdict().items():
        assert_array_equal(part, getattr(theirs, name), err_msg=name)
