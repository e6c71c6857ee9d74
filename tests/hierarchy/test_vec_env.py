"""A batch keeps the contracts of a Stable-Baselines3 `VecEnv`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnvWrapper, VecMonitor

from envs.core.batch import BatchEnv
from envs.core.dynamics import Dynamics, Transition
from envs.core.world import World
from hierarchy.vec_env import BatchVecEnv

N_STEPS = 5
MakeBatch = Callable[..., BatchEnv]


def random_actions(n_steps: int, n_envs: int = 2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, (n_steps, n_envs, 4))


def trajectory(env: BatchVecEnv, n_steps: int = 8) -> np.ndarray:
    """Observations from a reset on, under fixed actions."""
    return np.stack([env.reset(), *(env.step(action)[0] for action in random_actions(n_steps))])


def test_every_step_is_that_of_the_batch(batch_of: MakeBatch) -> None:
    env, batch = BatchVecEnv(batch_of()), batch_of()
    np.testing.assert_array_equal(env.reset(), batch.reset())
    for action in random_actions(N_STEPS - 1):
        observation, reward, done, infos = env.step(action)
        expected, expected_reward, _, _, info = batch.step(action)
        np.testing.assert_array_equal(observation, expected)
        np.testing.assert_array_equal(reward, expected_reward.astype(np.float32))
        np.testing.assert_array_equal(env.reward_terms["latency"], info["reward_terms"]["latency"])
        assert not done.any()
        assert infos == [{}, {}]


def test_terminal_observation_is_the_last_of_the_episode(batch_of: MakeBatch) -> None:
    env, batch = BatchVecEnv(batch_of()), batch_of()
    env.reset()
    batch.reset()
    for action in random_actions(N_STEPS):
        _, _, done, infos = env.step(action)
        last, *_ = batch.step(action)
    assert done.all()
    for row, info in zip(last, infos, strict=True):
        np.testing.assert_array_equal(info["terminal_observation"], row)
        assert info["TimeLimit.truncated"] is True


def test_the_step_that_ends_an_episode_returns_the_first_observation_of_the_next(batch_of: MakeBatch) -> None:
    env, batch = BatchVecEnv(batch_of()), batch_of()
    env.reset()
    batch.reset()
    for action in random_actions(N_STEPS):
        observation, *_ = env.step(action)
        batch.step(action)
    np.testing.assert_array_equal(observation, batch.reset())
    for action in random_actions(N_STEPS - 1):
        observation, _, done, _ = env.step(action)
        np.testing.assert_array_equal(observation, batch.step(action)[0])
        assert not done.any()


def test_only_the_env_that_ended_begins_anew(batch_of: MakeBatch) -> None:
    env, free = BatchVecEnv(batch_of()), batch_of(n_steps=100)
    env.reset()
    free.reset()
    env.batch.simulation.elapsed[1] = 2
    for action in random_actions(N_STEPS - 2):
        observation, _, done, infos = env.step(action)
        expected, *_ = free.step(action)
    assert done.tolist() == [False, True]
    assert infos[0] == {}
    np.testing.assert_array_equal(infos[1]["terminal_observation"], expected[1])
    np.testing.assert_array_equal(observation[0], expected[0])
    assert env.batch.simulation.elapsed.tolist() == [N_STEPS - 2, 0]


class Ending(Dynamics):
    """The first env ends with its first step, the second with its second."""

    action_space = spaces.Discrete(2)

    def __init__(self) -> None:
        super().__init__([0, 1], 0, "train")
        self.steps = np.zeros(2)

    def reset_dynamics(self, mask: np.ndarray) -> Transition:
        self.steps[mask] = 0
        return Transition()

    def step_dynamics(self, action: np.ndarray, running: np.ndarray) -> Transition:
        self.steps += running
        return Transition(self.steps > [0, 1])


class Steps:
    """Sees how many steps were taken."""

    carries_action_set = False
    space = spaces.Box(0.0, 9.0, (1,), np.float32)

    def before_reset(self, dynamics: Ending, mask: np.ndarray) -> None: ...

    def extract(self, dynamics: Ending, moved: np.ndarray) -> np.ndarray:
        return dynamics.steps[:, None].astype(np.float32)


def test_termination_is_not_called_a_time_limit_even_where_both_meet() -> None:
    env = BatchVecEnv(BatchEnv(World(Ending(), Steps(), {"steps": lambda dynamics: dynamics.steps}), episode_steps=2))
    env.reset()
    assert env.step(np.zeros(2))[2].tolist() == [True, False]
    observation, _, done, infos = env.step(np.zeros(2))
    assert done.all()
    assert [info["TimeLimit.truncated"] for info in infos] == [False, False]
    assert [info["terminal_observation"][0] for info in infos] == [1.0, 2.0]
    assert not observation[:, 0].any()


def test_seed_then_reset_reproduces(batch_of: MakeBatch) -> None:
    env = BatchVecEnv(batch_of())
    env.seed(11)
    first = trajectory(env)
    assert not np.array_equal(trajectory(env), first), "one seed must serve one reset"
    env.seed(11)
    np.testing.assert_array_equal(trajectory(env), first)
    env.seed(12)
    assert not np.array_equal(trajectory(env), first)


def test_seed_says_what_it_set_for_every_env(batch_of: MakeBatch) -> None:
    env = BatchVecEnv(batch_of())
    assert list(env.seed(5)) == [5, 5]
    drawn = list(env.seed())
    assert len(drawn) == 2
    assert all(isinstance(seed, int) for seed in drawn)


@pytest.mark.parametrize(("indices", "n"), [(None, 2), (1, 1), ([0, 1], 2), ([0], 1)])
def test_attributes_and_methods_answer_for_the_envs_asked(batch_of: MakeBatch, indices: Any, n: int) -> None:
    env = BatchVecEnv(batch_of())
    assert env.get_attr("batch", indices) == [env.batch] * n
    assert env.env_method("get_attr", "num_envs", indices=indices) == [[2, 2]] * n
    assert env.env_is_wrapped(VecEnvWrapper, indices) == [False] * n


def test_a_set_attribute_is_read_back(batch_of: MakeBatch) -> None:
    env = BatchVecEnv(batch_of())
    env.set_attr("note", 7)
    assert env.get_attr("note") == [7, 7]


def test_a_missing_attribute_is_an_error(batch_of: MakeBatch) -> None:
    env = BatchVecEnv(batch_of())
    with pytest.raises(AttributeError):
        env.get_attr("no_such_attribute")
    assert not env.has_attr("no_such_attribute")


def test_observations_rewards_and_dones_have_the_types_of_sb3(batch_of: MakeBatch) -> None:
    env = BatchVecEnv(batch_of())
    assert all(env.observation_space.contains(row) for row in env.reset())
    for action in random_actions(2 * N_STEPS):
        observation, reward, done, infos = env.step(action)
        assert all(env.observation_space.contains(row) for row in observation)
        assert (reward.shape, reward.dtype) == ((2,), np.float32)
        assert (done.shape, done.dtype) == ((2,), np.bool_)
        assert len(infos) == 2


def test_vec_monitor_reports_every_episode(batch_of: MakeBatch) -> None:
    env = VecMonitor(BatchVecEnv(batch_of()))
    env.reset()
    total = np.zeros(2)
    for action in random_actions(N_STEPS):
        _, reward, _, infos = env.step(action)
        total += reward
    assert [info["episode"]["l"] for info in infos] == [N_STEPS, N_STEPS]
    assert [info["episode"]["r"] for info in infos] == pytest.approx(total.tolist(), abs=1e-4)


def test_stock_ppo_learns_on_it(batch_of: MakeBatch) -> None:
    agent = PPO("MlpPolicy", VecMonitor(BatchVecEnv(batch_of())), n_steps=8, batch_size=8, n_epochs=1, seed=0, device="cpu")
    before = agent.policy.action_net.weight.detach().clone()
    agent.learn(32)
    assert agent.num_timesteps == 32
    assert (agent.policy.action_net.weight != before).any()
    assert len(agent.ep_info_buffer) == 6
