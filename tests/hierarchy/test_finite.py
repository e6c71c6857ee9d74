"""A number that is not finite stops training with its name, and leaves the last good state."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch as th

from envs import ComposedConfig
from envs.core.finite import NonFiniteError
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.world import compose
from hierarchy import experiment as experiments
from hierarchy.building import lower, upper
from hierarchy.config import ExperimentConfig
from hierarchy.experiment import Experiment
from hierarchy.phases.going_on import train
from hierarchy.phases.observers import Kept
from hierarchy.storage.ledger import Ledger
from hierarchy.tracking.sinks import Sink
from hierarchy.upper.sac import SACConfig
from runs import cli

BAD_STEP, BAD_ENV = 20, 1


class Broken:
    """Breaks off from being finite in one env after some steps."""

    def __init__(self, value: float) -> None:
        self.n, self.value = 0, value

    def put_into(self, values: np.ndarray) -> np.ndarray:
        self.n += 1
        if self.n > BAD_STEP:
            values = values.copy()
            values[BAD_ENV] = self.value
        return values


class BrokenTerm(Broken):
    def __call__(self, measurements):  # as users write it
        return self.put_into(measurements.utilisation.mean(-1))


class BrokenObservation(Broken):
    carries_action_set = True

    def __init__(self, servers, value: float) -> None:
        super().__init__(value)
        self.servers, self.feature_names = servers, servers.feature_names
        self.space = servers.space

    def before_reset(self, measurements, mask) -> None:
        self.servers.before_reset(measurements, mask)

    def extract(self, measurements, moved):
        return self.put_into(self.servers.extract(measurements, moved))


def broken_term(env_ids, seed, role, value=math.nan):
    world = compose(LoadBalancingConfig(), env_ids, seed, role)
    return world.variant(reward_terms={**world.reward_terms, "mine": BrokenTerm(value)})


def broken_observation(env_ids, seed, role):
    world = compose(LoadBalancingConfig(), env_ids, seed, role)
    return world.variant(observation_function=BrokenObservation(world.observation_function, math.inf))


FACTORIES = {
    "broken_term": rf"reward term mine must be finite, got nan in env {BAD_ENV} at step \d+ of its episode",
    "broken_observation": rf"observation .+ must be finite, got inf in env {BAD_ENV} at step \d+ of its episode",
}


def of_factory(config: ExperimentConfig, name: str) -> ExperimentConfig:
    env = ComposedConfig(factory=f"{__name__}:{name}", episode_steps=config.env.episode_steps)
    return replace(config, env=env, lower=replace(config.lower, timesteps=320))


@pytest.mark.parametrize("name", FACTORIES)
def test_a_users_function_stops_training_with_its_name(
    untracked_config: ExperimentConfig, tmp_path: Path, name: str
) -> None:
    experiment = Experiment(of_factory(untracked_config, name), tmp_path / "out", "tiny")
    with pytest.raises(NonFiniteError, match=FACTORIES[name]):
        experiments.train_lower(experiment)
    assert not (tmp_path / "out" / "lower.safetensors").exists()


def spoil(module: th.nn.Module) -> None:
    """Have a network give NaN."""
    with th.no_grad():
        next(module.parameters()).fill_(math.nan)


def test_a_gradient_that_is_not_finite_stops_ppo_before_it_takes_a_step(untracked_config: ExperimentConfig) -> None:
    learner = lower.build(untracked_config)
    before = {name: value.clone() for name, value in learner.agent.policy.state_dict().items()}
    evaluate = learner.agent.policy.evaluate

    def spoilt(minibatch):
        return evaluate(minibatch)._replace(values=evaluate(minibatch).values * math.nan)

    learner.agent.policy.evaluate = spoilt
    with pytest.raises(NonFiniteError, match=r"gradient of update 0 of PPO must be finite, got nan"):
        learner.learn(untracked_config.lower.timesteps)
    assert all(th.equal(value, before[name]) for name, value in learner.agent.policy.state_dict().items())


def test_a_gradient_that_is_not_finite_stops_td3(untracked_config: ExperimentConfig) -> None:
    learner = upper.build(untracked_config, lower.build(untracked_config).actor)
    spoil(learner.agent.critic_target)
    with pytest.raises(NonFiniteError, match="gradient of TD3 must be finite, got nan"):
        learner.learn(untracked_config.upper.meta_steps)
    assert all(th.isfinite(parameter).all() for parameter in learner.agent.critic.parameters())


def test_parameters_that_are_not_finite_stop_sac(untracked_config: ExperimentConfig) -> None:
    settings = SACConfig(meta_period=4, meta_steps=12, episode_windows=4, n_envs=2, learning_starts=4, batch_size=4)
    config = replace(untracked_config, upper=settings)
    learner = upper.build(config, lower.build(config).actor)
    spoil(learner.agent.critic)
    with pytest.raises(NonFiniteError, match="of SAC's actor must be finite after"):
        learner.learn(settings.meta_steps)


def test_the_last_good_state_is_there(untracked_config: ExperimentConfig, tmp_path: Path) -> None:
    """Training goes on from it once what was wrong is mended."""
    config = replace(untracked_config, lower=replace(untracked_config.lower, timesteps=320))
    whole = lower.build(config)
    whole.learn(config.lower.timesteps)
    learner, ledger = lower.build(config), Ledger(tmp_path)
    update, n = learner.agent._update, [0]

    def spoilt(minibatch):
        n[0] += 1
        if n[0] > 20:
            raise NonFiniteError("gradient")
        return update(minibatch)

    learner.agent._update = spoilt
    with pytest.raises(NonFiniteError):
        train(learner, config.lower.timesteps, Kept(), ledger, 0.0, Sink())
    again = lower.build(config)
    assert 0 < train(again, config.lower.timesteps, Kept(), ledger, 0.0, Sink()) < config.lower.timesteps
    ours, theirs = (one.agent.policy.state_dict() for one in (again, whole))
    assert all(th.equal(ours[name], theirs[name]) for name in ours)


def test_the_command_says_it_in_one_line(tmp_path: Path, tiny_settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--env.family", "composed", "--env.factory", f"{__name__}:broken_term", "--tracking.enabled", "false"]
    assert cli.main(["train-lower", "--preset", "quick", *options, "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr()
    assert printed.err.splitlines()[-1].startswith("metabalance: reward term mine must be finite, got nan in env 1")
