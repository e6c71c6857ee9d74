"""A lower agent is written whole or not at all, loaded as what it was saved as, and trained further from there."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
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
from hierarchy.lower.contextual_ppo import ContextualPPO
from hierarchy.lower.fused_ppo import FusedRecurrentPPO
from hierarchy.nets.preprocessing import PreprocessedVecEnv
from hierarchy.protocols import Observer
from hierarchy.sb3.learner import SB3Learner


@pytest.fixture
def config(untracked_config: ExperimentConfig) -> ExperimentConfig:
    """With moments of observations and rewards to be kept."""
    settings = dataclasses.replace(untracked_config.lower, normalise_observations=True, clip_reward=5.0)
    return dataclasses.replace(untracked_config, lower=settings)


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


def test_a_saved_agent_acts_as_before(config: ExperimentConfig, tmp_path: Path) -> None:
    learner = lower.build(config)
    learner.learn(64)
    learner.save(tmp_path / "lower.zip")
    again = config.lower.load(tmp_path / "lower.zip")
    for name, value in weights(learner).items():
        assert_array_equal(weights(again)[name], value, err_msg=name)
    observations = envs.make(config.env, 3).reset()
    ours, theirs = again.actor.start(3), learner.actor.start(3)
    for _ in range(3):
        assert_array_equal(ours.act(observations), theirs.act(observations))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lower.json", "lower.zip"]


@pytest.mark.parametrize(("build", "kind"), [(lower.build, ContextualPPO), (flat.build, FusedRecurrentPPO)])
def test_an_agent_is_loaded_as_what_it_was(config: ExperimentConfig, tmp_path: Path, build: Any, kind: type) -> None:
    build(config).save(tmp_path / "agent.zip", {"world": {"terms": ["a", "b"]}})
    assert type(config.lower.load(tmp_path / "agent.zip").agent) is kind
    description = json.loads((tmp_path / "agent.json").read_text())
    contextual = kind is ContextualPPO
    assert description == {"algorithm": "recurrent_ppo", "contextual": contextual, "world": {"terms": ["a", "b"]}}


def test_a_loaded_agent_goes_on_learning_with_all_that_it_had(config: ExperimentConfig, tmp_path: Path) -> None:
    learner = lower.build(config)
    learner.learn(64)
    learner.save(tmp_path / "lower.zip")
    before = learner.agent.scale.get_state()["moments"]
    runs = []
    for _ in range(2):
        again = config.lower.load(tmp_path / "lower.zip", lower.vec_env(config))
        runs.append(again)
        assert_array_equal(again.agent.scale.get_state()["moments"], before)
        assert (before > 0).any()
        env, trained = again.agent.get_env(), learner.agent.get_env()
        for name, value in flatten(trained.get_moments()).items():
            assert_array_equal(flatten(env.get_moments())[name], value, err_msg=name)
        adam = learner.agent.policy.optimizer.state_dict()["state"]
        for number, state in again.agent.policy.optimizer.state_dict()["state"].items():
            assert_array_equal(state["exp_avg"], adam[number]["exp_avg"])
        again.learn(64)
        assert again.n_steps == 128
        assert (again.agent.scale.get_state()["moments"] != before).any()
    for name, value in weights(runs[0]).items():
        assert_array_equal(weights(runs[1])[name], value, err_msg=name)
        assert (value != weights(learner)[name]).any(), name


def test_an_agent_of_another_algorithm_is_refused(config: ExperimentConfig, tmp_path: Path) -> None:
    lower.build(config).save(tmp_path / "lower.zip", {"algorithm": "another"})
    with pytest.raises(SettingError, match=r"^algorithm must be another, that of lower.zip, got recurrent_ppo$"):
        config.lower.load(tmp_path / "lower.zip")


def test_a_failed_save_leaves_the_agent_that_was_there(config: ExperimentConfig, tmp_path: Path) -> None:
    learner, path = lower.build(config), tmp_path / "lower.zip"
    path.write_bytes(b"before")

    def broken(to: Path) -> None:
        to.write_bytes(b"half")
        raise OSError("no space left on device")

    learner.agent.save = broken
    with pytest.raises(OSError, match="no space"):
        learner.save(path)
    assert path.read_bytes() == b"before"


def moments_of(learner: SB3Learner) -> dict[str, Any]:
    """Of observations, returns and advantages, by path."""
    env, scale = learner.agent.get_env(), getattr(learner.agent, "scale", None)
    assert isinstance(env, PreprocessedVecEnv)
    return flatten(env.get_moments() | ({} if scale is None else {"scale": scale.get_state()}))


@pytest.mark.parametrize("build", [lower.build, flat.build])
def test_an_agent_begun_from_another_one_has_learned_what_it_had_and_has_all_its_steps_before_it(
    config: ExperimentConfig, tmp_path: Path, build: Callable[[ExperimentConfig], SB3Learner]
) -> None:
    learned, path = build(config), tmp_path / "agent.zip"
    learned.learn(64)
    learned.save(path)
    fresh = build(config)
    assert not all((weights(fresh)[name] == value).all() for name, value in weights(learned).items())
    fresh.begin_from(path)
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
    assert_array_equal(fresh.agent.moments["returns"]["count"], moments_of(fresh)["returns/count"])
