"""An upper agent that begins at a mix sets it in every state, is drawn to it, and learns from there."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch as th
from numpy.testing import assert_allclose

from hierarchy.building.upper import Beginning, build, vec_env
from hierarchy.config import ExperimentConfig
from hierarchy.lower.acting import PolicyActor
from hierarchy.upper.sac import SACConfig
from hierarchy.upper.saturation import begin_anew

MIXES = [np.array(mix) for mix in ((1 / 3, 1 / 3, 1 / 3), (0.0, 0.25, 0.75), (1.0, 0.0, 0.0))]


@pytest.fixture(params=["td3", "sac"])
def config(request: pytest.FixtureRequest, tiny_config: ExperimentConfig) -> ExperimentConfig:
    if request.param == "td3":
        return tiny_config
    sizes = ("meta_period", "meta_steps", "episode_windows", "n_envs", "batch_size", "learning_starts")
    return dataclasses.replace(tiny_config, upper=SACConfig(**{name: getattr(tiny_config.upper, name) for name in sizes}))


def set_by(learner: Any) -> np.ndarray:
    observations = np.random.default_rng(0).normal(size=(50, *learner.agent.observation_space.shape))
    return learner.actor.act(observations.astype(np.float32))


@pytest.mark.parametrize("mix", MIXES)
def test_it_sets_the_mix_in_every_state_until_it_learns(
    config: ExperimentConfig, policy: PolicyActor, mix: np.ndarray
) -> None:
    learner: Any = build(config, policy, beginning=Beginning(mix))
    assert_allclose(set_by(learner), np.broadcast_to(mix, (50, 3)), atol=1e-6)
    learner.learn(config.upper.meta_steps)
    assert np.abs(set_by(learner) - mix).max() > 1e-4
    assert len(np.unique(set_by(learner).round(6), axis=0)) > 1, "another one in other states"


def test_its_target_begins_there_too_and_what_it_is_drawn_to_stays(
    tiny_config: ExperimentConfig, policy: PolicyActor
) -> None:
    learner: Any = build(tiny_config, policy, beginning=Beginning(MIXES[1]))
    observations = th.randn(5, *learner.agent.observation_space.shape)
    actions = learner.agent.actor(observations)
    assert_allclose(learner.agent.actor_target(observations).detach(), actions.detach())
    learner.learn(tiny_config.upper.meta_steps)
    assert (learner.agent.actor(observations) != actions).any()
    assert_allclose(th.tanh(learner.agent._drawn_to(observations)), actions.detach(), rtol=1e-6)


def test_a_penalty_draws_it_to_where_it_began(tiny_config: ExperimentConfig, policy: PolicyActor) -> None:
    upper = dataclasses.replace(tiny_config.upper, meta_steps=200, saturation_penalty=1e4)
    learner: Any = build(dataclasses.replace(tiny_config, upper=upper), policy, beginning=Beginning(MIXES[1]))
    learner.learn(200)
    assert_allclose(set_by(learner), np.broadcast_to(MIXES[1], (50, 3)), atol=0.05)


def test_one_that_is_given_another_beginning_is_drawn_to_that(tiny_config: ExperimentConfig, policy: PolicyActor) -> None:
    upper = dataclasses.replace(tiny_config.upper, meta_steps=200, saturation_penalty=1e4)
    learner: Any = build(dataclasses.replace(tiny_config, upper=upper), policy, beginning=Beginning(MIXES[1]))
    learner.learn(200)
    learner.begin_at(MIXES[0])
    learner.learn(200)
    assert_allclose(set_by(learner), np.broadcast_to(MIXES[0], (50, 3)), atol=0.05)


def test_who_begins_anew_where_it_began_gains_nothing_over_its_twin(
    tiny_config: ExperimentConfig, policy: PolicyActor
) -> None:
    """The twin has the same mix; under another one the reward differs."""
    paired = dataclasses.replace(tiny_config, upper=dataclasses.replace(tiny_config.upper, paired=True))
    rewards = []
    for mix in (MIXES[1], MIXES[2]):
        learner: Any = build(paired, policy, beginning=Beginning(MIXES[1]))
        env = vec_env(paired, policy, MIXES[1])
        env.seed(3)
        observed = env.reset()
        action = (
            learner.agent.actor(th.as_tensor(observed)).detach().numpy() if mix is MIXES[1] else np.full((2, 3), [1, -1, -1])
        )
        rewards.append(env.step(action)[1])
    assert_allclose(rewards[0], 0.0, atol=1e-6)
    assert np.abs(rewards[1]).max() > 1e-3


def test_one_that_is_begun_anew_begins_there_again(config: ExperimentConfig, policy: PolicyActor) -> None:
    learner: Any = build(config, policy, beginning=Beginning(MIXES[1]))
    learner.learn(config.upper.meta_steps)
    begin_anew(learner.agent)
    assert_allclose(set_by(learner), np.broadcast_to(MIXES[1], (50, 3)), atol=1e-6)


def examples(n: int = 400, n_features: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Where the first feature is above 0 one mix, elsewhere another one."""
    observations = np.random.default_rng(1).normal(size=(n, n_features)).astype(np.float32)
    return observations, np.where(observations[:, :1] > 0, MIXES[1], MIXES[0])


