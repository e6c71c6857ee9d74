"""Figures of training: what was set goes to the term that the context put first, and to the context of that very step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import envs
from envs import SparkConfig
from envs.core.context import ContextSampling
from hierarchy.arms import flat
from hierarchy.building import lower
from hierarchy.config import ExperimentConfig
from hierarchy.lower.figures import RolloutFigures
from hierarchy.protocols import Observer
from hierarchy.sb3.watching import ObserverCallback
from hierarchy.vec_env import BatchVecEnv

TERMS = ("cost", "latency", "throughput")


class Kept(Observer):
    """An observer that keeps all it is given."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.metrics: list[tuple[int, dict[str, float]]] = []

    def on_step(self, n_steps: int) -> None:
        self.steps.append(n_steps)

    def on_metrics(self, values: Mapping[str, float], n_steps: int) -> None:
        self.metrics.append((n_steps, dict(values)))


def watching(kind: Callable[[Any], ObserverCallback], env: Any) -> tuple[ObserverCallback, Kept]:
    """A callback in the middle of training over ``env``, and what observes through it."""
    kept = Kept()
    callback = kind([kept])
    callback.init_callback(SimpleNamespace(get_env=lambda: env, num_timesteps=1, logger=SimpleNamespace(name_to_value={})))
    callback.on_training_start({}, {})
    return callback, kept


def test_what_is_set_is_recorded_by_the_term_that_its_context_puts_first() -> None:
    env = BatchVecEnv(envs.make(SparkConfig(episode_steps=7), 6, 3, sampling=ContextSampling(switch_probability=0.5)))
    callback, kept = watching(partial(RolloutFigures, contextual=True), env)
    env.reset()
    rng = np.random.default_rng(0)
    expected: dict[str, list[int]] = {name: [] for name in TERMS}
    for _ in range(40):
        before = env.batch.context.copy()
        executors = rng.integers(1, 21, 6)
        env.step(executors - 1)
        callback.on_step()
        for env_id in range(6):
            expected[TERMS[before[env_id].argmax()]].append(int(executors[env_id]))
    callback.on_rollout_end()
    for name in TERMS:
        assert kept.metrics[0][1][f"setting/{name}_first"] == pytest.approx(np.mean(expected[name]))


def test_a_term_that_no_context_puts_first_keeps_its_last_mean() -> None:
    env = BatchVecEnv(envs.make(SparkConfig(), 2, 3))
    callback, kept = watching(partial(RolloutFigures, contextual=True), env)
    env.reset()
    for first, executors in ((0, 4), (1, 16)):
        env.batch.set_context(np.eye(3)[first])
        env.step(np.full(2, executors - 1))
        callback.on_step()
        callback.on_rollout_end()
    (_, one), (_, other) = kept.metrics
    assert [one[f"setting/{name}_first"] for name in TERMS] == [4.0, 4.0, 4.0]
    assert [other[f"setting/{name}_first"] for name in TERMS] == [4.0, 16.0, 4.0]


def test_an_observer_is_shown_every_step_and_the_figures_of_every_rollout(tiny_config: ExperimentConfig) -> None:
    one, other = Kept(), Kept()
    learner = lower.build(tiny_config)
    learner.learn(tiny_config.lower.timesteps, one, other)
    assert one.steps == other.steps == list(range(2, 65, 2))
    assert [n_steps for n_steps, _ in one.metrics] == [32, 64]
    terms = [f"reward/{name}" for name in ("fairness", "latency", "cost")]
    assert {*terms, "lower/steps_per_s", "setting/cost_first"} <= one.metrics[0][1].keys()
    assert {"lower/loss", "lower/approx_kl", "lower/explained_variance"} <= one.metrics[1][1].keys(), "of the first update"


def test_steps_go_on_where_training_goes_on(tiny_config: ExperimentConfig) -> None:
    learner, kept = lower.build(tiny_config), Kept()
    for expected in (32, 64):
        learner.learn(32, kept)
        assert learner.n_steps == kept.steps[-1] == expected


def test_an_agent_with_one_task_records_its_reward_as_the_env_gave_it(untracked_config: ExperimentConfig) -> None:
    kept, learner = Kept(), flat.build(untracked_config)
    learner.learn(64, kept)
    assert [list(values) for _, values in kept.metrics] == [["flat/objective"]] * 2
    assert abs(kept.metrics[0][1]["flat/objective"]) < 1.0, "in $/h, not in units of its spread"
