"""The filter is Bayes' rule over all paths of regimes, and fitting it finds the chain that windows were drawn from."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch as th
from numpy.testing import assert_allclose, assert_array_equal

from envs.core.arrays import FloatArray
from envs.core.validation import SettingError
from hierarchy.nets.belief import Belief
from hierarchy.nets.hidden_markov import Chain, expectation, fitted
from hierarchy.nets.window_memory import MemoryForm, Recall, fit_with

CHAIN = Chain(
    first=np.array([0.5, 0.3, 0.2]),
    moves=np.array([[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.3, 0.1, 0.6]]),
    mean=np.array([[0.0, 1.0], [1.0, -1.0], [2.5, 0.5]]),
    var=np.array([[0.3, 0.2], [0.5, 0.1], [0.2, 0.6]]),
)
COLUMNS = [1, 3]
N_FEATURES = 5


def drawn(chain: Chain, n: int, n_windows: int, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """Measurements ``(n, T, F)`` and the regimes ``(n, T)`` that they come from."""
    rng = np.random.default_rng(seed)
    regimes = np.zeros((n, n_windows), int)
    for row in regimes:
        row[0] = rng.choice(len(chain.first), p=chain.first)
        for t in range(1, n_windows):
            row[t] = rng.choice(len(chain.first), p=chain.moves[row[t - 1]])
    return rng.normal(chain.mean[regimes], np.sqrt(chain.var[regimes])), regimes


def belief_of(chain: Chain) -> Belief:
    memory = Belief(MemoryForm("belief", N_FEATURES, len(chain.first), COLUMNS))
    fit_with(memory, chain._asdict())
    return memory


def windows_of(measured: FloatArray, seed: int = 1) -> np.ndarray:
    """Observations ``(T + 1, n, N_FEATURES)`` that hold them, the first of no window; the rest says nothing."""
    n, n_windows, _ = measured.shape
    windows = np.random.default_rng(seed).normal(size=(n_windows + 1, n, N_FEATURES)).astype(np.float32)
    windows[1:, :, COLUMNS] = measured.swapaxes(0, 1)
    return windows


def over_all_paths(chain: Chain, measured: FloatArray) -> FloatArray:
    """Probability of every regime in the window after ``measured (T, F)``, by Bayes over all paths, one by one."""
    n_regimes, total = len(chain.first), np.zeros(len(chain.first))
    for path in itertools.product(range(n_regimes), repeat=len(measured) + 1):
        probability = chain.first[path[0]]
        for before, after in itertools.pairwise(path):
            probability *= chain.moves[before, after]
        for regime, row in zip(path, measured, strict=False):
            spread = np.sqrt(2 * np.pi * chain.var[regime])
            probability *= np.prod(np.exp(-0.5 * (row - chain.mean[regime]) ** 2 / chain.var[regime]) / spread)
        total[path[-1]] += probability
    return total / total.sum()


def test_it_is_bayes_over_all_paths() -> None:
    measured, _ = drawn(CHAIN, 4, 6)
    recall, windows = Recall(belief_of(CHAIN), 4), windows_of(measured)
    for t, window in enumerate(windows):
        observed = recall.observe(window)
        rounded = windows[1 : t + 1][:, :, COLUMNS].astype(np.float64)
        for env in range(4):
            assert_allclose(observed[env, N_FEATURES:], over_all_paths(CHAIN, rounded[:, env]), atol=1e-6)
        assert_array_equal(observed[:, :N_FEATURES], window)


def test_probabilities_sum_to_one_however_unlikely_what_is_measured() -> None:
    """Far from all regimes, where no likelihood is above 0 in any number, and after that all is as before."""
    memory = belief_of(CHAIN)
    recall = Recall(memory, 2)
    windows = windows_of(np.array([[[1e6, -1e6], [0.0, 1.0]], [[-300.0, 300.0], [2.5, 0.5]]]))
    for window in windows:
        belief = recall.observe(window)[:, N_FEATURES:]
        assert_allclose(belief.sum(-1), 1.0, rtol=1e-6)
        assert (belief > 0).all()
    assert_array_equal(belief.argmax(-1), [0, 2])


def test_where_an_episode_begins_nothing_is_known_and_others_go_on() -> None:
    measured, _ = drawn(CHAIN, 3, 8)
    windows, again = windows_of(measured), windows_of(measured)[:3]
    recall, other = Recall(belief_of(CHAIN), 3), Recall(belief_of(CHAIN), 3)
    for window in windows[:5]:
        recall.observe(window)
        other.observe(window)
    recall.reset(np.array([False, True, False]))
    for window, begun in zip(windows[5:8], again, strict=True):
        mixed = window.copy()
        mixed[1] = begun[1]
        found, kept = recall.observe(mixed), other.observe(window)
        assert_array_equal(found[[0, 2]], kept[[0, 2]])
        fresh = found[1]
    alone = Recall(belief_of(CHAIN), 1)
    for begun in again:
        expected = alone.observe(begun[1:2])
    assert_array_equal(fresh, expected[0])


def test_one_env_alone_is_as_in_a_batch_to_the_bit() -> None:
    measured, _ = drawn(CHAIN, 37, 20)
    together = Recall(belief_of(CHAIN), 37)
    alone = [Recall(belief_of(CHAIN), 1) for _ in range(37)]
    for window in windows_of(measured):
        found = together.observe(window)
        for env, one in enumerate(alone):
            assert_array_equal(one.observe(window[env : env + 1])[0], found[env])


def test_only_what_is_in_the_mask_is_taken_in() -> None:
    measured, _ = drawn(CHAIN, 2, 3)
    recall, other = Recall(belief_of(CHAIN), 2), Recall(belief_of(CHAIN), 2)
    first, second, third, _ = windows_of(measured)
    for one in (recall, other):
        one.observe(first)
        one.observe(second)
    recall.observe(third, np.array([False, True]))
    before = recall.get_state()["remembered"]
    assert_array_equal(before[0], other.get_state()["remembered"][0])
    assert (before[1] != other.get_state()["remembered"][1]).any()


def test_a_filter_that_is_not_fitted_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^memory must be fitted before anything is remembered$"):
        Recall(Belief(MemoryForm("belief", 3, 2, [0])), 1).observe(np.zeros((1, 3), np.float32))


def test_fitting_finds_the_chain_that_windows_were_drawn_from() -> None:
    measured, regimes = drawn(CHAIN, 200, 100)
    found = fitted(measured, 3, seed=0)
    assert_allclose(found.moves.sum(-1), 1.0)
    assert_allclose(found.moves, CHAIN.moves, atol=0.03)
    assert_allclose(found.mean, CHAIN.mean, atol=0.03)
    assert_allclose(found.var, CHAIN.var, atol=0.03)
    assert_allclose(found.first, CHAIN.first, atol=0.1)
    expected = expectation(found, measured)
    right = (expected.regimes.argmax(-1) == regimes).mean()
    assert right > 0.95, right


def test_expectation_is_that_over_all_paths() -> None:
    """Forwards and backwards: each regime of each window, each move, and the likelihood, over the paths of three windows."""
    measured, _ = drawn(CHAIN, 1, 3)
    found = expectation(CHAIN, measured)
    regimes, moves, likelihood = np.zeros((3, 3)), np.zeros((3, 3)), 0.0
    density = np.exp(CHAIN.log_likelihood(measured[0]))
    for path in itertools.product(range(3), repeat=3):
        steps = list(itertools.pairwise(path))
        weight = CHAIN.first[path[0]] * np.prod([CHAIN.moves[step] for step in steps])
        weight *= np.prod(density[np.arange(3), path])
        likelihood += weight
        regimes[np.arange(3), path] += weight
        for step in steps:
            moves[step] += weight
    assert_allclose(found.regimes[0], regimes / likelihood)
    assert_allclose(found.moves, moves / likelihood)
    assert found.log_likelihood == pytest.approx(np.log(likelihood) / 3)


def test_fitting_is_the_same_again_and_makes_windows_likelier_than_clusters_do() -> None:
    measured, _ = drawn(CHAIN, 10, 40)
    one, same = (fitted(measured, 3, seed=0) for _ in range(2))
    for name in Chain._fields:
        assert_array_equal(getattr(one, name), getattr(same, name))
    assert expectation(one, measured).log_likelihood >= expectation(CHAIN, measured).log_likelihood


def test_too_few_windows_are_refused() -> None:
    with pytest.raises(SettingError, match=r"^n_regimes must be <= 1, the windows that differ, got 2$"):
        fitted(np.ones((3, 4, 2)), 2, seed=0)


def test_windows_that_hardly_differ_have_some_spread_all_the_same() -> None:
    measured = np.repeat([[[0.0], [1.0], [0.0], [1.0]]], 5, axis=0)
    found = fitted(measured, 2, seed=0)
    assert (found.var > 0).all()
    belief = Belief(MemoryForm("belief", 1, 2, [0]))
    belief.fit(measured.astype(np.float32), 0)
    recall = Recall(belief, 1)
    recall.observe(np.zeros((1, 1), np.float32))
    assert recall.observe(np.ones((1, 1), np.float32))[0, 1] > 0.9, "after 1 comes 0"
    assert belief.moves.dtype == th.float64
