"""A batch in Stable-Baselines3's form is what its own vector envs make of single envs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from envs.core.context import ContextSampling
from envs.faces.registration import make_single
from hierarchy.vec_env import BatchVecEnv
from tests.envs.worlds import any_actions, batch_of, every_world, short

N_STEPS = 30


def compared(single: VecEnv, batch: BatchVecEnv, n_steps: int) -> None:
    """Single envs give what the batch gives, ends of episodes included."""
    assert np.array_equal(single.reset(), batch.reset())
    n_ends = 0
    for action in any_actions(batch.action_space, (n_steps, batch.num_envs)):
        (*found, infos), (*expected, wanted) = single.step(action), batch.step(action)
        assert all(np.array_equal(np.asarray(x, y.dtype), y) for x, y in zip(found, expected, strict=True))
        for info, other in zip(infos, wanted, strict=True):
            assert info.get("TimeLimit.truncated", False) == other.get("TimeLimit.truncated", False)
            if "terminal_observation" in other:
                n_ends += 1
                assert np.array_equal(info["terminal_observation"], other["terminal_observation"])
    assert n_ends >= batch.num_envs * (n_steps // batch.batch.simulation.episode_steps)


def makers(name: str, n_envs: int, episode_steps: int) -> list[Any]:
    config = short(name, episode_steps)
    return [lambda env_id=env_id: make_single(config, 5, env_id=env_id) for env_id in range(n_envs)]


@every_world
def test_single_envs_in_a_dummy_vec_env_are_the_batch(name: str) -> None:
    batch = batch_of(name, 3, 12, sampling=ContextSampling())
    compared(DummyVecEnv(makers(name, 3, 12)), BatchVecEnv(batch), N_STEPS)


@pytest.mark.parametrize("name", ["levels", "spark"])
def test_single_envs_in_processes_are_the_batch(name: str) -> None:
    processes = SubprocVecEnv(makers(name, 2, 12))
    try:
        compared(processes, BatchVecEnv(batch_of(name, 2, 12, sampling=ContextSampling())), N_STEPS)
    finally:
        processes.close()
