"""What still waits when time is up is paid for once: by the value of what comes after it, or by settling."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from envs.load_balancing.kernel import accounts
from hierarchy.arms import flat
from hierarchy.building import upper
from hierarchy.config import ExperimentConfig
from hierarchy.upper.meta_env import MetaEnv

CONTEXTS = np.zeros((2, 3), np.float32)


def meta_env(config: ExperimentConfig, lower: Any, **settings: Any) -> MetaEnv:
    """Just reset, in a world where much waits."""
    env = config.env
    regimes = dataclasses.replace(env.workload.regimes, loads=[1.5])
    env = dataclasses.replace(env, workload=dataclasses.replace(env.workload, regimes=regimes))
    changed = dataclasses.replace(config, env=env, upper=dataclasses.replace(config.upper, **settings))
    found = upper.vec_env(changed, lower)
    found.seed(5)
    found.reset()
    return found


class Nominal:
    """A lower agent that always does the same."""

    def start(self, n_envs: int) -> Nominal:
        self.n_envs = n_envs
        return self

    def reset(self, mask: Any = None) -> None: ...

    def act(self, observation: np.ndarray) -> np.ndarray:
        return np.ones((self.n_envs, 4), int)


@pytest.mark.parametrize("window", [1, 2, 3])
def test_the_last_window_is_worth_what_it_is_worth_when_the_episode_goes_on(
    untracked_config: ExperimentConfig, window: int
) -> None:
    ending, going_on = (meta_env(untracked_config, Nominal(), episode_windows=n) for n in (window, window + 1))
    for n in range(window):
        _, reward, done, _ = ending.step(CONTEXTS)
        _, expected, more, _ = going_on.step(CONTEXTS)
        assert reward.tolist() == expected.tolist()
        assert done.all() == (n + 1 == window)
        assert not more.any()
    assert (going_on.simulation.measurements.counts[..., accounts.IN_FLIGHT].sum(-1) > 0).any()


def test_a_meta_step_that_is_a_whole_episode_is_settled(untracked_config: ExperimentConfig) -> None:
    env = meta_env(untracked_config, Nominal(), meta_step="episode")
    settled = env.step(CONTEXTS)[1]
    env = meta_env(untracked_config, Nominal(), meta_step="episode")
    env.simulation.settles = False
    assert (settled < env.step(CONTEXTS)[1]).all()


def test_the_agent_without_a_hierarchy_is_not_settled_either(untracked_config: ExperimentConfig) -> None:
    assert not flat.vec_env(untracked_config).batch.simulation.settles
