"""A batch as a Gymnasium vector env: registered ids, autoreset modes, and Gymnasium's own wrappers."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import envs
from envs.core.context import ContextSampling
from envs.faces.registration import make_single
from envs.faces.vector import BatchVectorEnv
from envs.load_balancing.config import LoadBalancingConfig

IDS = ("metabalance/LoadBalancing-v0", "metabalance/Spark-v0")
N_ENVS, EPISODE_STEPS = 3, 5


def vector_env(mode: AutoresetMode = AutoresetMode.NEXT_STEP, sampling: ContextSampling | None = None) -> BatchVectorEnv:
    batch = envs.make(LoadBalancingConfig(episode_steps=EPISODE_STEPS), N_ENVS, seed=1, sampling=sampling)
    return BatchVectorEnv(batch, mode)


def actions(step: int = 0) -> np.ndarray:
    return np.random.default_rng(step).integers(0, 4, (N_ENVS, 8))


@pytest.mark.parametrize("name", IDS)
def test_gymnasium_makes_the_batch_of_a_registered_id(name: str) -> None:
    env = gymnasium.make_vec(name, num_envs=4, vectorization_mode="vector_entry_point")
    assert isinstance(env, BatchVectorEnv)
    assert env.num_envs == env.batch.n_envs == 4
    contexts = env.reset(seed=0)[0][:, -3:]
    assert len(np.unique(contexts, axis=0)) == 4
    assert env.spec is not None
    assert env.spec.id == name


def test_what_one_gives_with_the_id_reaches_the_batch() -> None:
    config = LoadBalancingConfig(episode_steps=EPISODE_STEPS)
    sampling = ContextSampling(switch_probability=1.0)
    kwargs: dict[str, Any] = {"config": config, "seed": 3, "role": "evaluate", "sampling": sampling}
    env = gymnasium.make_vec(IDS[0], N_ENVS, "vector_entry_point", autoreset_mode="SameStep", **kwargs)
    batch = envs.make(config, N_ENVS, 3, "evaluate", sampling)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert np.array_equal(env.reset()[0], batch.reset())
    for step in range(EPISODE_STEPS - 1):
        assert np.array_equal(env.step(actions(step))[0], batch.step(actions(step))[0])
    assert "final_obs" in env.step(actions())[4]


def test_a_vector_env_is_what_single_envs_of_its_id_make() -> None:
    """Gymnasium's own vector env of single envs, each one named, gives the same."""
    config = LoadBalancingConfig(episode_steps=EPISODE_STEPS)
    mode = AutoresetMode.SAME_STEP
    batch = gymnasium.make_vec(IDS[0], N_ENVS, "vector_entry_point", config=config, seed=2, autoreset_mode=mode)
    makers = [lambda env_id=env_id: make_single(config, 2, env_id=env_id) for env_id in range(N_ENVS)]
    singles = SyncVectorEnv(makers, autoreset_mode=mode)
    assert np.array_equal(batch.reset()[0], singles.reset()[0])
    for step in range(3 * EPISODE_STEPS):
        for ours, theirs in zip(batch.step(actions(step))[:4], singles.step(actions(step))[:4], strict=True):
            assert np.array_equal(ours, theirs)


def test_a_context_given_at_the_reset_holds() -> None:
    env = vector_env(sampling=ContextSampling(switch_probability=1.0))
    observation, _ = env.reset(options={"context": [0.0, 1.0, 0.0]})
    assert (observation[:, -3:] == [0.0, 1.0, 0.0]).all()
    assert (env.step(actions())[0][:, -3:] == [0.0, 1.0, 0.0]).all()


def test_spaces_of_the_vector_are_those_of_one_env_batched() -> None:
    env = vector_env()
    assert env.num_envs == N_ENVS
    assert env.observation_space.shape == (N_ENVS, *env.single_observation_space.shape)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    assert env.action_space.contains(env.action_space.sample())


def test_a_list_of_seeds_is_refused() -> None:
    with pytest.raises(ValueError, match="seed must be one integer for the batch"):
        vector_env().reset(seed=[1, 2, 3])


def test_next_step_autoreset_resets_in_the_step_after_the_end() -> None:
    env = vector_env(AutoresetMode.NEXT_STEP)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    env.reset(seed=0)
    for step in range(EPISODE_STEPS):
        _, _, _, truncated, info = env.step(actions(step))
        assert truncated.all() == (step == EPISODE_STEPS - 1)
        assert info["_weights"].all()
    observation, reward, terminated, truncated, info = env.step(actions(99))
    assert (reward == 0).all()
    assert not (terminated | truncated).any()
    assert (observation[:, 0] == 0).all()
    assert (env.batch.simulation.elapsed == 0).all()
    assert not info["_weights"].any()
    ends = [env.step(actions(step))[3].all() for step in range(EPISODE_STEPS)]
    assert ends == [False] * (EPISODE_STEPS - 1) + [True]


