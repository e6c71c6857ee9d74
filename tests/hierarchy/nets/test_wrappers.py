"""What is wrapped around a world in training is what the frozen agent does by itself afterwards."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit
from numpy.testing import assert_allclose, assert_array_equal
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecNormalize

import envs
from envs import SparkConfig
from envs.faces.registration import make_single
from hierarchy import experiment
from hierarchy.arms import flat
from hierarchy.config import ExperimentConfig
from hierarchy.experiment import Experiment
from hierarchy.lower import agent as lower
from hierarchy.lower.vec_env import ArrayVecEnv, BatchVecEnv
from hierarchy.nets.preprocessing import CLIP_SCALED_REWARD, wrapped
from hierarchy.nets.recurrent import FusedLstmPolicy
from hierarchy.tracking.progress import Silent
from hierarchy.upper import agent as upper

N_TERMS, HISTORY, BOUND = 3, 3, 0.25
ALL_THREE = {"normalise_observations": True, "clip_reward": BOUND, "history": HISTORY}


def lower_with(config: ExperimentConfig, **settings: Any) -> ExperimentConfig:
    return dataclasses.replace(config, lower=dataclasses.replace(config.lower, **settings))


def normaliser_of(agent: Any) -> VecNormalize:
    found = agent.get_vec_normalize_env()
    assert found is not None
    return found


def stepped(env: VecEnv, n_steps: int) -> Iterator[np.ndarray]:
    """Observations under random actions, one by one."""
    env.action_space.seed(0)
    yield env.reset()
    for _ in range(n_steps):
        yield env.step(np.array([env.action_space.sample() for _ in range(env.num_envs)]))[0]


def assert_same_but_for_rounding(found: np.ndarray, expected: np.ndarray, policy: FusedLstmPolicy) -> None:
    """Within 1e-6, and what single precision leaves of a mean that is large beside its spread."""
    n_stacked = found.shape[1] // len(policy.seen_mean)
    rounding = np.tile(1.2e-7 * (policy.seen_mean.abs() / policy.seen_std).numpy(), n_stacked)
    assert (np.abs(found - expected) <= 1e-6 * (1 + np.abs(expected)) + rounding).all()


@pytest.fixture(scope="module", params=["load_balancing", "spark"])
def config(request: Any, untracked_config: ExperimentConfig) -> ExperimentConfig:
    if request.param == "load_balancing":
        return lower_with(untracked_config, **ALL_THREE)
    spark = SparkConfig(form="extended", actions="all", max_change=3, episode_steps=16)
    return lower_with(dataclasses.replace(untracked_config, env=spark), **ALL_THREE)


@pytest.fixture(scope="module")
def agent(config: ExperimentConfig) -> Any:
    """Trained for a moment; the moments of its own world stay as they were then."""
    found = lower.build(config)
    found.learn(config.lower.timesteps)
    normaliser_of(found).training = False
    return found


# Observations.


def test_the_policy_sees_what_it_learned_from(agent: Any) -> None:
    policy, normaliser = lower.policy_of(agent), normaliser_of(agent)
    for normalised in stepped(normaliser, 20):
        raw = normaliser.get_original_obs()
        found = policy.as_seen(th.from_numpy(raw)).numpy()
        assert_same_but_for_rounding(found, normalised, policy)
        assert np.abs(found - raw).max() > 0.1


def test_what_is_far_from_anything_seen_is_held_as_in_training(agent: Any) -> None:
    policy, normaliser = lower.policy_of(agent), normaliser_of(agent)
    far = np.full((1, policy.unstacked_space().shape[0]), 1e6, np.float32)
    far[:, ::2] *= -1
    found = policy.as_seen(th.from_numpy(far)).numpy()
    assert_array_equal(found, normaliser.normalize_obs(far))
    assert_array_equal(np.abs(found), 10.0)


def test_moments_are_those_of_everything_seen_but_the_context_which_is_left_as_it_is(config: ExperimentConfig) -> None:
    agent = lower.build(lower_with(config, history=1))
    policy, normaliser, raw = lower.policy_of(agent), normaliser_of(agent), []
    for seen in stepped(normaliser, 100):
        raw.append(normaliser.get_original_obs())
        assert_allclose(seen[:, -N_TERMS:], raw[-1][:, -N_TERMS:], rtol=1e-6)
    assert np.ptp(np.concatenate(raw)[:, -N_TERMS:], axis=0).min() > 0.1, "contexts must differ for this to be a test"
    policy.remember(normaliser)
    world = np.concatenate(raw)[:, :-N_TERMS].astype(np.float64)
    assert_allclose(policy.seen_mean[:-N_TERMS], world.mean(0), rtol=1e-4, atol=1e-4)
    assert_allclose(policy.seen_std[:-N_TERMS], np.sqrt(world.var(0) + 1e-8), rtol=1e-3, atol=1e-3)
    found = policy.as_seen(th.from_numpy(raw[-1])).numpy()
    assert_array_equal(found[:, -N_TERMS:], raw[-1][:, -N_TERMS:])


def test_moments_are_saved_with_the_agent(agent: Any, tmp_path: Path) -> None:
    lower.save(agent, tmp_path / "lower.zip")
    before, after = lower.policy_of(agent), lower.policy_of(lower.load(tmp_path / "lower.zip"))
    for name in ("seen_mean", "seen_std"):
        assert_array_equal(getattr(after, name), getattr(before, name))
    assert (before.seen_mean != 0).any()
    assert (before.seen_std != 1).any()
    assert (after.history, after.normalised) == (HISTORY, True)


def test_moments_are_frozen_in_evaluation(agent: Any, config: ExperimentConfig) -> None:
    policy = lower.policy_of(agent)
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    moments = normaliser_of(agent).obs_rms.copy()
    windows = upper.windows(config, policy, "evaluate", [0, 1], 3)
    windows.reset()
    for mix in np.eye(N_TERMS):
        windows.run(np.tile(mix, (2, 1)), config.upper.meta_period)
    assert {"seen_mean", "seen_std"} <= before.keys()
    for name, value in policy.state_dict().items():
        assert_array_equal(value, before[name], err_msg=name)
    assert_array_equal(normaliser_of(agent).obs_rms.mean, moments.mean)


# History.


class Scripted(ArrayVecEnv):
    """Observations drawn at random; env `i` ends after the steps in ``ends[i]``."""

    def __init__(self, space: spaces.Box, ends: list[set[int]]) -> None:
        super().__init__(len(ends), space, spaces.Discrete(2))
        self._rng, self._ends, self._n_steps = np.random.default_rng(0), ends, 0

    def drawn(self) -> np.ndarray:
        return self._rng.uniform(0.0, 1.0, (self.num_envs, *self.observation_space.shape)).astype(np.float32)

    def reset(self) -> np.ndarray:
        return self.drawn()

    def step_wait(self) -> Any:
        self._n_steps += 1
        done = np.array([self._n_steps in ends for ends in self._ends])
        infos = [{"terminal_observation": row} if over else {} for row, over in zip(self.drawn(), done, strict=True)]
        return self.drawn(), np.zeros(self.num_envs, np.float32), done, infos


@pytest.mark.parametrize("history", [2, HISTORY])
def test_the_frozen_agent_sees_what_a_frame_stack_shows(
    config: ExperimentConfig, history: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step by step, and across resets of one env, of the others, and of all."""
    agent = lower.build(lower_with(config, history=history))
    policy, seen, act = lower.policy_of(agent), [], FusedLstmPolicy.step_actor
    assert len(list(stepped(normaliser_of(agent), 30))) == 31
    policy.remember(normaliser_of(agent))

    def watched(self: FusedLstmPolicy, observations: th.Tensor, *rest: Any) -> Any:
        seen.append(observations.numpy().copy())
        return act(self, observations, *rest)

    monkeypatch.setattr(FusedLstmPolicy, "step_actor", watched)
    space = spaces.Box(-np.inf, np.inf, policy.unstacked_space().shape, np.float32)
    normaliser = VecNormalize(Scripted(space, [{5}, {7, 8, 12}, {12}]), training=False, norm_reward=False)
    normaliser.obs_rms = normaliser_of(agent).obs_rms
    stack = VecFrameStack(normaliser, history)
    frozen, expected = lower.FrozenLower(policy, 3), stack.reset()
    for _ in range(20):
        frozen.act(normaliser.get_original_obs())
        assert seen[-1].shape == (3, history * space.shape[0])
        assert_same_but_for_rounding(seen[-1], expected, policy)
        expected, _, done, _ = stack.step(np.zeros(3, int))
        frozen.reset(done)
    frozen.reset()
    frozen.act(normaliser.get_original_obs())
    assert (seen[-1][:, : -space.shape[0]] == 0).all()


