"""The kernel computes what its report says: equal, to the last bit, to a reference that takes one plain step at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import envs
from envs.core.batch import BatchEnv
from envs.core.rng import ARRIVALS, streams
from envs.spark.config import SparkConfig

N_STEPS, ENV_IDS, SEED = 10_000, (4, 9), 3
RESET_PROBABILITY, LARGEST_PROBABILITY = 0.1, 0.3
ALL_BITS = 2**64 - 1
SIZES = {"base": (20, 8, 4), "extended": (20, 8, 4, 3)}
OBSERVED = ("workload", "volume", "cpu", "memory", "latency_ms", "cost_usd_per_h")
EXTENDED_OBSERVED = (*OBSERVED, "shuffle", "temperature", "announced", "burst")
MIXES = np.array([[0.2, 0.3, 0.5], [0.7, 0.3, 0.0]])


class Stream:
    """xoshiro256++ on Python's integers."""

    def __init__(self, words: np.ndarray) -> None:
        self.words = [int(word) for word in words]

    def uniform(self) -> float:
        s0, s1, s2, s3 = self.words
        total = (s0 + s3) & ALL_BITS
        bits = ((((total << 23) | (total >> 41)) & ALL_BITS) + s0) & ALL_BITS
        shifted = (s1 << 17) & ALL_BITS
        s2 ^= s0
        s3 ^= s1
        s1 ^= s2
        s0 ^= s3
        s2 ^= shifted
        s3 = ((s3 << 45) | (s3 >> 19)) & ALL_BITS
        self.words = [s0, s1, s2, s3]
        return (bits >> 11) / 2**53

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.uniform()


class Base:
    """One env of the base form.

    What the formulas leave open is the kernel's: the order of draws, 0.05 (n m) and not (0.05 n) m, terms scaled before
    they are weighted.
    """

    observed = OBSERVED

    def __init__(self, words: np.ndarray) -> None:
        self.stream = Stream(words)

    def forget(self) -> None:
        self.cpu = self.memory = self.latency_ms = self.cost_usd_per_h = self.throughput = self.misplaced = 0.0

    def reset(self) -> None:
        self.forget()
        self.draw()

    def draw(self) -> None:
        self.workload = self.stream.between(10, 500)
        self.volume = self.stream.between(10, 500)

    def step(self, n: int, m: int, tier: int, compression: int) -> None:
        r = n * m
        self.cost_usd_per_h = 0.1 * n + 0.05 * r + (0.10, 0.05, 0.01, 0.001)[tier]
        self.latency_ms = max(10, 100 * self.workload / r) * (1, 1.2, 1.5, 3)[tier]
        self.throughput = 100 * r / self.latency_ms
        self.fill(r)
        if self.stream.uniform() < 0.1:
            self.draw()

    def fill(self, r: int) -> None:
        self.cpu = min(100.0, 100 * self.workload / r)
        self.memory = min(100.0, 100 * self.volume / r)

    def observation(self) -> list[np.float32]:
        return [np.float32(getattr(self, name)) for name in self.observed]

    def sides(self) -> list[bool]:
        """Which bounds the last step met."""
        return [self.latency_ms == 10, self.cpu == 100, self.memory == 100]

    def reward(self, alpha: float, beta: float, gamma: float) -> float:
        cost, latency, throughput = self.cost_usd_per_h / 10, self.latency_ms / 1000, self.throughput / 1000
        return -(alpha * cost + beta * latency - gamma * throughput)