@pytest.fixture
def like(config: ExperimentConfig, policy: PolicyActor) -> Any:
    """An agent that begins like examples."""
    n_features = build(config, policy).agent.observation_space.shape[0]  # type: ignore[attr-defined]
    return build(config, policy, beginning=Beginning(MIXES[0], examples(4000, n_features)))


def errors(learner: Any) -> np.ndarray:
    """Of fresh examples, but those near the border."""
    observations, mixes = examples(500, *learner.agent.observation_space.shape)
    return np.abs(learner.actor.act(observations) - mixes)[np.abs(observations[:, 0]) > 0.3]


def test_it_sets_what_examples_set_in_states_like_theirs(like: Any) -> None:
    assert errors(like).mean() < 0.05
    if hasattr(like.agent, "actor_target"):
        observations = th.randn(5, *like.agent.observation_space.shape)
        assert_allclose(like.agent.actor_target(observations).detach(), like.agent.actor(observations).detach())


def test_begun_anew_it_sets_that_again(like: Any, config: ExperimentConfig) -> None:
    before = set_by(like)
    like.learn(config.upper.meta_steps)
    assert np.abs(set_by(like) - before).max() > 1e-4
    begin_anew(like.agent)
    assert_allclose(set_by(like), before, atol=1e-6)


def test_a_penalty_draws_it_to_all_of_that(tiny_config: ExperimentConfig, policy: PolicyActor) -> None:
    upper = dataclasses.replace(tiny_config.upper, meta_steps=200, saturation_penalty=1e4)
    config = dataclasses.replace(tiny_config, upper=upper)
    n_features = build(config, policy).agent.observation_space.shape[0]  # type: ignore[attr-defined]
    learner: Any = build(config, policy, beginning=Beginning(MIXES[0], examples(4000, n_features)))
    learner.learn(200)
    assert errors(learner).mean() < 0.06


def test_examples_of_the_same_seed_are_learned_alike(config: ExperimentConfig, policy: PolicyActor) -> None:
    n_features = build(config, policy).agent.observation_space.shape[0]  # type: ignore[attr-defined]
    beginning = Beginning(MIXES[0], examples(300, n_features))
    one, same, other = (set_by(build(config, policy, seed, beginning)) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.fixture
def source(config: ExperimentConfig, policy: PolicyActor) -> Any:
    """An agent that has learned a little, from another seed."""
    learner: Any = build(config, policy, seed=5)
    learner.learn(config.upper.meta_steps)
    return learner


def test_one_that_begins_as_another_one_is_begun_anew_as_that(
    config: ExperimentConfig, policy: PolicyActor, source: Any
) -> None:
    learner: Any = build(config, policy)
    learner.begin_from(source.saved("upper"))
    with th.no_grad():
        for parameter in learner.agent.actor.parameters():
            parameter.mul_(100.0)
    assert (set_by(learner) != set_by(source)).any()
    begin_anew(learner.agent)
    assert_allclose(set_by(learner), set_by(source), atol=1e-6)


def test_one_that_begins_as_another_one_is_drawn_to_it(tiny_config: ExperimentConfig, policy: PolicyActor) -> None:
    """So is its target, where nothing is known of that of the other one."""
    source: Any = build(tiny_config, policy, seed=5)
    source.learn(tiny_config.upper.meta_steps)
    learner: Any = build(tiny_config, policy)
    learner.begin_from(source.actor.saved("upper", tiny_config.upper.algorithm))
    observations = th.randn(50, *learner.agent.observation_space.shape)
    wanted = source.agent.before_tanh(observations).detach()
    assert wanted.abs().max() > 0.0
    assert_allclose(learner.agent._drawn_to(observations), wanted)
    assert_allclose(learner.agent.actor_target(observations).detach(), th.tanh(wanted), atol=1e-6)