# Rewards.


def rewards(config: ExperimentConfig, **settings: Any) -> tuple[VecEnv, np.ndarray]:
    """A wrapped world, and what it pays for 50 steps."""
    batch = envs.make(config.env, 2, 3)
    env = wrapped(BatchVecEnv(batch), batch.n_terms, dataclasses.replace(config.lower, **settings))
    env.reset()
    rng = np.random.default_rng(0)
    return env, np.array([env.step(rng.integers(0, 3, (2, 2)))[1] for _ in range(50)])


def test_a_clipped_reward_is_scaled_and_held_within_its_bound(untracked_config: ExperimentConfig) -> None:
    plain, raw = rewards(untracked_config)
    assert isinstance(plain, BatchVecEnv)
    clipped = {bound: rewards(untracked_config, clip_reward=bound)[1] for bound in (BOUND, 1e6)}
    assert np.abs(clipped[BOUND]).max() == BOUND
    assert_array_equal(clipped[BOUND], np.clip(clipped[1e6], -BOUND, BOUND))
    assert_array_equal(np.sign(clipped[1e6]), np.sign(raw))
    assert not np.allclose(clipped[1e6], raw)


def test_clipping_rewards_alone_leaves_observations(untracked_config: ExperimentConfig) -> None:
    env, _ = rewards(untracked_config, clip_reward=BOUND)
    assert isinstance(env, VecNormalize)
    for seen in stepped(env, 5):
        assert_array_equal(seen, env.get_original_obs())