def test_same_step_autoreset_hands_over_the_last_observation() -> None:
    same_step, plain = vector_env(AutoresetMode.SAME_STEP), vector_env(AutoresetMode.DISABLED)
    same_step.reset(seed=0)
    plain.reset(seed=0)
    for step in range(EPISODE_STEPS):
        observation, reward, _, truncated, info = same_step.step(actions(step))
        last, last_reward, _, _, _ = plain.step(actions(step))
        assert np.array_equal(reward, last_reward)
        assert ("final_obs" in info) == (step == EPISODE_STEPS - 1)
    assert truncated.all()
    assert info["_final_obs"].all()
    assert np.array_equal(np.stack(list(info["final_obs"])), last)
    assert np.array_equal(observation, plain.reset()[0])
    assert (same_step.batch.simulation.elapsed == 0).all()


def test_disabled_autoreset_resets_what_the_caller_says() -> None:
    env = vector_env(AutoresetMode.DISABLED)
    env.reset(seed=0)
    for step in range(EPISODE_STEPS):
        last = env.step(actions(step))[0]
    mask = np.array([True, False, True])
    observation, _ = env.reset(options={"reset_mask": mask})
    assert (observation[mask, 0] == 0).all()
    assert np.array_equal(observation[1], last[1])
    assert env.batch.simulation.elapsed.tolist() == [0, EPISODE_STEPS, 0]


def test_a_reset_by_hand_after_the_end_takes_the_place_of_the_autoreset() -> None:
    env = vector_env(AutoresetMode.NEXT_STEP)
    env.reset(seed=0)
    for step in range(EPISODE_STEPS):
        env.step(actions(step))
    env.reset(options={"reset_mask": np.array([True, False, True])})
    info = env.step(actions())[4]
    assert env.batch.simulation.elapsed.tolist() == [1, 0, 1]
    assert info["_weights"].tolist() == [True, False, True]


def test_envs_that_end_at_different_times_are_reset_one_by_one() -> None:
    env = vector_env(AutoresetMode.NEXT_STEP)
    env.reset(seed=0)
    env.step(actions())
    env.reset(options={"reset_mask": np.array([True, False, False])})
    truncated = np.array([env.step(actions(step))[3] for step in range(12)])
    assert np.flatnonzero(truncated[:, 0]).tolist() == [4, 10]
    assert np.flatnonzero(truncated[:, 1]).tolist() == [3, 9]


def test_under_next_step_autoreset_an_env_does_not_notice_another_one_ending() -> None:
    left_alone, beside = vector_env(), vector_env()
    for env in (left_alone, beside):
        env.reset(seed=0)
        env.step(actions())
    beside.reset(options={"reset_mask": np.array([True, False, False])})
    for step in range(20):
        a, b = left_alone.step(actions(step)), beside.step(actions(step))
        assert np.array_equal(a[0][1:], b[0][1:])
        assert np.array_equal(a[1][1:], b[1][1:])


def test_infos_have_a_mask_for_every_entry() -> None:
    env = vector_env(sampling=ContextSampling())
    env.reset(seed=0)
    info: dict[str, Any] = env.step(actions())[4]
    for name in ("projected", "weights", "reward_terms", "reward_vector"):
        assert info[f"_{name}"].shape == (N_ENVS,)
    for name in env.batch.term_names:
        assert info["reward_terms"][name].shape == info["reward_terms"][f"_{name}"].shape == (N_ENVS,)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_gymnasiums_wrapper_records_whole_episodes(mode: AutoresetMode) -> None:
    env = RecordEpisodeStatistics(vector_env(mode))
    env.reset(seed=0)
    total = np.zeros(N_ENVS)
    for step in range(EPISODE_STEPS):
        _, reward, _, _, info = env.step(actions(step))
        total += reward
    assert np.allclose(info["episode"]["r"], total)
    assert info["episode"]["l"].tolist() == [EPISODE_STEPS] * N_ENVS
    lengths = []
    for step in range(3 * (EPISODE_STEPS + 1)):
        info = env.step(actions(step))[4]
        if "episode" in info:
            lengths += info["episode"]["l"].tolist()
    assert len(lengths) >= 2 * N_ENVS
    assert set(lengths) == {EPISODE_STEPS}
