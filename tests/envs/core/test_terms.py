"""Arithmetic on reward terms is arithmetic on what they say, and a running sum counts an env's own episode."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from numpy.testing import assert_array_equal

from envs.core.batch import BatchEnv
from envs.core.dynamics import Dynamics, Transition
from envs.core.terms import RewardTerm, reward_term
from envs.core.world import World

N_ENVS = 3
ALL = np.ones(N_ENVS, np.bool_)


class Counter(Dynamics):
    """Env `i` counts its steps since the reset and ends after `ends[i]` of them."""

    def __init__(self, ends: tuple[int, ...] = (100, 100, 100)) -> None:
        super().__init__(range(N_ENVS), 0, "train")
        self.ends = np.array(ends)
        self.x = np.zeros(N_ENVS)
        self.y = np.zeros(N_ENVS)

    @property
    def action_space(self) -> spaces.Discrete:
        return spaces.Discrete(2)

    def reset_dynamics(self, mask: np.ndarray) -> Transition:
        return self._to(np.where(mask, 0.0, self.x))

    def step_dynamics(self, action: np.ndarray, running: np.ndarray) -> Transition:
        return self._to(self.x + running)

    def _to(self, x: np.ndarray) -> Transition:
        self.x, self.y = x, 2.0 + 3.0 * x + np.arange(N_ENVS)
        return Transition(terminated=self.x >= self.ends)


class Blind:
    """Shows nothing."""

    carries_action_set = False
    space = spaces.Box(0.0, 1.0, (0,), np.float32)

    def before_reset(self, dynamics: Counter, mask: np.ndarray) -> None: ...

    def extract(self, dynamics: Counter, moved: np.ndarray) -> np.ndarray:
        return np.zeros((N_ENVS, 0), np.float32)


@reward_term
def x(dynamics: Counter) -> np.ndarray:
    return dynamics.x


@reward_term
def y(dynamics: Counter) -> np.ndarray:
    return dynamics.y


def counter() -> Counter:
    found = Counter()
    found._to(np.array([0.5, -0.5, 4.0]))
    return found


def batch_of(*terms: RewardTerm, ends: tuple[int, ...] = (100, 100, 100)) -> BatchEnv:
    named = {f"term {i}": term for i, term in enumerate(terms)}
    return BatchEnv(World(Counter(ends), Blind(), named), 1000)  # type: ignore[arg-type]


def said(batch: BatchEnv, n_steps: int) -> np.ndarray:
    """The terms of every step, ``(n_steps, n_envs, n_terms)``."""
    return np.array([-batch.step(np.zeros(N_ENVS, int))[-1]["reward_vector"] for _ in range(n_steps)])


# Arithmetic.


@pytest.mark.parametrize(
    "operation", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow], ids=lambda one: one.__name__
)
def test_an_operation_on_terms_and_numbers_is_that_on_their_values(operation: Callable[[Any, Any], Any]) -> None:
    dynamics = counter()
    values = dynamics.y, dynamics.x
    assert_array_equal(operation(y, x).extract(dynamics, ALL), operation(*values))
    assert_array_equal(operation(y, 3).extract(dynamics, ALL), operation(values[0], 3))
    if operation is not operator.pow:
        assert_array_equal(operation(3, y).extract(dynamics, ALL), operation(3, values[0]))
        assert_array_equal(operation(np.float64(3), y).extract(dynamics, ALL), operation(3, values[0]))


def test_a_term_has_a_sign() -> None:
    dynamics = counter()
    assert_array_equal((-x).extract(dynamics, ALL), [-0.5, 0.5, -4.0])
    assert_array_equal(abs(x).extract(dynamics, ALL), [0.5, 0.5, 4.0])


def test_operations_bind_as_they_do_for_numbers() -> None:
    def formula(a: Any, b: Any) -> Any:
        return -a + 2 * b**2 / 4 - (a - 1) * abs(-b) / (1 - a) - a - b

    dynamics = counter()
    assert_array_equal(formula(x, y).extract(dynamics, ALL), formula(dynamics.x, dynamics.y))


def test_a_function_is_a_term_and_a_term_stays_what_it_is() -> None:
    dynamics = counter()
    assert_array_equal(reward_term(lambda world: world.y).extract(dynamics, ALL), dynamics.y)
    assert reward_term(x) is x


def test_a_combined_term_is_asked_anew_every_time() -> None:
    dynamics = counter()
    total = x + y
    before = total.extract(dynamics, ALL)
    dynamics._to(dynamics.x + 1)
    assert_array_equal(total.extract(dynamics, ALL), before + 4)


# Running sums.


def test_a_sum_begins_with_what_the_reset_leads_to() -> None:
    batch = batch_of(y, y.cumulative())
    batch.reset()
    first = batch.reset_info()["reward_terms"]
    assert first["term 1"].tolist() == first["term 0"].tolist() == [2.0, 3.0, 4.0]
    steps = said(batch, 5)
    assert_array_equal(steps[..., 1], np.add(steps[..., 0].cumsum(0), first["term 0"]))


def test_a_reset_of_some_envs_begins_their_sums_anew_and_adds_nothing_to_the_others() -> None:
    batch = batch_of(x.cumulative(), y.cumulative())
    batch.reset()
    before = said(batch, 4)[-1]
    assert before[:, 0].tolist() == [10.0] * 3
    batch.reset(mask=np.array([False, True, False]))
    after = said(batch, 1)[0]
    assert after[:, 0].tolist() == [15.0, 1.0, 15.0]
    assert after[1, 1] == 3.0 + 6.0
    assert_array_equal(after[[0, 2], 1], before[[0, 2], 1] + [17.0, 19.0])


def test_the_sum_of_an_env_that_ended_stands_still() -> None:
    batch = batch_of(x.cumulative(), ends=(2, 100, 4))
    kept = batch._terms[0]
    batch.reset()
    said(batch, 6)
    assert kept.extract(batch.world.dynamics, np.zeros(N_ENVS, np.bool_)).tolist() == [3.0, 21.0, 10.0]
    assert said(batch, 1)[0, :, 0].tolist() == [0.0, 28.0, 0.0]


def test_sums_stay_sums_inside_arithmetic_and_sums() -> None:
    batch = batch_of(2 * x.cumulative() - y, (x - 1).cumulative(), x.cumulative().cumulative())
    for _ in range(2):
        batch.reset()
        steps = np.arange(1.0, 5.0)
        found = said(batch, 4)
        for env in range(N_ENVS):
            assert_array_equal(found[:, env, 0], 2 * steps.cumsum() - (2 + 3 * steps + env))
            assert_array_equal(found[:, env, 1], (steps - 1).cumsum() - 1)
            assert_array_equal(found[:, env, 2], steps.cumsum().cumsum())


def test_a_sum_may_stand_twice_in_a_formula() -> None:
    total = x.cumulative()
    batch = batch_of(total * total)
    batch.reset()
    assert said(batch, 3)[:, 0, 0].tolist() == [1.0, 9.0, 36.0]


def test_what_a_sum_says_is_a_copy() -> None:
    dynamics, total = counter(), x.cumulative()
    total.before_reset(dynamics, ALL)
    total.extract(dynamics, ALL)[:] = 99.0
    assert total.extract(dynamics, ~ALL).tolist() == [0.5, -0.5, 4.0]


def test_two_batches_of_the_same_terms_share_nothing() -> None:
    total = x.cumulative()
    one, other = batch_of(total, total), batch_of(total)
    one.reset()
    said(one, 3)
    other.reset()
    assert said(other, 2)[-1, :, 0].tolist() == [3.0] * 3
    assert said(one, 1)[0].tolist() == [[10.0, 10.0]] * 3


def test_the_penalty_may_be_a_sum_and_comes_off() -> None:
    batch = BatchEnv(World(Counter(), Blind(), {"y": y}, penalty=0.5 * x.cumulative()), 1000)  # type: ignore[arg-type]
    batch.reset()
    rewards = [batch.step(np.zeros(N_ENVS, int))[1] for _ in range(3)]
    assert_array_equal(rewards, [-(2 + 3 * n + np.arange(3)) - 0.5 * n * (n + 1) / 2 for n in (1, 2, 3)])
