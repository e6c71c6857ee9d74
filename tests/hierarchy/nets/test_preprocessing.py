"""What is done to observations and rewards in training is what stock wrappers do, and what acting does afterwards."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit
from numpy.testing import assert_allclose, assert_array_equal
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecNormalize

import envs
from envs import SparkConfig
from envs.faces.registration import make_single
from hierarchy import experiment
from hierarchy.arms import flat
from hierarchy.building import lower, upper
from hierarchy.config import ExperimentConfig
from hierarchy.experiment import Experiment
from hierarchy.lower.ppo_learner import preprocessed
from hierarchy.nets.context_kinds import ContextKinds
from hierarchy.nets.preprocessed_env import CLIP_SCALED_REWARD, PreprocessedVecEnv, RewardScale
from hierarchy.nets.preprocessing import Preprocessing, Preprocessor
from hierarchy.pair import Held, Pair
from hierarchy.sb3.learner import SB3Learner
from hierarchy.tracking.progress import Silent
from hierarchy.upper.meta_env import run_window
from hierarchy.vec_env import ArrayVecEnv, BatchVecEnv

N_TERMS, HISTORY, BOUND, GAMMA = 3, 3, 0.25, 0.9
ALL_THREE = {"normalise_observations": True, "clip_reward": BOUND, "history": HISTORY}


def lower_with(config: ExperimentConfig, **settings: Any) -> ExperimentConfig:
    return dataclasses.replace(config, lower=dataclasses.replace(config.lower, **settings))


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


SPACE = spaces.Box(-np.inf, np.inf, (5,), np.float32)
ENDS = [{5}, {7, 8, 12}, {12}]


class Rewarding(Scripted):
    """With rewards."""

    def step_wait(self) -> Any:
        observations, _, done, infos = super().step_wait()
        return observations, self._rng.normal(2.0, 3.0, self.num_envs).astype(np.float32), done, infos


# In training.


@pytest.mark.parametrize("history", [1, 2, HISTORY])
@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("bound", [None, BOUND])
def test_an_agent_observes_and_is_rewarded_as_by_stock_wrappers(history: int, normalise: bool, bound: float | None) -> None:
    """To the last bit, terminal observations included."""
    scale = None if bound is None else RewardScale(3, GAMMA, bound)
    ours: VecEnv = PreprocessedVecEnv(Rewarding(SPACE, ENDS), Preprocessing(0, history, normalise), scale)
    stock: VecEnv = VecNormalize(
        Rewarding(SPACE, ENDS), norm_obs=normalise, norm_reward=bound is not None, clip_reward=bound or 1.0, gamma=GAMMA
    )
    stock = VecFrameStack(stock, history) if history > 1 else stock
    assert_array_equal(ours.reset(), stock.reset())
    assert ours.observation_space.shape == stock.observation_space.shape
    n_ends = 0
    for _ in range(20):
        found, expected = ours.step(np.zeros(3, int)), stock.step(np.zeros(3, int))
        for one, other in zip(found[:3], expected[:3], strict=True):
            assert_array_equal(one, other)
        for env in np.flatnonzero(found[2]):
            n_ends += 1
            assert_array_equal(found[3][env]["terminal_observation"], expected[3][env]["terminal_observation"])
    assert n_ends == 5


def test_rewards_under_contexts_of_a_kind_have_a_scale_of_their_own() -> None:
    """That of returns under them alone, as if nothing else had been met; without terms there is one scale for all."""
    rng, n_envs = np.random.default_rng(0), 4
    contexts = np.repeat(np.eye(3)[[0, 2]], 2, axis=0)
    loud = np.array([1.0, 1.0, 50.0, 50.0], np.float32)
    by_kind, alone, as_one = RewardScale(n_envs, GAMMA, 1e6, 3), RewardScale(2, GAMMA, 1e6), RewardScale(n_envs, GAMMA, 1e6)
    for _ in range(40):
        rewards = rng.normal(size=n_envs).astype(np.float32)
        done = rng.random(n_envs) < 0.1
        found = by_kind.scale(loud * rewards, done, contexts)
        assert_array_equal(found[:2], alone.scale(rewards[:2], done[:2], contexts[:2]))
        mixed = as_one.scale(loud * rewards, done, contexts)
    assert np.abs(mixed[:2]).max() < 0.1 * np.abs(found[:2]).max()
    assert by_kind.get_moments()["count"].sum() == pytest.approx(40 * n_envs, abs=0.01)


def test_the_context_is_left_as_it_is() -> None:
    raw = Rewarding(SPACE, ENDS)
    ours = PreprocessedVecEnv(Rewarding(SPACE, ENDS), Preprocessing(2, 1, True), None)
    assert_array_equal(ours.reset()[:, -2:], raw.reset()[:, -2:])
    for _ in range(10):
        found, expected = ours.step(np.zeros(3, int))[0], raw.step(np.zeros(3, int))[0]
        assert_array_equal(found[:, -2:], expected[:, -2:])
        assert (found[:, :-2] != expected[:, :-2]).all()


def test_moments_are_those_of_everything_observed() -> None:
    env, raw = PreprocessedVecEnv(Rewarding(SPACE, ENDS), Preprocessing(1, 1, True), None), Rewarding(SPACE, ENDS)
    env.reset()
    rows = [raw.reset()]
    for _ in range(100):
        env.step(np.zeros(3, int))
        rows.append(raw.step(np.zeros(3, int))[0])
    world, state = np.concatenate(rows)[:, :-1].astype(np.float64), env.get_moments()["observations"]
    assert_allclose(state["mean"][:-1], world.mean(0), rtol=1e-4)
    assert_allclose(state["var"][:-1], world.var(0), rtol=1e-3)
    assert (state["mean"][-1], state["var"][-1]) == (0.0, 1.0)


def test_training_goes_on_from_its_moments_to_the_last_bit() -> None:
    one, other = (
        PreprocessedVecEnv(Rewarding(SPACE, ENDS), Preprocessing(1, 2, True), RewardScale(3, GAMMA, BOUND)) for _ in range(2)
    )
    one.reset()
    for _ in range(10):
        one.step(np.zeros(3, int))
    other.venv = one.venv  # the same world from here on, with the same draws
    other.set_moments(one.get_moments())
    state = one.venv._rng.bit_generator.state
    first = one.reset(), one.step(np.zeros(3, int))
    one.venv._rng.bit_generator.state = state
    one.venv._n_steps -= 1
    again = other.reset(), other.step(np.zeros(3, int))
    assert_array_equal(again[0], first[0])
    for found, expected in zip(again[1][:3], first[1][:3], strict=True):
        assert_array_equal(found, expected)


# In acting.


@pytest.fixture(scope="module", params=["load_balancing", "spark"])
def config(request: Any, untracked_config: ExperimentConfig) -> ExperimentConfig:
    if request.param == "load_balancing":
        return lower_with(untracked_config, **ALL_THREE)
    spark = SparkConfig(form="extended", actions="all", max_change=3, episode_steps=16)
    return lower_with(dataclasses.replace(untracked_config, env=spark), **ALL_THREE)


@pytest.fixture(scope="module")
def learner(config: ExperimentConfig) -> SB3Learner:
    """Trained for a moment."""
    found = lower.build(config)
    found.learn(config.lower.timesteps)
    return found


def stepped(env: VecEnv, n_steps: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Observations and where an episode starts, under random actions."""
    env.action_space.seed(0)
    yield env.reset(), np.ones(env.num_envs, bool)
    for _ in range(n_steps):
        observations, _, done, _ = env.step(np.array([env.action_space.sample() for _ in range(env.num_envs)]))
        yield observations, done


