"""Actions are tried in branched futures: what is found is what they gain, with the same luck for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch as th
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs.core.arrays import BoolArray, FloatArray, FloatArray32, IntArray
from envs.core.context import ContextSampling
from envs.core.futures import branch
from envs.load_balancing.config import Actions, LoadBalancingConfig
from hierarchy.nets.advantages import Advantages
from hierarchy.warm_start import branching
from hierarchy.warm_start.branching import Branching, Effort, Place, Tried
from hierarchy.warm_start.lower import BatchPlace

WORTH = np.array([0.0, 3.0, -1.0, 0.5, 2.0])
"""Of an action while it is taken; the nominal one is the second."""
NOMINAL = 1


class Known:
    """A place where an action is worth what it is worth, whatever came before, and luck is added."""

    n_envs, n_actions, nominal, steps_per_action = 6, len(WORTH), NOMINAL, 4

    def __init__(self, n_envs: int = 6) -> None:
        self.n_envs = n_envs
        self.luck: FloatArray = np.zeros(n_envs)
        self.n_steps = 0
        self.total: FloatArray = np.zeros(n_envs)

    def reset(self, mask: BoolArray | None = None) -> FloatArray32:
        return np.ones((self.n_envs, 2), np.float32)

    def step(self, actions: IntArray) -> tuple[FloatArray32, BoolArray]:
        self.total = self.total + WORTH[actions] + self.luck
        self.n_steps += 1
        return self.reset(), np.zeros(self.n_envs, np.bool_)

    def branch(self, into: Place, rows: IntArray, futures: Sequence[int], seed: int) -> None:
        assert isinstance(into, Known)
        into.luck = np.array([hash((future, seed)) % 1000 for future in futures], float)
        into.n_steps, into.total = 0, np.zeros(into.n_envs)

    def worth(self) -> FloatArray:
        mean = self.total / self.n_steps
        return np.stack([mean, 10.0 * mean], axis=1)


def effort_of(n_moments: int = 9, tries: int = 3, ahead_steps: int = 4, policy: Advantages | None = None) -> Effort:
    return Effort(n_moments, 20, tries, ahead_steps, explore=0.3, seed=2, number=0, policy=policy)


def run(effort: Effort) -> Tried:
    place = Known()
    return Branching(place, Known(place.n_envs * (effort.tries + 1)), effort).run()


def test_a_gain_is_what_an_action_is_worth_above_the_nominal_one() -> None:
    """To the bit, however much luck there is: both have the same. An action is followed by the nominal one here."""
    once = run(effort_of())
    assert_allclose(once.gains[..., 0], WORTH[once.actions] - WORTH[NOMINAL])
    assert_allclose(once.objective, 10.0 * once.gains[..., 0])
    tried = run(effort_of(ahead_steps=16))
    assert_allclose(tried.gains[..., 0], (WORTH[tried.actions] - WORTH[NOMINAL]) / 4)


@pytest.mark.parametrize("n_moments", [1, 9, 50])
def test_of_every_env_at_every_moment_each_time_with_other_actions(n_moments: int) -> None:
    tried = run(effort_of(n_moments))
    assert tried.observations.shape == (6 * n_moments, 2)
    assert tried.actions.shape == (6 * n_moments, 3)
    assert (tried.actions != NOMINAL).all()
    assert (np.diff(np.sort(tried.actions, axis=1)) > 0).all()


class Clocked(Known):
    """Observes how many decisions there were."""

    n_decisions = 0

    def reset(self, mask: BoolArray | None = None) -> FloatArray32:
        return np.full((self.n_envs, 2), self.n_decisions, np.float32)

    def step(self, actions: IntArray) -> tuple[FloatArray32, BoolArray]:
        self.n_decisions += 1
        return super().step(actions)


@pytest.mark.parametrize(("n_moments", "n_decisions"), [(5, 20), (7, 20), (40, 20), (1, 1)])
def test_moments_are_spread_over_a_whole_episode(n_moments: int, n_decisions: int) -> None:
    effort = effort_of(n_moments)._replace(n_decisions=n_decisions)
    place = Clocked()
    at = Branching(place, Known(24), effort).run().observations[::6, 0]
    stretch = n_decisions / n_moments
    assert ((at > np.arange(n_moments) * stretch - 1) & (at < (np.arange(n_moments) + 1) * stretch)).all()
    assert place.n_decisions == n_decisions


def test_what_is_held_to_be_best_is_tried_oftener_and_all_now_and_then() -> None:
    policy = Advantages(2, len(WORTH), NOMINAL, 0, weighted=False, n_errors=0.0)
    *_, (_, bias) = policy.layers()
    with th.no_grad():
        bias.copy_(th.tensor([0.0, 0.0, 1.0, 0.0, 0.1]).expand_as(bias))
    shares = np.bincount(run(effort_of(500, tries=1, policy=policy)).actions[:, 0], minlength=len(WORTH)) / 3000
    assert shares.argmax() == 2
    assert shares[2] > 0.5
    assert (shares[[0, 3]] > 0.02).all()
    assert (np.bincount(run(effort_of(500, tries=1)).actions[:, 0]) > 3000 / 4 * 0.85)[[0, 2, 3, 4]].all()


GUIDED = LoadBalancingConfig(actions=Actions(mode="guided", every_steps=5), dt_s=1.0, episode_steps=2**30)


def places(contextual: bool, n_futures: int) -> tuple[BatchPlace, BatchPlace]:
    batch = envs.make(GUIDED, 3, 4, "train", ContextSampling() if contextual else None)
    met, followed = BatchPlace(batch, contextual), BatchPlace(envs.make(GUIDED, n_futures, 4, "train"), contextual)
    for place in (met, followed):
        place.reset()
    for _ in range(6):
        met.step(np.zeros(3, np.int64))
    return met, followed


def worth(met: BatchPlace, followed: BatchPlace, futures: list[int], actions: list[int]) -> FloatArray:
    """Of actions followed from the second env for 20 s."""
    met.branch(followed, np.ones(len(futures), np.int64), futures, seed=1)
    for _ in range(4):
        followed.step(np.array(actions))
    return followed.worth()


@pytest.mark.parametrize("contextual", [True, False])
def test_futures_of_one_name_are_the_same_and_those_of_others_are_not(contextual: bool) -> None:
    met, followed = places(contextual, 4)
    before = met.batch.simulation.get_state()["elapsed"].copy()
    first = worth(met, followed, [7, 7, 8, 7], [0, 0, 0, 16])
    assert first.shape == (4, 4 if contextual else 2)
    assert_array_equal(first[0], first[1])
    assert (first[0] != first[2]).any()
    assert (first[0] != first[3]).any()
    assert_array_equal(worth(met, followed, [7, 7, 8, 7], [0, 0, 0, 16]), first), "and anew"
    assert_array_equal(met.batch.simulation.get_state()["elapsed"], before)


def test_what_is_measured_under_contexts_is_minus_the_terms_per_step() -> None:
    """All servers on cost more than the cheapest alone, and share the work less fairly; the context is that of the env."""
    met, followed = places(True, 2)
    of_all, of_one = worth(met, followed, [3, 3], [16, 1])[:, :3]
    assert of_all[2] < of_one[2] < 0
    assert_array_equal(followed.batch.context, met.batch.context[[1, 1]])
    alone, total = envs.make(GUIDED, 2, 4, "train"), np.zeros((2, 3))
    alone.reset()
    branch(met.batch, alone, np.ones(2, np.int64), [3, 3], 1)
    for _ in range(20):
        total += alone.step(np.array([[16], [1]]))[4]["reward_vector"]
    assert_allclose(total / 20, [of_all, of_one], rtol=1e-9)


def test_jobs_of_other_numbers_meet_other_luck(monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[int, set[int]] = {0: set(), 1: set()}
    usual = Known.branch
    for number, seen in names.items():

        def noted(
            self: Known, into: Place, rows: IntArray, futures: Sequence[int], seed: int, seen: set[int] = seen
        ) -> None:
            seen |= set(futures)
            usual(self, into, rows, futures, seed)

        monkeypatch.setattr(Known, "branch", noted)
        run(effort_of(30)._replace(number=number))
    assert not names[0] & names[1]
    assert min(names[0] | names[1]) >= branching.FIRST_FUTURE


def test_a_context_is_kept_in_a_future() -> None:
    """Whatever the chance of another one is on the way."""
    restless = replace(ContextSampling(), switch_probability=1.0)
    met = BatchPlace(envs.make(GUIDED, 2, 4, "train", restless), contextual=True)
    followed = BatchPlace(envs.make(GUIDED, 2, 4, "train"), contextual=True)
    met.reset()
    followed.reset()
    met.branch(followed, np.arange(2), [1, 2], 0)
    kept = followed.batch.context.copy()
    followed.step(np.zeros(2, np.int64))
    assert_array_equal(followed.batch.context, kept)
    met.step(np.zeros(2, np.int64))
    assert (met.batch.context != kept).any()
