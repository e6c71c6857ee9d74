"""The agents of a batch as a team: the rows of the batch, by env and agent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import envs
from envs.core.batch import BatchEnv
from envs.core.team_batch import BatchTeam
from envs.load_balancing.config import Actions, BalancersConfig, LoadBalancingConfig

CONFIG = LoadBalancingConfig(balancers=BalancersConfig(n=3, reward="own"), episode_steps=5)
MODES = [CONFIG, replace(CONFIG, actions=Actions(mode="weights"))]


def batch_of(config: LoadBalancingConfig, n_envs: int = 2) -> BatchEnv:
    return envs.make(config, n_envs, 3)


@pytest.mark.parametrize("config", MODES)
def test_it_is_the_batch_by_env_and_agent(config: LoadBalancingConfig) -> None:
    team, batch = BatchTeam(batch_of(config)), batch_of(config)
    team.spec.action_space.seed(0)
    assert team.spec.agents == ("balancer_0", "balancer_1", "balancer_2")
    np.testing.assert_array_equal(team.reset(seed=1).reshape(6, -1), batch.reset(seed=1))
    for step in range(1, 6):
        rows = np.stack([team.spec.action_space.sample() for _ in range(6)])
        made = team.step(rows.reshape(2, 3, -1))
        observation, reward, *_ = batch.step(rows)
        np.testing.assert_array_equal(made.observation.reshape(6, -1), observation)
        np.testing.assert_array_equal(team.observe(), made.observation)
        np.testing.assert_array_equal(made.reward.reshape(-1), reward)
        np.testing.assert_array_equal(team.state(), made.observation.reshape(2, -1))
        assert made.truncated.tolist() == [step == 5] * 2
        assert team.spec.observation_space.contains(made.observation[0, 0])
        assert team.spec.state_space.contains(team.state()[0])
    mask = np.array([False, True])
    began = team.reset(mask=mask)
    np.testing.assert_array_equal(began[0], made.observation[0])


def test_a_team_goes_on_from_a_state() -> None:
    team, other, rng = BatchTeam(batch_of(CONFIG)), BatchTeam(batch_of(CONFIG)), np.random.default_rng(0)
    team.reset(seed=1)
    actions = rng.integers(0, 5, (3, 2, 3, 8))
    team.step(actions[0])
    other.set_state(team.get_state())
    np.testing.assert_array_equal(other.observe(), team.observe())
    for action in actions[1:]:
        np.testing.assert_array_equal(other.step(action).observation, team.step(action).observation)


def test_actions_of_another_shape_are_refused() -> None:
    team = BatchTeam(batch_of(CONFIG))
    with pytest.raises(ValueError, match=r"^actions must have shape \(2, 3, 8\), got \(6, 8\)$"):
        team.step(np.zeros((6, 8), np.int64))
