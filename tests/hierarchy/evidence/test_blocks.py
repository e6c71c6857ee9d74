"""On a recording, intervals are over its blocks, however many seeds replay it, and over luck in training beside them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hierarchy.evidence.blocks import N_BLOCKS, block_effects, blocks_of, summed
from hierarchy.evidence.statistics import comparison, estimate, gap_closed, interval, t_interval

POSITION = (np.arange(N_BLOCKS) + 0.5)[:, None] / N_BLOCKS


def normal(seed: int, n: int = N_BLOCKS) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n)


def over_blocks(sums: np.ndarray, counts: np.ndarray) -> list[float]:
    """The interval of a mean over windows."""
    return interval(float(sums.sum() / counts.sum()), block_effects(sums, counts))


def of_windows(values: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums and counts of a single training seed from its windows."""
    found = blocks_of(values, np.broadcast_to(position, values.shape))
    return np.array([found["sums"]]), np.array([found["counts"]])


def test_windows_are_counted_in_the_block_that_they_begin_in() -> None:
    found = blocks_of(np.array([[1.0, 2.0], [4.0, 8.0]]), np.array([[0.0, 0.04], [0.06, 0.9999]]))
    assert found["sums"] == [3.0, 4.0, *[0.0] * (N_BLOCKS - 3), 8.0]
    assert found["counts"] == [2.0, 1.0, *[0.0] * (N_BLOCKS - 3), 1.0]


def test_equal_blocks_of_one_training_seed_have_students_interval() -> None:
    assert over_blocks(*of_windows(normal(0)[:, None], POSITION)) == pytest.approx(t_interval(normal(0)))


def test_more_evaluation_seeds_of_the_same_recording_change_nothing() -> None:
    one, many = (over_blocks(*of_windows(np.tile(normal(0)[:, None], (1, n)), POSITION)) for n in (1, 50))
    assert many == pytest.approx(one)


def test_more_training_seeds_that_do_alike_change_nothing() -> None:
    sums, counts = of_windows(normal(0)[:, None], POSITION)
    assert over_blocks(np.repeat(sums, 10, 0), np.repeat(counts, 10, 0)) == pytest.approx(over_blocks(sums, counts))


def test_what_all_training_seeds_gain_in_some_blocks_only_has_a_wide_interval() -> None:
    """Means of training seeds differ by a thousandth of what blocks do."""
    luck = 1e-3 * normal(1, 10)[:, None]
    sums = np.tile(normal(0), (10, 1)) + luck
    low, high = over_blocks(sums, np.ones_like(sums))
    narrow = np.diff(t_interval(sums.mean(1)))[0]
    assert high - low == pytest.approx(np.diff(t_interval(normal(0)))[0], rel=1e-3)
    assert high - low > 100.0 * narrow


def test_luck_in_training_has_students_interval_where_blocks_are_alike() -> None:
    sums = np.repeat(normal(0, 4)[:, None], N_BLOCKS, 1)
    assert over_blocks(sums, np.ones_like(sums)) == pytest.approx(t_interval(normal(0, 4)))


def test_blocks_weigh_as_many_windows_as_they_hold() -> None:
    """Windows 1, 1, 1 in one block and 5 in another: a mean of 2, of which the blocks' shares are off by 1.5 each."""
    sums, counts = of_windows(np.array([[1.0, 1.0, 1.0, 5.0]]), np.array([[0.01, 0.02, 0.03, 0.99]]))
    half_width = stats.t.ppf(0.975, 1) * 1.5
    assert over_blocks(sums, counts) == pytest.approx([2.0 - half_width, 2.0 + half_width])


def test_without_spread_the_interval_is_the_mean() -> None:
    assert over_blocks(*of_windows(np.full((3, 2), 2.0), np.linspace(0.0, 0.99, 6).reshape(3, 2))) == [2.0, 2.0]


def test_a_single_block_has_no_interval() -> None:
    assert over_blocks(*of_windows(np.array([[1.0, 3.0]]), np.array([[0.501, 0.502]]))) == [2.0, 2.0]


@pytest.mark.parametrize(("n_training", "of_training"), [(1, 0.0), (3, 0.0), (3, 0.3), (10, 0.3)])
def test_the_interval_covers_the_mean(n_training: int, of_training: float) -> None:
    """Over recordings and lucks in training, with blocks that hold unequal numbers of windows."""
    n_samples, rng, n_covered = 2000, np.random.default_rng(n_training), 0
    for _ in range(n_samples):
        counts = rng.integers(3, 9, (n_training, N_BLOCKS)).astype(np.float64)
        luck = of_training * rng.normal(size=(n_training, 1))
        values = rng.normal(size=N_BLOCKS) + luck + 0.3 * rng.normal(size=(n_training, N_BLOCKS))
        low, high = over_blocks(counts * values, counts)
        n_covered += low <= 0.0 <= high
    assert 0.93 <= n_covered / n_samples <= 0.985


# In estimates.


def test_figures_of_episodes_stand_and_seeds_are_no_units_beside_blocks() -> None:
    """An objective that is no sum has another mean over windows than over episodes: the interval is about the second."""
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    effects = block_effects(np.tile(normal(0), (2, 1)), np.ones((2, N_BLOCKS)))
    half_width = np.diff(t_interval(normal(0)))[0] / 2
    for found, mean in (
        (estimate(values, effects), "mean"),
        (comparison(values + 1.0, np.ones((2, 2)), effects), "difference"),
    ):
        assert found[mean] == 2.5  # type: ignore[literal-required]
        assert found["ci95"] == pytest.approx([2.5 - half_width, 2.5 + half_width])
        assert found["bootstrap_ci95"] is None


def test_the_gap_closed_varies_with_blocks_too() -> None:
    """A single evaluation seed says nothing; blocks do, and how many seeds replay them doesn't matter."""
    gap = 2.0 + 0.5 * normal(0)
    gain = 0.5 * gap + 0.3 * normal(1)
    expected = gap_closed(gain[None], np.zeros((1, N_BLOCKS)), gap[None])
    assert expected is not None
    means = [np.full((n, 1), values.mean()) for n in (1, 10) for values in (gain, 0.0 * gain, gap)]
    for figures, n in ((means[:3], 1), (means[3:], 10)):
        sums = np.repeat(np.stack([gain, gap])[:, None], n, 1)
        found = gap_closed(*figures, effects=block_effects(sums, np.ones((n, N_BLOCKS))))
        assert found is not None
        assert [found["mean"], *found["ci95"]] == pytest.approx([expected["mean"], *expected["ci95"]])


def test_windows_of_training_seeds_are_summed_by_block() -> None:
    one = blocks_of(np.array([[1.0]]), np.array([[0.0]]))
    both = summed([one, one])
    assert both is not None
    assert (both["sums"][0], both["counts"][0]) == (2.0, 2.0)
    assert summed([None, None]) is None