def test_the_policy_acts_with_the_moments_that_its_last_rollout_ended_with(learner: SB3Learner) -> None:
    moments, trained = learner.agent.policy.normaliser.get_state(), learner.agent.get_env().get_moments()["observations"]
    for name, value in trained.items():
        assert_array_equal(moments[name], value)
    assert moments["count"] > 64
    assert (moments["mean"][:-N_TERMS] != 0).any()


@pytest.mark.parametrize("history", [1, 2, HISTORY])
def test_acting_observes_what_a_frame_stack_shows(learner: SB3Learner, history: int) -> None:
    """Step by step, and across resets of one env, of the others, and of all."""
    normaliser = learner.agent.policy.normaliser
    n_features = len(normaliser.mean)
    space = spaces.Box(-np.inf, np.inf, (n_features,), np.float32)
    raw, stacked = Scripted(space, ENDS), VecFrameStack(Scripted(space, ENDS), history)
    acting = Preprocessor(Preprocessing(N_TERMS, history, True), 3, n_features, normaliser)
    expected = stacked.reset()
    for observations, starts in stepped(raw, 20):
        found = acting.observe(observations, starts)
        rows = [normaliser.normalise(row) for row in np.split(expected, history, axis=1)]
        present = np.repeat([(row != 0).any(axis=1) for row in np.split(expected, history, axis=1)], n_features, axis=0)
        assert_array_equal(found, np.where(present.T, np.concatenate(rows, axis=1), 0.0))
        expected = stacked.step(np.zeros(3, int))[0]


