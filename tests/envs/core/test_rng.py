from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from envs.core.rng import (
    CONTEXT,
    PURPOSES,
    ROLES,
    exponential,
    fill_normal,
    fill_uniform,
    integer,
    keyed_uniform,
    next_u64,
    streams,
    uniform,
)
from tests.envs.load_balancing.pools import standard_errors

ALL_BITS = 2**64 - 1


def rotate_left(x: int, k: int) -> int:
    return ((x << k) | (x >> (64 - k))) & ALL_BITS


def xoshiro256plusplus(state: list[int], n: int) -> list[int]:
    """The generator as its authors define it, on Python's integers."""
    s0, s1, s2, s3 = state
    out = []
    for _ in range(n):
        out.append((rotate_left((s0 + s3) & ALL_BITS, 23) + s0) & ALL_BITS)
        t = (s1 << 17) & ALL_BITS
        s2 ^= s0
        s3 ^= s1
        s1 ^= s2
        s0 ^= s3
        s2 ^= t
        s3 = rotate_left(s3, 45)
    return out


def one_stream(seed: int = 0) -> np.ndarray:
    return streams(seed, "train", [0])[0, 0]


def test_the_reference_gives_the_published_first_numbers() -> None:
    assert xoshiro256plusplus([1, 2, 3, 4], 4) == [41943041, 58720359, 3588806011781223, 3591011842654386]


@pytest.mark.parametrize("state", [[1, 2, 3, 4], [ALL_BITS, 0, 12345, 1 << 63], [int(word) for word in one_stream(7)]])
def test_the_bits_are_those_of_xoshiro256plusplus(state: list[int]) -> None:
    stream = np.array(state, np.uint64)
    assert [int(next_u64(stream)) for _ in range(1000)] == xoshiro256plusplus(state, 1000)


def test_a_uniform_is_the_upper_53_bits() -> None:
    bits = xoshiro256plusplus([int(word) for word in one_stream()], 100)
    stream = one_stream()
    assert [uniform(stream) for _ in range(100)] == [(word >> 11) / 2**53 for word in bits]


def test_the_same_key_gives_the_same_bits() -> None:
    assert np.array_equal(streams(5, "select", [2, 9]), streams(5, "select", [2, 9]))


def test_an_env_does_not_depend_on_its_batch() -> None:
    assert np.array_equal(streams(3, "train", [4, 1, 17])[2], streams(3, "train", [17])[0])
    rows = streams(3, "train", [4, 1])
    alone = rows[1:].copy()
    batch, single = np.empty((2, 50)), np.empty((1, 50))
    fill_uniform(rows[:, 0], batch)
    fill_uniform(alone[:, 0], single)
    assert np.array_equal(batch[1], single[0])


def test_no_two_keys_share_a_stream() -> None:
    """Neither states nor the numbers drawn first coincide, over many seeds, roles, envs and purposes."""
    seeds = [*range(40), 2**31, 2**32, 2**32 + 1, 2**63, 2**64, 2**100]
    keys = itertools.product(seeds, ROLES)
    states = np.concatenate([streams(seed, role, range(6)).reshape(-1, 4) for seed, role in keys])
    assert len(states) == len(seeds) * len(ROLES) * 6 * len(PURPOSES)
    assert len(np.unique(states)) == states.size
    drawn = [int(next_u64(state)) for state in states for _ in range(3)]
    assert len(set(drawn)) == len(drawn)


def test_drawing_for_one_purpose_moves_no_other() -> None:
    before = streams(0, "train", range(3))
    after = before.copy()
    fill_uniform(after[:, CONTEXT], np.empty((3, 10)))
    others = [purpose for purpose in range(len(PURPOSES)) if purpose != CONTEXT]
    assert np.array_equal(after[:, others], before[:, others])
    assert not np.array_equal(after[:, CONTEXT], before[:, CONTEXT])


