"""An agent is evaluated while it trains, and the parameters that did best are kept."""

from __future__ import annotations

import itertools
import time
from typing import Any

from numpy.testing import assert_allclose

from hierarchy.lower import agent as lower
from runs.studies.training import Evaluations


def test_the_best_state_of_training_is_kept(tiny_config: Any) -> None:
    agent = lower.build(tiny_config)
    values = iter([-3.0, -1.0, -2.0, -4.0, *[-5.0] * 1000])
    states: list[Any] = []

    def evaluate() -> float:
        states.append({name: value.clone() for name, value in agent.policy.state_dict().items()})
        return next(values)

    evaluations = Evaluations(evaluate, tiny_config.lower.n_envs * tiny_config.lower.n_steps)
    agent.learn(4 * tiny_config.lower.n_envs * tiny_config.lower.n_steps, callback=evaluations)
    assert len(states) > 2
    for name, value in evaluations.best.items():
        assert_allclose(value, states[1][name])


def test_evaluations_are_counted_but_not_timed(tiny_config: Any) -> None:
    agent = lower.build(tiny_config)
    per_rollout = tiny_config.lower.n_envs * tiny_config.lower.n_steps
    slow_s = 0.2

    def evaluate() -> float:
        time.sleep(slow_s)
        return 0.0

    evaluations = Evaluations(evaluate, per_rollout)
    agent.learn(3 * per_rollout, callback=evaluations)
    assert evaluations.timesteps[0] == 0
    assert all(later - sooner >= per_rollout for sooner, later in itertools.pairwise(evaluations.timesteps))
    assert evaluations.seconds == sorted(evaluations.seconds)
    n = len(evaluations.timesteps)
    started_s = time.perf_counter()
    agent.learn(3 * per_rollout, callback=Evaluations(lambda: 0.0, per_rollout))
    assert evaluations.seconds[-1] < time.perf_counter() - started_s + (n - 1) * slow_s / 2