def test_what_is_far_from_anything_observed_is_held_as_in_training(learner: SB3Learner) -> None:
    normaliser = learner.agent.policy.normaliser
    far = np.full((1, len(normaliser.mean)), 1e6, np.float32)
    far[:, ::2] *= -1
    assert_array_equal(np.abs(normaliser.normalise(far)), 10.0)


def test_moments_are_frozen_in_evaluation(learner: SB3Learner, config: ExperimentConfig) -> None:
    before = {name: value.clone() for name, value in learner.agent.policy.state_dict().items()}
    simulation = upper.simulation(config, "evaluate", [0, 1], N_TERMS)
    held = Held(np.eye(N_TERMS)[0])
    pair = Pair(simulation.world, learner.actor.start(2), held, config.upper.meta_period)
    simulation.reset()
    pair.reset()
    for held.context in np.eye(N_TERMS):
        run_window(simulation, pair, config.upper.meta_period)
    assert {"normaliser.mean", "normaliser.var", "normaliser.count"} <= before.keys()
    for name, value in learner.agent.policy.state_dict().items():
        assert_array_equal(value, before[name], err_msg=name)


# Settings.


def rewards(config: ExperimentConfig, **settings: Any) -> tuple[VecEnv, np.ndarray]:
    """A preprocessed world, and its rewards of 50 steps."""
    batch = envs.make(config.env, 2, 3)
    lower = dataclasses.replace(config.lower, **settings)
    env = preprocessed(lower, lower.gamma, BatchVecEnv(batch), contextual=True)
    env.reset()
    rng = np.random.default_rng(0)
    return env, np.array([env.step(rng.integers(0, 3, (2, 4)))[1] for _ in range(50)])


def test_a_clipped_reward_is_scaled_and_held_within_its_bound(untracked_config: ExperimentConfig) -> None:
    plain, raw = rewards(untracked_config)
    assert isinstance(plain, BatchVecEnv)
    clipped = {bound: rewards(untracked_config, clip_reward=bound)[1] for bound in (BOUND, 1e6)}
    assert np.abs(clipped[BOUND]).max() == BOUND
    assert_array_equal(clipped[BOUND], np.clip(clipped[1e6], -BOUND, BOUND))
    assert_array_equal(np.sign(clipped[1e6]), np.sign(raw))
    assert not np.allclose(clipped[1e6], raw)


def test_normalising_observations_alone_leaves_rewards(untracked_config: ExperimentConfig) -> None:
    assert_array_equal(rewards(untracked_config, normalise_observations=True)[1], rewards(untracked_config)[1])


@pytest.mark.parametrize(("bound", "expected"), [(BOUND, BOUND), (None, CLIP_SCALED_REWARD)])
def test_an_agent_with_one_task_has_the_bound_or_the_usual_one(
    untracked_config: ExperimentConfig, bound: float | None, expected: float
) -> None:
    env = flat.build(lower_with(untracked_config, clip_reward=bound)).agent.get_env()
    assert env.reward_scale.bound == expected


def test_an_agent_with_many_tasks_has_a_scale_for_each_kind(untracked_config: ExperimentConfig) -> None:
    config = lower_with(untracked_config, clip_reward=BOUND)
    several, one = (build(config).agent.get_env().reward_scale for build in (lower.build, flat.build))
    assert len(several.get_moments()["mean"]) == len(ContextKinds(3)) == 10
    assert len(one.get_moments()["mean"]) == 1


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
    assert {name for name, arm in first["arms"].items() if arm} >= {"fixed_best", "flat"}
    for name, arm in first["arms"].items():
        assert again["arms"][name] == arm, name