class Extended(Base):
    """One env of the extended form."""

    observed = EXTENDED_OBSERVED

    def reset(self) -> None:
        self.forget()
        self.workload = self.stream.between(10, 200)
        self.announce()

    def announce(self) -> None:
        self.volume = self.stream.between(10, 500)
        self.shuffle = self.volume * self.stream.between(0.1, 0.5)
        self.temperature = self.stream.uniform()
        if self.stream.uniform() < 0.2:
            self.burst = 1.0
            wanted = self.workload * self.stream.between(2.0, 4.0)
        else:
            self.burst = 0.0
            wanted = self.workload * self.stream.between(0.8, 1.2)
        if wanted < 10:
            wanted = 10.0
        if wanted > 900:
            wanted = 900.0
        self.announced = wanted

    def step(self, n: int, m: int, tier: int, compression: int) -> None:
        r = n * m
        stored = self.shuffle * (1, 0.6, 0.3)[compression]
        self.cost_usd_per_h = 0.1 * n + 0.05 * r + stored / 1024 * (0.10, 0.05, 0.02, 0.005)[tier]
        moving_ms = (5, 20, 100, 5000)[tier] * stored / 100
        unpacking_ms = (0, 10, 50)[compression] * self.shuffle / 100
        self.latency_ms = max(10, 100 * self.workload / r + moving_ms + unpacking_ms)
        self.throughput = 1000 * r / self.latency_ms
        self.misplaced = 1.0 if self.temperature > 0.7 and tier in (2, 3) else 0.0
        self.fill(r)
        self.workload = self.announced
        self.announce()

    def sides(self) -> list[bool]:
        light, heavy = self.announced == 10, self.announced == 900
        return [*super().sides(), light, heavy, self.burst == 1, self.misplaced == 1]

    def reward(self, alpha: float, beta: float, gamma: float) -> float:
        return super().reward(alpha, beta, gamma) - 0.5 * self.misplaced


REFERENCES: dict[str, type[Base]] = {"base": Base, "extended": Extended}


def pair(form: Any) -> tuple[BatchEnv, list[Base]]:
    """A batch with mixes of its own, and the reference of each of its envs."""
    batch = envs.make(SparkConfig(form=form, actions="all", episode_steps=10**9), len(ENV_IDS), SEED, env_ids=ENV_IDS)
    batch.set_context(MIXES)
    return batch, [REFERENCES[form](row) for row in streams(SEED, "train", ENV_IDS)[:, ARRIVALS]]


def assert_same(observation: np.ndarray, references: list[Base]) -> None:
    for row, one in zip(observation, references, strict=True):
        assert row[:-3].tolist() == one.observation()


def any_actions(rng: np.random.Generator, form: str) -> np.ndarray:
    """Of all choices; now and then the largest on the fastest tier, or else hardly any load would be light."""
    actions = rng.integers(0, SIZES[form], (len(ENV_IDS), len(SIZES[form])))
    actions[rng.random(len(ENV_IDS)) < LARGEST_PROBABILITY] = [19, 7, 0, 0][: len(SIZES[form])]
    return actions


@pytest.mark.parametrize("form", REFERENCES)
def test_ten_thousand_steps_with_resets_are_the_plain_computation(form: str) -> None:
    rng = np.random.default_rng(0)
    batch, references = pair(form)
    for one in references:
        one.reset()
    assert_same(batch.reset(), references)
    n_resets, sides = 0, []
    for _ in range(N_STEPS):
        actions = any_actions(rng, form)
        observation, reward, *_, info = batch.step(actions)
        for one, action in zip(references, actions.tolist(), strict=True):
            n, m, tier, *compression = action
            one.step(n + 1, m + 1, tier, *compression or [0])
        assert_same(observation, references)
        assert reward.tolist() == [one.reward(*mix) for one, mix in zip(references, MIXES.tolist(), strict=True)]
        for name, scale in (("cost", 10), ("latency", 1000), ("throughput", -1000)):
            figure = {"cost": "cost_usd_per_h", "latency": "latency_ms"}.get(name, name)
            assert info["reward_terms"][name].tolist() == [getattr(one, figure) / scale for one in references]
        sides += [one.sides() for one in references]
        begins = rng.random(len(ENV_IDS)) < RESET_PROBABILITY
        if begins.any():
            n_resets += 1
            for env in np.flatnonzero(begins):
                references[env].reset()
            assert_same(batch.reset(mask=begins), references)
    assert n_resets > 500
    assert np.ptp(np.array(sides, int), axis=0).all(), "every bound must be met and missed"


@pytest.mark.parametrize("form", REFERENCES)
def test_executors_alone_stand_for_8_gb_on_the_fastest_tier_without_compression(form: Any) -> None:
    one, every = (envs.make(SparkConfig(form=form, actions=choice), 3, SEED) for choice in ("executors", "all"))
    assert np.array_equal(one.reset(), every.reset())
    n_others = len(SIZES[form]) - 1
    for executors in np.random.default_rng(1).integers(0, 20, (300, 3)):
        others = np.tile([7, 0, 0][:n_others], (3, 1))
        found = one.step(executors)
        expected = every.step(np.column_stack([executors, others]))
        assert all(np.array_equal(x, y) for x, y in zip(found[:4], expected[:4], strict=True))
