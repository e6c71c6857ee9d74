"""What every world keeps to, in every example of its family: one entry in `worlds.EXAMPLES` adds a world to all of this."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from mo_gymnasium.wrappers import LinearReward
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

import envs
from envs.core.action_sets import choice_sizes
from envs.core.batch import BatchEnv
from envs.core.context import ContextSampling
from hierarchy.vec_env import BatchVecEnv
from tests.envs.worlds import EXAMPLES

N_STEPS = 30
SAMPLING = ContextSampling(switch_probability=0.1)

every_world = pytest.mark.parametrize("name", EXAMPLES)


def batch_of(name: str, n_envs: int = 3, episode_steps: int = 1000, **kwargs: Any) -> BatchEnv:
    return envs.make(short(name, episode_steps), n_envs, 5, **{"sampling": SAMPLING, **kwargs})


def short(name: str, episode_steps: int) -> Any:
    return replace(EXAMPLES[name], episode_steps=episode_steps)


def any_actions(space: spaces.Space[Any], shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Random actions ``(*shape, ...)``."""
    space.seed(seed)
    found = np.array([space.sample() for _ in range(int(np.prod(shape)))])
    return found.reshape(*shape, *(space.shape or ()))


def told(batch: BatchEnv, actions: np.ndarray) -> list[tuple[Any, ...]]:
    """What the steps of ``actions (n_steps, n_envs, ...)`` say."""
    return [batch.step(action)[:4] for action in actions]


def same(a: list[tuple[Any, ...]], b: list[tuple[Any, ...]]) -> bool:
    return all(np.array_equal(x, y) for one, other in zip(a, b, strict=True) for x, y in zip(one, other, strict=True))


@pytest.mark.filterwarnings("ignore:We recommend you to use a symmetric and normalized:UserWarning")
@every_world
def test_the_checkers_of_gymnasium_and_stable_baselines3_pass(name: str) -> None:
    check_env(envs.make_single(EXAMPLES[name]), skip_render_check=True)
    check_env_for_sb3(envs.make_single(EXAMPLES[name]))


class OwnWeights(LinearReward):
    """MO-Gymnasium 1.3 hands out one array of weights with every info, which Gymnasium 1.4's checker refuses."""

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, float(reward), terminated, truncated, {**info, "reward_weights": self.w.copy()}


@every_world
def test_the_reward_vector_is_a_multi_objective_env(name: str) -> None:
    weights = np.array([0.2, 0.5, 0.3], np.float32)
    vector, scalar = (envs.make_multi_objective(EXAMPLES[name], seed=2) for _ in range(2))
    linear = OwnWeights(scalar, weight=weights)
    check_env(linear, skip_render_check=True)
    vector.reset(seed=1)
    linear.reset(seed=1)
    for action in any_actions(vector.action_space, (10,)):
        reward, mixed = vector.step(action)[1], linear.step(action)[1]
        assert vector.reward_space.contains(reward)
        assert mixed == pytest.approx(reward @ weights)


@every_world
def test_the_same_seed_gives_the_same_bits_and_another_one_others(name: str) -> None:
    batch = batch_of(name)
    actions = any_actions(batch.action_space, (N_STEPS, 3))
    runs = []
    for seed in (1, 1, 2):
        first = batch.reset(seed)
        runs.append([(first,), *told(batch, actions)])
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


@every_world
def test_an_env_does_the_same_whatever_the_batch(name: str) -> None:
    many, one = batch_of(name, 4), batch_of(name, 1, env_ids=[2])
    actions = any_actions(many.action_space, (N_STEPS, 4))
    assert np.array_equal(many.reset()[2], one.reset()[0])
    many.reset(mask=np.array([True, False, False, True]))  # what others do is nothing to it
    for action in actions:
        found, alone = many.step(action), one.step(action[2:3])
        assert all(np.array_equal(x[2], y[0]) for x, y in zip(found[:4], alone[:4], strict=True))


@every_world
def test_a_snapshot_brings_everything_back(name: str) -> None:
    batch = batch_of(name, episode_steps=20)
    actions = any_actions(batch.action_space, (N_STEPS, 3))
    batch.reset()
    told(batch, actions[:10])
    kept = batch.snapshot()
    first, figures = told(batch, actions[10:]), batch.reports.statistics()
    for _ in range(2):
        batch.restore(kept)
        assert batch.elapsed.tolist() == [10, 10, 10]
        assert same(first, told(batch, actions[10:]))
        again = batch.reports.statistics()
        assert all(np.array_equal(figures[key], again[key]) for key in figures)


@every_world
def test_the_valid_actions_are_told_shown_and_kept_to(name: str) -> None:
    batch = batch_of(name)
    batch.reset()
    sizes = choice_sizes(batch.action_space)
    for action in any_actions(batch.action_space, (N_STEPS, 3)):
        valid = batch.action_set
        if valid is None:
            assert batch.reset_info()["action_set"] is None
            return
        assert valid.shape == (3, sum(sizes))
        start = np.cumsum([0, *sizes[:-1]])
        chosen = action.reshape(3, -1)
        allowed = np.take_along_axis(valid, start + chosen, axis=1).all(-1)
        info = batch.step(action)[-1]
        assert np.array_equal(info["action_set"], batch.action_set)
        assert info["projected"][~allowed].all()
        assert not info["projected"][allowed].any()


@every_world
def test_a_mask_is_in_the_observation_unless_that_tells_it_already(name: str) -> None:
    batch = batch_of(name)
    observation = batch.reset()
    if (
        batch.action_set is None
        or envs.FAMILIES[EXAMPLES[name].family]
        .world(EXAMPLES[name], [0], 0, "train")
        .observation_function.carries_action_set
    ):
        return
    n = batch.action_set.shape[1]
    assert np.array_equal(observation[:, -batch.n_terms - n : -batch.n_terms], batch.action_set)


@every_world
def test_the_reset_tells_the_reward_of_where_it_leads(name: str) -> None:
    batch = batch_of(name)
    batch.reset()
    info = batch.reset_info()
    assert tuple(info["reward_terms"]) == batch.term_names
    assert np.allclose(info["reward"], (batch.context * info["reward_vector"]).sum(-1))
    assert isinstance(envs.make_single(EXAMPLES[name]).reset(seed=0)[1]["reward"], float)


@every_world
def test_a_final_state_absorbs_with_reward_zero(name: str) -> None:
    batch = batch_of(name, episode_steps=7)
    actions = any_actions(batch.action_space, (20, 3))
    batch.reset()
    told(batch, actions[:3])
    batch.reset(mask=np.array([False, True, False]))
    *_, truncated = told(batch, actions[3:7])[-1]
    assert truncated.tolist() == [True, False, True]
    before, seen = batch.reports.statistics(), batch.observe()
    for action in actions[7:9]:
        observation, reward, _, truncated, _ = batch.step(action)
        ended = np.array([True, False, True])
        assert np.array_equal(observation[ended], seen[ended])
        assert (reward[ended] == 0).all()
        assert truncated.tolist() == ended.tolist()
    after = batch.reports.statistics()
    assert all(np.array_equal(before[key][ended], after[key][ended], equal_nan=True) for key in before)
    assert batch.elapsed.tolist() == [7, 6, 7]


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
    assert n_ends == batch.num_envs * (n_steps // batch.batch.episode_steps)


def makers(name: str, n_envs: int, episode_steps: int) -> list[Any]:
    config = short(name, episode_steps)
    return [lambda env_id=env_id: envs.make_single(config, 5, env_id=env_id) for env_id in range(n_envs)]


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
