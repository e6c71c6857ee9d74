"""Every upper algorithm learns every meta step, sets contexts on the simplex, and goes on from where it was saved."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from envs.core.simplex import SCALE, to_simplex
from envs.core.validation import SettingError
from hierarchy.building import lower, upper
from hierarchy.config import ExperimentConfig
from hierarchy.lower.acting import PolicyActor
from hierarchy.protocols import Observer
from hierarchy.sb3.learner import SB3Learner
from hierarchy.upper import ALGORITHMS


@pytest.fixture(params=ALGORITHMS)
def config(request: pytest.FixtureRequest, tiny_config: ExperimentConfig) -> ExperimentConfig:
    """The tiny settings with every algorithm."""
    kind, given = ALGORITHMS[request.param], tiny_config.upper
    known = {name: getattr(given, name) for name in kind.__dataclass_fields__ if hasattr(given, name)}
    del known["algorithm"]
    return dataclasses.replace(tiny_config, upper=kind(**known))


@pytest.fixture
def learner(config: ExperimentConfig, policy: PolicyActor) -> SB3Learner:
    return upper.build(config, policy)


def meta_observations(learner: SB3Learner, n: int = 5) -> np.ndarray:
    shape = learner.agent.observation_space.shape
    return np.random.default_rng(0).normal(size=(n, *shape)).astype(np.float32)


def contexts(learner: SB3Learner) -> np.ndarray:
    return learner.actor.start(5).act(meta_observations(learner))


def test_the_agent_is_trained_once_per_meta_step(config: ExperimentConfig, learner: SB3Learner) -> None:
    learner.learn(config.upper.meta_steps)
    assert learner.n_steps == config.upper.meta_steps
    assert learner.agent._n_updates == config.upper.meta_steps - config.upper.learning_starts


def test_an_agent_may_be_trained_once_in_several_meta_steps(config: ExperimentConfig, policy: PolicyActor) -> None:
    """There are as many updates after a step of all envs as it takes; the rest of them is left out."""
    rarely = dataclasses.replace(config.upper, n_envs=4, meta_steps=24, meta_steps_per_update=2)
    learner = upper.build(dataclasses.replace(config, upper=rarely), policy)
    learner.learn(rarely.meta_steps)
    assert learner.agent._n_updates == (rarely.meta_steps - rarely.learning_starts) / 2


@pytest.mark.parametrize("final_share", [1.0, 0.25])
def test_the_learning_rate_falls_to_a_share_of_itself(
    config: ExperimentConfig, policy: PolicyActor, final_share: float
) -> None:
    """It is that of the settings as training begins, and all along where all of it is left."""
    settings = dataclasses.replace(config.upper, final_share=final_share)
    learner = upper.build(dataclasses.replace(config, upper=settings), policy)
    rates: list[float] = []

    class Watch(Observer):
        def on_step(self, n_steps: int) -> None:
            rates.append(learner.agent.actor.optimizer.param_groups[0]["lr"])  # type: ignore[attr-defined]

    learner.learn(settings.meta_steps, Watch())
    assert learner.agent.lr_schedule(1.0) == rates[0] == settings.learning_rate
    assert learner.agent.lr_schedule(0.0) == pytest.approx(final_share * settings.learning_rate)
    assert np.all(np.diff(rates) <= 0.0)
    assert (rates[-1] < rates[0]) == (final_share < 1.0)


def test_the_lower_agent_stays_frozen(config: ExperimentConfig, learner: SB3Learner, policy: PolicyActor) -> None:
    before = [parameter.detach().clone() for parameter in policy.module.parameters()]
    learner.learn(config.upper.meta_steps)
    for parameter, value in zip(policy.module.parameters(), before, strict=True):
        assert_array_equal(parameter.detach(), value)


def test_meta_envs_share_no_arrivals_with_phase_one(tiny_config: ExperimentConfig, policy: PolicyActor) -> None:
    ours = upper.vec_env(tiny_config, policy).simulation.dynamics
    theirs = lower.vec_env(tiny_config).batch.world.dynamics
    assert not np.intersect1d(ours.streams, theirs.streams).size
    assert not set(ours.env_ids) & set(theirs.env_ids)


def test_contexts_are_those_of_the_policy_without_noise(learner: SB3Learner) -> None:
    found = contexts(learner)
    assert_array_equal(found, contexts(learner))
    assert_allclose(found, to_simplex(learner.agent.predict(meta_observations(learner), deterministic=True)[0]), rtol=1e-5)
    assert_allclose(found.sum(-1), 1.0)
    assert found.std(0).min() > 0


def test_nothing_is_remembered_from_window_to_window(learner: SB3Learner) -> None:
    acting = learner.actor.start(5)
    acting.reset(np.ones(5, bool))
    acting.set_state(acting.get_state())
    assert acting.get_state() == {}
    assert_array_equal(acting.act(meta_observations(learner)), contexts(learner))


def test_another_agent_begins_from_what_one_has_learned(
    config: ExperimentConfig, learner: SB3Learner, policy: PolicyActor
) -> None:
    learner.learn(config.upper.meta_steps)
    saved, other = learner.saved("upper"), upper.build(config, policy, seed=99)
    assert saved.description["algorithm"] == config.upper.algorithm
    assert saved.description == json.loads(json.dumps(saved.description))
    assert (contexts(other) != contexts(learner)).any()
    other.begin_from(saved)
    assert_array_equal(contexts(other), contexts(learner))
    for name, tensor in learner.tensors().items():
        assert_array_equal(other.tensors()[name].detach(), tensor.detach(), err_msg=name)
    other.learn(config.upper.meta_steps)
    assert other.n_steps == config.upper.meta_steps
    assert (contexts(other) != contexts(learner)).any()


def test_everything_that_is_learned_is_kept(learner: SB3Learner) -> None:
    """No optimiser moves a tensor that is not."""
    kept = {tensor.data_ptr() for tensor in learner.tensors().values()}
    agent: Any = learner.agent
    optimisers = [agent.actor.optimizer, agent.critic.optimizer, getattr(agent, "ent_coef_optimizer", None)]
    for optimiser in filter(None, optimisers):
        assert {one.data_ptr() for group in optimiser.param_groups for one in group["params"]} <= kept


def test_another_algorithm_or_world_is_refused(config: ExperimentConfig, learner: SB3Learner) -> None:
    saved = learner.saved("upper.safetensors")
    (other,) = (kind for name, kind in ALGORITHMS.items() if name != config.upper.algorithm)
    mine = config.upper.algorithm
    with pytest.raises(SettingError, match=rf"^algorithm must be {mine}, that of upper.safetensors, got {other.algorithm}$"):
        other().actor(saved)
    trained = config.upper.actor(saved)
    assert_array_equal(trained.start(5).act(meta_observations(learner)), contexts(learner))
    fits = learner.agent.observation_space, learner.agent.action_space
    assert trained.fitted(*fits) is trained
    with pytest.raises(ValueError, match=r"^observations and actions must be \(\(\d+,\), \(3,\)\), got"):
        trained.fitted(fits[1], fits[1])


def test_an_agent_whose_actions_stand_for_other_contexts_is_refused(config: ExperimentConfig, learner: SB3Learner) -> None:
    saved = learner.saved("upper")
    form = {**saved.description["form"], "action_scale": 0.5}
    with pytest.raises(
        SettingError,
        match=rf"^form.action_scale must be {SCALE}, at which actions are projected now: train it again, got 0.5$",
    ):
        config.upper.actor(saved._replace(description={**saved.description, "form": form}))


@pytest.mark.parametrize("name", ["gamma", "tau", "batch_size", "buffer_size", "learning_starts"])
def test_settings_reach_the_agent(learner: SB3Learner, config: ExperimentConfig, name: str) -> None:
    assert getattr(learner.agent, name) == getattr(config.upper, name)


def test_noise_is_that_of_the_settings(upper_agent: SB3Learner, tiny_config: ExperimentConfig) -> None:
    drawn = np.array([upper_agent.agent.action_noise() for _ in range(2000)])
    assert drawn.std() == pytest.approx(tiny_config.upper.action_noise, rel=0.1)
