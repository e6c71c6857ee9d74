"""A team is an env of TorchRL's, and goes the way that it goes without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch as th
from numpy.testing import assert_array_equal
from torchrl.envs.utils import check_env_specs

import envs
from envs.core.team import TeamEnv
from envs.core.team_batch import BatchTeam
from envs.games import Climbing, Pricing, make
from envs.load_balancing.config import Actions, BalancersConfig, LoadBalancingConfig
from hierarchy.team.torchrl_env import TeamTorchEnv
from tests.hierarchy.team.worlds import Cue, Levels

BALANCERS = LoadBalancingConfig(balancers=BalancersConfig(n=2), episode_steps=4)
WORLDS: dict[str, Callable[[], TeamEnv]] = {
    "discrete": lambda: make(Climbing(), 3),
    "multi_discrete": lambda: Levels(3),
    "box": lambda: make(Pricing(), 3),
    "episodes": lambda: Cue(3),
    "balancers": lambda: BatchTeam(envs.make(BALANCERS, 3)),
    "balancers, numbers": lambda: BatchTeam(envs.make(replace(BALANCERS, actions=Actions(mode="weights")), 3)),
}


@pytest.mark.parametrize("name", WORLDS)
def test_specifications_are_those_of_what_comes(name: str) -> None:
    check_env_specs(TeamTorchEnv(WORLDS[name]()), seed=0, break_when_any_done="both")


def test_shapes_are_those_of_the_batch_and_of_its_agents() -> None:
    env = TeamTorchEnv(Cue(3))
    rollout = env.rollout(2)
    assert rollout.shape == (3, 2)
    assert rollout["agents", "observation"].shape == (3, 2, 2, 2)
    assert rollout["next", "agents", "reward"].shape == (3, 2, 2, 1)
    assert rollout["next", "state"].shape == (3, 2, 3)
    assert rollout["next", "done"].shape == (3, 2, 1)


def test_a_rollout_is_that_of_the_batch_itself() -> None:
    """Episodes of three steps, begun anew as TorchRL does, observe and earn what they do without it."""
    rollout = TeamTorchEnv(Cue(4), seed=5).rollout(7, break_when_any_done=False)
    env = Cue(4)
    observation, state = env.reset(5), env.state()
    for at in range(7):
        assert_array_equal(rollout["agents", "observation"][:, at], observation)
        assert_array_equal(rollout["state"][:, at], state)
        led_to = env.step(rollout["agents", "action"][:, at].numpy())
        assert_array_equal(rollout["next", "agents", "reward"][:, at, :, 0], led_to.reward)
        assert_array_equal(rollout["next", "terminated"][:, at, 0], led_to.terminated)
        assert_array_equal(rollout["next", "agents", "observation"][:, at], led_to.observation)
        observation, state = led_to.observation, env.state()
        if led_to.terminated.any():
            observation, state = env.reset(mask=led_to.terminated), env.state()


def test_a_seed_begins_all_anew() -> None:
    env = TeamTorchEnv(Cue(16), seed=5)
    first = env.reset()["state"]
    env.set_seed(6)
    other = env.reset()["state"]
    env.set_seed(5)
    assert (first != other).any()
    assert th.equal(env.reset()["state"], first)
    assert np.isfinite(first.numpy()).all()
