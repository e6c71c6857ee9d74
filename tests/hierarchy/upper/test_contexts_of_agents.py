"""An upper agent that sets a context for every balancer: all begin alike, are drawn each by itself, and end as others."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from envs.core.context import ContextDistribution
from envs.core.simplex import to_contexts, to_simplex
from envs.core.validation import SettingError
from envs.load_balancing.config import BalancersConfig
from hierarchy.building import lower
from hierarchy.building.upper import Beginning, build
from hierarchy.config import ExperimentConfig
from hierarchy.nets.context_network import ContextForm
from hierarchy.upper.warm_up import drawn_actions

N = 3
MIX = np.array([0.0, 0.25, 0.75])


@pytest.fixture(scope="module")
def config(untracked_config: ExperimentConfig) -> ExperimentConfig:
    world: Any = dataclasses.replace(untracked_config.env, balancers=BalancersConfig(n=N))
    upper = dataclasses.replace(untracked_config.upper, context_per_balancer=True)
    return dataclasses.replace(untracked_config, env=world, upper=upper)


@pytest.fixture(scope="module")
def actor(config: ExperimentConfig) -> Any:
    return lower.build(config).actor


def observations(n: int = 50, width: int = 0) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, width)).astype(np.float32)


def test_all_begin_at_one_mix_and_end_at_others(config: ExperimentConfig, actor: Any) -> None:
    learner: Any = build(config, actor, beginning=Beginning(MIX))
    (width,) = learner.agent.observation_space.shape
    begun = learner.actor.act(observations(width=width))
    assert begun.shape == (50, N, 3)
    assert_allclose(begun, np.broadcast_to(MIX, begun.shape), atol=1e-6)
    learner.learn(config.upper.meta_steps)
    learned = learner.actor.act(observations(width=width))
    assert_allclose(learned.sum(-1), 1.0)
    assert np.abs(learned[:, 0] - learned[:, 1]).max() > 1e-4


def test_it_is_kept_and_refused_where_there_are_other_balancers(config: ExperimentConfig, actor: Any) -> None:
    learner: Any = build(config, actor)
    kept: Any = config.upper.actor(learner.saved("upper"))
    (width,) = learner.agent.observation_space.shape
    seen = observations(width=width)
    assert_array_equal(kept.act(seen), learner.actor.act(seen))
    spaces = learner.agent.observation_space, learner.agent.action_space
    assert kept.fitted(*spaces) is kept
    with pytest.raises(ValueError, match="observations and actions must be"):
        kept.fitted(spaces[0], spaces[0])


def test_examples_are_learned_for_all(config: ExperimentConfig, actor: Any) -> None:
    learner: Any = build(config, actor)
    (width,) = learner.agent.observation_space.shape
    seen = observations(400, width)
    learner.begin_like(seen, np.broadcast_to(MIX, (400, 3)))
    assert_allclose(learner.actor.act(seen).mean(0), np.broadcast_to(MIX, (N, 3)), atol=0.05)


def test_before_it_learns_each_is_drawn_by_itself() -> None:
    distribution = ContextDistribution(corner_share=0.0)
    contexts = to_contexts(drawn_actions(distribution, (N, 3), 0, 0, 400), N)
    assert contexts.shape == (400, N, 3)
    assert len(np.unique(contexts.reshape(-1, 3), axis=0)) == 400 * N
    assert abs(np.corrcoef(contexts[:, 0, 0], contexts[:, 1, 0])[0, 1]) < 4 / np.sqrt(400)
    one = drawn_actions(distribution, (1, 3), 0, 0, 400)
    assert_array_equal(to_contexts(one, 1), to_simplex(one))


def test_weights_are_those_of_whole_contexts() -> None:
    with pytest.raises(SettingError, match=r"n_contexts must be a divisor of the last of sizes \(4\), got 3"):
        ContextForm(0.75, [7, 8, 4], 3)