def test_streams_of_two_seeds_are_not_correlated() -> None:
    rows = np.concatenate([streams(seed, "train", [0])[:, 0] for seed in range(20)])
    out = np.empty((20, 20_000))
    fill_uniform(rows, out)
    correlation = np.corrcoef(out)[np.triu_indices(20, 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(20_000)


def test_a_negative_seed_and_an_unknown_role_are_refused() -> None:
    with pytest.raises(ValueError, match="seed must be >= 0, got -1"):
        streams(-1, "train", [0])
    with pytest.raises(ValueError, match="role must be one of train, select, evaluate, got 'test'"):
        streams(0, "test", [0])  # type: ignore[arg-type]


def test_uniforms_are_uniform() -> None:
    out = np.empty((4, 100_000))
    fill_uniform(streams(0, "train", range(4))[:, 0], out)
    x = out.ravel()
    assert x.min() >= 0.0
    assert x.max() < 1.0
    for power in (1, 2, 3, 4):
        assert standard_errors(x**power, 1 / (power + 1)) < 4
    assert stats.kstest(x, "uniform").pvalue > 1e-4


def test_normals_have_the_moments_of_a_standard_normal() -> None:
    out = np.empty((4, 100_000))
    fill_normal(streams(1, "train", range(4))[:, 0], out)
    x = out.ravel()
    for power, moment in ((1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0)):
        assert standard_errors(x**power, moment) < 4
    assert stats.kstest(x, "norm").pvalue > 1e-4
    assert standard_errors(out[:, 1:].ravel() * out[:, :-1].ravel(), 0.0) < 4


def test_exponentials_have_the_moments_of_their_mean() -> None:
    stream = one_stream(2)
    x = np.array([exponential(stream, 0.25) for _ in range(200_000)])
    assert standard_errors(x, 0.25) < 4
    assert standard_errors(x**2, 2 * 0.25**2) < 4
    assert stats.kstest(x, stats.expon(scale=0.25).cdf).pvalue > 1e-4


@pytest.mark.parametrize("n", [1, 2, 7, 128])
def test_integers_are_uniform_below_n(n: int) -> None:
    stream = one_stream(3)
    drawn = np.bincount([integer(stream, n) for _ in range(20_000)], minlength=n)
    assert len(drawn) == n
    assert n == 1 or stats.chisquare(drawn).pvalue > 1e-4


# Draws by key.

GOLDEN = 0x9E3779B97F4A7C15


def splitmix64(seed: int, n: int) -> list[int]:
    """The generator of Steele, Lea and Flood, on Python's integers."""
    out = []
    for k in range(1, n + 1):
        z = (seed + k * GOLDEN) & ALL_BITS
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & ALL_BITS
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & ALL_BITS
        out.append(z ^ (z >> 31))
    return out


def keyed(key: int, numbers: range, draws: range) -> np.ndarray:
    """Draws ``(n_numbers, n_draws)`` of a key."""
    return np.array([[keyed_uniform(np.uint64(key), number, draw) for draw in draws] for number in numbers])


def test_the_reference_of_keyed_draws_gives_the_published_first_numbers() -> None:
    assert splitmix64(0, 3) == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


@pytest.mark.parametrize("key", [0, 1, 12345, ALL_BITS])
def test_a_number_draws_from_a_generator_of_its_own(key: int) -> None:
    """Its seed is the number's place in the generator of the key."""
    expected = [[word >> 11 for word in splitmix64(seed, 5)] for seed in splitmix64(key, 40)]
    assert (keyed(key, range(40), range(5)) * 2**53).astype(np.uint64).tolist() == expected


def test_keyed_draws_are_uniform_and_independent_over_numbers_draws_and_keys() -> None:
    of_numbers = keyed(7, range(20_000), range(2))
    for column in of_numbers.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    assert stats.kstest(keyed(7, range(1), range(20_000))[0], "uniform").pvalue > 1e-4
    of_keys = np.array([keyed_uniform(np.uint64(key), 3, 0) for key in range(20_000)])
    assert stats.kstest(of_keys, "uniform").pvalue > 1e-4
    rows = np.array([of_numbers[:-1, 0], of_numbers[1:, 0], of_numbers[:-1, 1], of_keys[:-1], of_keys[1:]])
    correlation = np.corrcoef(rows)[np.triu_indices(len(rows), 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(20_000)


def test_a_purpose_that_is_added_moves_no_other_stream() -> None:
    """A stream is keyed by the place of its purpose, so places stay."""
    before = ("arrivals", "regime", "failure", "dispatch", "reservoir", "context", "telemetry", "world")
    assert PURPOSES[: len(before)] == before
