"""A team as the lower level: rows are its agents, one after another, and it goes on and acts as the team does."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch as th
from numpy.testing import assert_array_equal

import envs
from envs.core.batch import layout_of
from envs.core.state import flatten
from envs.core.validation import SettingError
from envs.load_balancing.config import BalancersConfig, LoadBalancingConfig
from hierarchy import extras
from hierarchy.arms import flat
from hierarchy.building import lower
from hierarchy.config import ExperimentConfig
from hierarchy.lower.figures import ContextFigures
from hierarchy.lower.team import TeamLowerConfig
from hierarchy.lower.team_learner import RowsLearner, VecTeam
from hierarchy.protocols import Observer, SavedAgent
from hierarchy.storage.agents import lower_of
from hierarchy.storage.folder import NotTrainedError
from hierarchy.team import TEAM_ALGORITHMS
from hierarchy.team.mappo import MAPPOConfig
from hierarchy.team.qmix import QMIXConfig

N = 3
TEAMS: dict[str, Any] = {
    "mappo": MAPPOConfig(warm_up=8, rollout_steps=4, batch_size=8, epochs=1, hidden_size=8),
    "qmix": QMIXConfig(warm_up=8, batch_size=8, hidden_size=8, memory="gru", memory_steps=3),
}


@pytest.fixture(params=TEAMS)
def config(request: pytest.FixtureRequest, untracked_config: ExperimentConfig) -> ExperimentConfig:
    env = untracked_config.env
    assert isinstance(env, LoadBalancingConfig)
    world = dataclasses.replace(
        env,
        backends="joint",
        balancers=BalancersConfig(n=N),
        actions=dataclasses.replace(env.actions, every_steps=2),
    )
    team = TeamLowerConfig(timesteps=48 * N, n_envs=2, paired=True, team=TEAMS[request.param])
    return dataclasses.replace(untracked_config, env=world, lower=team)


def built(config: ExperimentConfig) -> RowsLearner:
    learner = lower.build(config)
    assert isinstance(learner, RowsLearner)
    return learner


class Seen(Observer):
    def __init__(self) -> None:
        self.steps: list[int] = []
        self.names: set[str] = set()

    def on_step(self, n_steps: int) -> None:
        self.steps.append(n_steps)

    def on_metrics(self, values: Any, n_steps: int) -> None:
        self.names |= values.keys()


def test_steps_are_those_of_all_agents_and_figures_those_of_any_lower_agent(config: ExperimentConfig) -> None:
    learner, seen = built(config), Seen()
    learner.learn(config.lower.timesteps, seen)
    assert learner.n_steps >= config.lower.timesteps
    assert seen.steps[:2] == [2 * N, 4 * N]
    if "mappo" in str(config.lower):
        assert {"reward/latency", "setting/cost_first", "team/reward"} <= seen.names


def test_an_agent_learns_from_what_the_vec_env_rewards_it_with(config: ExperimentConfig) -> None:
    """That is what it gains over its twin, between two actions that are listened to."""
    alone = dataclasses.replace(config, lower=dataclasses.replace(config.lower, paired=False))
    paid = []
    for one in (config, alone):
        env = lower.vec_env(one)
        team = VecTeam(env, ContextFigures())
        nominal = np.tile(env.batch.world.nominal_action, (env.batch.n_envs, N, 1))
        team.reset(1)
        paid.append([team.step(nominal).reward for _ in range(2)])
        assert env.batch.simulation.elapsed.tolist() == [4, 4]
    assert_array_equal(paid[0], 0.0)
    assert np.all(paid[1])


def test_a_team_is_of_no_use_to_other_numbers_of_balancers(config: ExperimentConfig) -> None:
    saved, spec = built(config).saved("lower"), envs.describe(config.env).to_json()
    saved = saved._replace(description={**saved.description, "spec": spec})
    assert lower_of(saved, config) is not None
    for n in (1, 2, 2 * N):
        env = dataclasses.replace(config.env, balancers=BalancersConfig(n=n))
        with pytest.raises(NotTrainedError, match=f"n_agents {n}, got {N}"):
            lower_of(saved, dataclasses.replace(config, env=env))


@pytest.mark.parametrize("name", ["maddpg", "iddpg"])
def test_what_an_algorithm_can_not_set_is_refused_before_anything_is_built(name: str, config: ExperimentConfig) -> None:
    space = envs.simulate(config.env, 1).world.dynamics.action_space
    with pytest.raises(SettingError, match=f"team.algorithm must be one for MultiDiscrete.*{name}"):
        TeamLowerConfig(team=TEAM_ALGORITHMS[name]()).check_world(0, space)


def test_without_torchrl_the_extra_is_named(config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"metabalance\[team\]"):
        config.lower.check_world(0, envs.simulate(config.env, 1).world.dynamics.action_space)
    with pytest.raises(SettingError, match=r"metabalance\[team\]"):
        lower.build(config)


def test_training_that_would_all_be_warm_up_is_refused(config: ExperimentConfig) -> None:
    short = dataclasses.replace(config, lower=dataclasses.replace(config.lower, timesteps=8 * N))
    with pytest.raises(SettingError, match=f"lower.timesteps must be > {8 * N}"):
        lower.build(short)


def test_schedules_of_the_flat_agent_end_with_its_training(config: ExperimentConfig) -> None:
    learner = flat.build(config)
    learner.learn(config.lower.timesteps)
    team = learner._learner  # type: ignore[attr-defined]
    assert team.progress == pytest.approx(team.n_steps * N / flat.timesteps(config), rel=0.05)


def test_it_goes_on_to_the_last_bit(config: ExperimentConfig) -> None:
    learner = built(config)
    learner.learn(24 * N)
    state = learner.get_state()
    learner.learn(24 * N)
    other = built(config)
    other.set_state(state)
    other.learn(24 * N)
    ours, theirs = (flatten(one.get_state()) for one in (learner, other))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert_array_equal(np.array(value), np.array(theirs[name]), err_msg=name)


def drawn(saved: SavedAgent) -> SavedAgent:
    """Networks that are large enough to do one thing here and another there."""
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.normal(size=one.shape).astype(one.dtype) if name.startswith("acting.network") else one
        for name, one in saved.arrays.items()
    }
    return saved._replace(arrays=arrays)


def test_what_is_saved_acts_as_the_team_and_so_does_its_model(config: ExperimentConfig) -> None:
    learner, other = built(config), built(config)
    learner.learn(config.lower.timesteps)
    saved = drawn(learner.saved("lower"))
    other.begin_from(saved)
    actor, batch = config.lower.actor(saved), envs.make(config.env, 2, 5)
    acting, theirs = actor.start(batch.n_rows), other.actor.start(batch.n_rows)
    model = actor.model
    names = list(model.examples)[2:]
    memory = [th.zeros(batch.n_rows, model.examples[name].shape[1]) for name in names]
    observation, keep, actions = batch.reset(), th.zeros(batch.n_rows, 1), set()
    for _ in range(8):
        action = acting.act(observation)
        assert_array_equal(action, theirs.act(observation))
        with th.inference_mode():
            of_model, *memory = model(th.from_numpy(observation), keep, *memory)
        assert_array_equal(of_model.numpy(), action)
        keep = th.ones_like(keep)
        actions |= {tuple(row) for row in action.tolist()}
        observation, *_ = batch.decide(action)
    assert len(actions) > 1
    world = batch.world
    spaces = layout_of(world).space(world.observation_function.space), world.dynamics.action_space
    assert actor.fitted(*spaces, N) is actor


def test_it_begins_from_a_team_of_its_kind(config: ExperimentConfig) -> None:
    learner, other = built(config), built(config)
    learner.learn(config.lower.timesteps)
    other.begin_from(learner.saved("lower"))
    for name, array in learner.saved("lower").arrays.items():
        assert_array_equal(other.saved("lower").arrays[name], array, err_msg=name)


def test_a_team_that_learned_by_another_algorithm_is_not_begun_from(config: ExperimentConfig) -> None:
    """Their networks may be of the same form all the same."""
    saved = built(config).saved("lower")
    assert saved.description["team_algorithm"] == config.lower.team.algorithm  # type: ignore[attr-defined]  # that of a team
    other = saved._replace(description={**saved.description, "team_algorithm": "another"})
    with pytest.raises(SettingError, match=r"^team.algorithm must be another, that of lower, got \w+$"):
        built(config).begin_from(other)


def test_rows_are_whole_envs(config: ExperimentConfig) -> None:
    with pytest.raises(ValueError, match="whole envs, got 4 rows"):
        built(config).actor.start(4)


def test_how_long_it_learns_is_said_once() -> None:
    with pytest.raises(SettingError, match=r"team.timesteps must be left out here, where timesteps says how long, got 7"):
        TeamLowerConfig(team=MAPPOConfig(timesteps=7))
