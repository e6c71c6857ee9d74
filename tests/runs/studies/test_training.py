"""An agent is evaluated while it trains, and what keeps it is called when it did best."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hierarchy.building import lower
from hierarchy.protocols import Observer
from runs.studies.training import Evaluations

N_ENVS = 4


class Steps:
    """A learner of which nothing is asked but its steps, each of which takes ``step_s``."""

    actor: Any = None
    begin_from: Any = None
    save: Any = None

    def __init__(self, n_steps: int = 0, step_s: float = 0.0) -> None:
        self.n_steps, self._step_s = n_steps, step_s

    def learn(self, n_steps: int, *observers: Observer) -> None:
        end = self.n_steps + n_steps
        while self.n_steps < end:
            time.sleep(self._step_s)
            self.n_steps += N_ENVS
            for observer in observers:
                observer.on_step(self.n_steps)


def test_evaluations_are_as_far_apart_as_asked_for_and_the_first_is_before_training() -> None:
    evaluations = Evaluations(lambda: 0.0, every=10)
    evaluations.train(Steps(), 40)
    assert evaluations.timesteps == [0, 12, 24, 36]


@pytest.mark.parametrize("untrained", [-3.0, 9.0])
def test_an_agent_is_kept_whenever_it_did_better_than_ever_since_it_was_trained(untrained: float) -> None:
    values = iter([untrained, -1.0, -2.0, -1.0, -0.5])
    learner, kept = Steps(), []
    evaluations = Evaluations(lambda: next(values), N_ENVS, lambda: kept.append(learner.n_steps))
    evaluations.train(learner, 4 * N_ENVS)
    assert kept == [N_ENVS, 4 * N_ENVS]
    assert evaluations.best == 4 * N_ENVS
    assert evaluations.values == [untrained, -1.0, -2.0, -1.0, -0.5]


def test_evaluations_are_counted_but_not_timed() -> None:
    step_s, slow_s = 0.01, 0.2

    def evaluate() -> float:
        time.sleep(slow_s)
        return 0.0

    evaluations = Evaluations(evaluate, N_ENVS)
    evaluations.train(Steps(step_s=step_s), 4 * N_ENVS)
    assert evaluations.seconds == sorted(evaluations.seconds)
    assert evaluations.seconds[0] == 0.0
    assert 4 * step_s <= evaluations.seconds[-1] < 4 * slow_s


def test_what_is_kept_acts_as_the_agent_did_then(tiny_config: Any) -> None:
    learner, best = lower.build(tiny_config), []
    (n_features,) = lower.vec_env(tiny_config).observation_space.shape or ()
    observation = np.random.default_rng(0).normal(size=(2, n_features)).astype(np.float32)
    values, acted = iter([-3.0, -1.0]), []

    def evaluate() -> float:
        acted.append(learner.actor.start(2).act(observation))
        return next(values, -5.0)

    Evaluations(evaluate, 32, lambda: best.append(learner.saved("best"))).train(learner, 96)
    assert len(acted) > 2
    assert_array_equal(tiny_config.lower.actor(best[-1]).start(2).act(observation), acted[1])