def test_normalising_observations_alone_leaves_rewards(untracked_config: ExperimentConfig) -> None:
    assert_array_equal(rewards(untracked_config, normalise_observations=True)[1], rewards(untracked_config)[1])


@pytest.mark.parametrize(("bound", "expected"), [(BOUND, BOUND), (None, CLIP_SCALED_REWARD)])
def test_the_agent_without_a_hierarchy_has_the_bound_or_the_usual_one(
    untracked_config: ExperimentConfig, bound: float | None, expected: float
) -> None:
    normaliser = normaliser_of(flat.build(lower_with(untracked_config, clip_reward=bound)))
    assert normaliser.norm_reward
    assert normaliser.clip_reward == expected


# Whole.


def test_gymnasiums_time_limit_cuts_an_episode_off(config: ExperimentConfig) -> None:
    env = TimeLimit(make_single(config.env), 5)
    for _ in range(2):
        env.reset(seed=0)
        ends = [env.step(env.action_space.sample())[2:4] for _ in range(5)]
        assert ends == [(False, False)] * 4 + [(False, True)]


def test_an_agent_with_all_of_them_trains_and_its_folder_can_be_ablated_again(
    config: ExperimentConfig, tmp_path: Path
) -> None:
    config = dataclasses.replace(config, ablation=dataclasses.replace(config.ablation, flat=True))
    runs = [Experiment(config, tmp_path / "one", "tiny", Silent()) for _ in range(2)]
    first, again = experiment.train(runs[0]), experiment.ablate(runs[1])
    assert {name for name, arm in first["arms"].items() if arm} >= {"td3", "fixed_best", "flat"}
    for name, arm in first["arms"].items():
        assert again["arms"][name] == arm, name
