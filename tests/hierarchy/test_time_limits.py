"""A time limit changes no reward: what still waits at a truncated end is valued by the learner, and is not charged too."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from envs.load_balancing.kernel.accounts import IN_FLIGHT
from hierarchy.arms import flat
from hierarchy.building import lower, upper
from hierarchy.config import ExperimentConfig
from hierarchy.protocols import Actor
from hierarchy.vec_env import BatchVecEnv

N_WINDOWS, N_STEPS = 3, 12  # before the shorter limit
LIMITS = (1, 5)
"""Lengths of an episode, in multiples of these."""
RNG = np.random.default_rng(0)
MIXES = RNG.uniform(-1.0, 1.0, (N_WINDOWS, 2, 3)).astype(np.float32)


def overloaded(config: ExperimentConfig, **settings: Any) -> ExperimentConfig:
    """More than the pool can do: requests wait at every instant."""
    workload = config.env.workload
    regimes = dataclasses.replace(workload.regimes, loads=[2.0, 3.0])
    env = dataclasses.replace(config.env, workload=dataclasses.replace(workload, regimes=regimes), **settings)
    return dataclasses.replace(config, env=env)


def run(env: Any, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    """Rewards of every step, and what was observed last, before a new episode began; infos of the end."""
    env.seed(5)
    env.reset()
    rewards = []
    for action in actions:
        observation, reward, done, infos = env.step(action)
        rewards.append(reward)
    last = np.stack([info["terminal_observation"] for info in infos]) if done.all() else observation
    return np.array(rewards), last, infos


def check_limit_changes_nothing(short: Any, long: Any, actions: np.ndarray) -> None:
    """Over the same past, an episode that is cut off is rewarded and observed as one that goes on."""
    rewards, last, infos = run(short, actions)
    expected, expected_last, others = run(long, actions)
    assert [info["TimeLimit.truncated"] for info in infos] == [True, True]
    assert others == [{}, {}]
    assert_array_equal(rewards, expected)
    assert_array_equal(last, expected_last)


def test_windows_of_the_upper_agent_are_rewarded_alike_with_and_without_a_limit(
    tiny_config: ExperimentConfig, policy: Actor
) -> None:
    config = overloaded(tiny_config)
    short, long = (
        upper.vec_env(
            dataclasses.replace(config, upper=dataclasses.replace(config.upper, episode_windows=n * N_WINDOWS)), policy
        )
        for n in LIMITS
    )
    check_limit_changes_nothing(short, long, MIXES)


@pytest.mark.parametrize("make", [flat.vec_env, lower.vec_env], ids=["flat", "lower"])
def test_steps_are_rewarded_alike_with_and_without_a_limit(tiny_config: ExperimentConfig, make: Any) -> None:
    short, long = (make(overloaded(tiny_config, episode_steps=n * N_STEPS)) for n in LIMITS)
    n_choices = len(short.action_space.nvec)
    actions = np.random.default_rng(0).integers(1, 4, (N_STEPS, 2, n_choices))
    if isinstance(short, BatchVecEnv):
        for env in (short, long):
            env.batch.set_context(np.full(3, 1 / 3))
    check_limit_changes_nothing(short, long, actions)


def test_a_meta_step_that_is_a_whole_episode_is_charged_for_what_still_waits(
    tiny_config: ExperimentConfig, policy: Actor
) -> None:
    """Nothing goes on after it, so what waits must not be free."""
    config = overloaded(tiny_config)
    config = dataclasses.replace(config, upper=dataclasses.replace(config.upper, meta_step="episode"))
    env = upper.vec_env(config, policy)
    run(env, MIXES[:1])
    statistics = env.simulation.statistics()
    counts = env.simulation.measurements.counts
    assert counts[..., IN_FLIGHT].any(), "something must wait for this to be a test"
    assert (statistics["late_share"] > unsettled(config, policy)["late_share"]).any()


def unsettled(config: ExperimentConfig, policy: Actor) -> dict[str, np.ndarray]:
    """Statistics of the same episode before what waits is counted."""
    env = upper.vec_env(config, policy)
    env.simulation.settles = False
    run(env, MIXES[:1])
    return env.simulation.statistics()
