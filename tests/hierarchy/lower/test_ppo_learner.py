"""A lower agent is kept as what it is, acts again as it did, and others are trained further from there."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import envs
from envs.core.state import flatten
from envs.core.validation import SettingError
from hierarchy.arms import flat
from hierarchy.building import lower
from hierarchy.config import ExperimentConfig
from hierarchy.nets.preprocessed_env import PreprocessedVecEnv
from hierarchy.protocols import Observer
from hierarchy.sb3.learner import SB3Learner


@pytest.fixture
def config(untracked_config: ExperimentConfig) -> ExperimentConfig:
    """With moments of observations and rewards to be kept."""
    settings = dataclasses.replace(untracked_config.lower, normalise_observations=True, clip_reward=5.0)
    return dataclasses.replace(untracked_config, lower=settings)


KINDS = {
    "plain": {},
    "preprocessed": {"normalise_observations": True, "history": 3},
    "equivariant": {"policy": "equivariant"},
    "weights": {},
    "deltas": {},
}


def of_kind(config: ExperimentConfig, kind: str) -> ExperimentConfig:
    mode: Any = kind if kind in ("weights", "deltas") else "levels"
    env = dataclasses.replace(config.env, actions=dataclasses.replace(config.env.actions, mode=mode))
    return dataclasses.replace(config, env=env, lower=dataclasses.replace(config.lower, **KINDS[kind]))


def weights(learner: SB3Learner) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in learner.agent.policy.state_dict().items()}


class Rates(Observer):
    """Keeps the learning rate after every rollout."""

    def __init__(self, learner: SB3Learner) -> None:
        self._learner, self.rates = learner, []

    def on_step(self, n_steps: int) -> None:
        self.rates.append(self._learner.agent.policy.optimizer.param_groups[0]["lr"])


def test_the_learning_rate_falls_in_a_line_to_its_final_share(tiny_config: ExperimentConfig) -> None:
    settings = dataclasses.replace(tiny_config.lower, timesteps=4 * 32, n_epochs=1, final_share=0.1)
    learner = lower.build(dataclasses.replace(tiny_config, lower=settings))
    observer = Rates(learner)
    learner.learn(settings.timesteps, observer)
    observer.on_step(settings.timesteps)
    start, end = settings.learning_rate, settings.learning_rate * settings.final_share
    np.testing.assert_allclose(observer.rates[16::16], np.linspace(start, end, 5)[1:])


@pytest.mark.parametrize("build", [lower.build, flat.build])
@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_agent_acts_as_before(untracked_config: ExperimentConfig, kind: str, build: Any) -> None:
    config = of_kind(untracked_config, kind)
    learner = build(config)
    learner.learn(64)
    again, batch = config.lower.actor(learner.saved("lower")), envs.make(config.env, 3)
    ours, theirs, observations = again.start(3), learner.actor.start(3), batch.reset()
    for _ in range(20):
        action = ours.act(observations)
        assert_array_equal(action, theirs.act(observations))
        observations, *_ = batch.step(action)


def test_it_is_kept_as_what_it_is(config: ExperimentConfig) -> None:
    description = lower.build(config).saved("agent").description
    assert description["algorithm"] == "recurrent_ppo"
    assert description["form"]["normalise"] is True
    assert description == json.loads(json.dumps(description))


def test_an_agent_of_another_form_is_not_begun_from(config: ExperimentConfig) -> None:
    saved = lower.build(config).saved("agent")
    other = {**saved.description["form"], "history": 2}
    with pytest.raises(
        SettingError, match=r"^agent must be an agent whose networks have the same form, got one with history 2, not 1$"
    ):
        lower.build(config).begin_from(saved._replace(description={**saved.description, "form": other}))


def test_an_agent_of_another_algorithm_is_refused(config: ExperimentConfig) -> None:
    saved = lower.build(config).saved("lower.safetensors")
    other = saved._replace(description={**saved.description, "algorithm": "another"})
    for take in (config.lower.actor, lower.build(config).begin_from):
        with pytest.raises(SettingError, match=r"^algorithm must be another, that of lower.safetensors, got recurrent_ppo$"):
            take(other)


def moments_of(learner: SB3Learner) -> dict[str, Any]:
    """Of observations, returns and advantages, by path."""
    env, scale = learner.agent.get_env(), getattr(learner.agent, "scale", None)
    assert isinstance(env, PreprocessedVecEnv)
    return flatten(env.get_moments() | ({} if scale is None else {"scale": scale.get_state()}))


@pytest.mark.parametrize("build", [lower.build, flat.build])
def test_an_agent_begun_from_another_one_has_learned_what_it_had_and_has_all_its_steps_before_it(
    config: ExperimentConfig, build: Callable[[ExperimentConfig], SB3Learner]
) -> None:
    learned = build(config)
    learned.learn(64)
    fresh = build(config)
    assert not all((weights(fresh)[name] == value).all() for name, value in weights(learned).items())
    fresh.begin_from(learned.saved("agent"))
    assert fresh.n_steps == 0
    for name, value in weights(learned).items():
        assert_array_equal(weights(fresh)[name], value)
    expected = moments_of(learned)
    assert {"observations/count", "returns/var"} <= expected.keys()
    assert expected["returns/count"].sum() > 60
    for name, value in expected.items():
        assert_array_equal(moments_of(fresh)[name], value, err_msg=name)
    fresh.learn(64)
    assert moments_of(fresh)["returns/count"].sum() == pytest.approx(expected["returns/count"].sum() + 64)
