"""What training logs: what was set goes to the term that the context put first, and to the context of that very step."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hierarchy.tracking.callbacks import CORNER, LowerCallback, UpperCallback

import envs
from envs import SparkConfig
from envs.core.context import ContextSampling
from hierarchy.tracking.sinks import Nothing
from hierarchy.upper.meta_env import MetaEnv, Windows
from hierarchy.vec_env import BatchVecEnv

TERMS = ("cost", "latency", "throughput")


class Logged(Nothing):
    """Keeps metrics by step."""

    def __init__(self) -> None:
        self.values: list[dict[str, float]] = []
        self.done = 0

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        self.values.append(dict(values))

    def advance(self, n: int) -> None:
        self.done += n


def logging(kind: Any, env: Any, *arguments: Any) -> tuple[Any, list[dict[str, float]]]:
    """A callback in the middle of training over ``env``, and what it logs."""
    logged = Logged()
    callback = kind(logged, *arguments)
    callback.init_callback(SimpleNamespace(get_env=lambda: env, logger=None, num_timesteps=1))
    callback.on_training_start({}, {})
    return callback, logged.values


def test_what_is_set_is_logged_by_the_term_that_its_context_puts_first() -> None:
    env = BatchVecEnv(envs.make(SparkConfig(episode_steps=7), 6, 3, sampling=ContextSampling(switch_probability=0.5)))
    callback, logged = logging(LowerCallback, env, dict)
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
        assert logged[0][f"setting/{name}_first"] == pytest.approx(np.mean(expected[name]))


def test_a_term_that_no_context_puts_first_keeps_its_last_mean() -> None:
    env = BatchVecEnv(envs.make(SparkConfig(), 2, 3))
    callback, logged = logging(LowerCallback, env, dict)
    env.reset()
    for first, executors in ((0, 4), (1, 16)):
        env.batch.set_context(np.eye(3)[first])
        env.step(np.full(2, executors - 1))
        callback.on_step()
        callback.on_rollout_end()
    assert [logged[0][f"setting/{name}_first"] for name in TERMS] == [4.0, 4.0, 4.0]
    assert [logged[1][f"setting/{name}_first"] for name in TERMS] == [4.0, 16.0, 4.0]


def test_contexts_are_those_of_the_meta_step_also_at_the_end_of_an_episode(tiny_config: Any, scripted_lower: Any) -> None:
    batch = envs.make(tiny_config.env, 2)
    env = MetaEnv(Windows(batch, scripted_lower(2)), tiny_config.upper)
    callback, logged = logging(UpperCallback, env)
    env.reset()
    corner, edge = np.array([1.0, -1.0, -1.0]), np.array([1.0, 1.0, -1.0])
    for _ in range(tiny_config.upper.episode_windows):
        env.step(np.stack([corner, edge]))
        callback.on_step()
    for values in logged:
        weights = [values[f"context/{name}"] for name in batch.term_names]
        assert weights == pytest.approx([0.75, 0.25, 0.0], abs=2e-3)
        assert values["upper/corner_share"] == 0.5
    assert CORNER > 0.5


def test_the_last_update_is_logged_as_the_algorithm_says_it() -> None:
    env = BatchVecEnv(envs.make(SparkConfig(), 2, 3))
    callback, logged = logging(LowerCallback, env, lambda: {"value_loss": 0.25, "std": 2.0})
    env.reset()
    env.step(np.zeros(2, np.int64))
    callback.on_step()
    callback.on_rollout_end()
    assert (logged[0]["lower/value_loss"], logged[0]["lower/std"]) == (0.25, 2.0)
