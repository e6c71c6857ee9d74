"""An ONNX model decides as the agent does, over ten thousand steps of the running world, in another runtime."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest

import envs
from envs.load_balancing.config import BalancersConfig
from hierarchy.building import lower, upper
from hierarchy.config import ExperimentConfig
from hierarchy.exporting.onnx import onnx_of
from hierarchy.lower.team import TeamLowerConfig
from hierarchy.sb3.learner import SB3Learner
from hierarchy.team.mappo import MAPPOConfig

N_STEPS, N_ENVS = 1_250, 8
TOLERANCE = 1e-6
LOWER: dict[str, dict[str, Any]] = {
    "plain": {},
    "preprocessed": {"normalise_observations": True, "history": 3},
    "equivariant": {"policy": "equivariant"},
}


def lower_settings(config: ExperimentConfig, kind: str, mode: Any = "levels") -> ExperimentConfig:
    actions = dataclasses.replace(config.env.actions, mode=mode)
    env = dataclasses.replace(config.env, actions=actions, episode_steps=300)
    return dataclasses.replace(config, env=env, lower=dataclasses.replace(config.lower, **LOWER[kind]))


@pytest.fixture(params=[(kind, "levels") for kind in LOWER] + [("plain", "weights")], ids=str)
def learner(
    request: pytest.FixtureRequest,
    untracked_config: ExperimentConfig,
    lower_for: Callable[[ExperimentConfig], SB3Learner],
) -> tuple[ExperimentConfig, Any]:
    """Agents that choose levels have large parameters; of one that sets numbers they are as training leaves them, since what
    single precision rounds away differs from runtime to runtime and is blown up from step to step.
    """
    kind, mode = request.param
    config = lower_settings(untracked_config, kind, mode)
    made: Any = lower_for(config) if mode == "levels" else lower.build(config)
    made.learn(config.lower.timesteps)
    return config, made


def test_the_lower_model_decides_as_the_agent(learner: tuple[ExperimentConfig, Any]) -> None:
    config, made = learner
    actor, batch = config.lower.actor(made.saved("lower")), envs.make(config.env, N_ENVS, 3)
    session = onnxruntime.InferenceSession(onnx_of(actor))
    memory = {
        one.name: np.zeros((N_ENVS, one.shape[1]), np.float32)
        for one in session.get_inputs()
        if one.name not in ("observation", "keep")
    }
    acting, observation, keep = actor.start(N_ENVS), batch.reset(), np.zeros((N_ENVS, 1), np.float32)
    n_other, furthest, actions = 0, 0.0, set()
    for _ in range(N_STEPS):
        wanted = acting.act(observation)
        found, *following = session.run(None, {"observation": observation, "keep": keep, **memory})
        memory = dict(zip(memory, following, strict=True))
        furthest = max(furthest, float(np.abs(found - wanted).max()))
        n_other += int((np.abs(found - wanted) > TOLERANCE).any(1).sum())
        actions.add(wanted.tobytes())
        observation, _, terminated, truncated, _ = batch.step(wanted)
        over = terminated | truncated
        keep = 1.0 - over[:, None].astype(np.float32)
        if over.any():
            acting.reset(over)
    assert n_other == 0, furthest
    assert len(actions) > 10


def test_a_lower_model_takes_any_number_of_envs(
    untracked_config: ExperimentConfig, lower_for: Callable[[ExperimentConfig], SB3Learner]
) -> None:
    session = onnxruntime.InferenceSession(onnx_of(lower_for(untracked_config).actor))
    for n in (1, 5):
        inputs = {one.name: np.zeros((n, one.shape[1]), np.float32) for one in session.get_inputs()}
        assert all(len(output) == n for output in session.run(None, inputs))


@pytest.mark.parametrize("memory", ["none", "gru"])
def test_a_model_of_a_team_acts_for_all_its_balancers(untracked_config: ExperimentConfig, memory: Any) -> None:
    """Three rows an env, and any number of envs."""
    world = dataclasses.replace(untracked_config.env, balancers=BalancersConfig(n=3))
    team = TeamLowerConfig(
        timesteps=96,
        n_envs=2,
        team=MAPPOConfig(warm_up=8, rollout_steps=4, batch_size=8, epochs=1, memory=memory, memory_steps=3),
    )
    config = dataclasses.replace(untracked_config, env=world, lower=team)
    made = lower.build(config)
    made.learn(config.lower.timesteps)
    session, batch = onnxruntime.InferenceSession(onnx_of(made.actor)), envs.make(world, 5, 3)
    acting, observation, actions = made.actor.start(batch.n_rows), batch.reset(), set()
    names = [one.name for one in session.get_inputs()][2:]
    remembered = [np.zeros((batch.n_rows, one.shape[1]), np.float32) for one in session.get_inputs()[2:]]
    for at in range(10):
        wanted, keep = acting.act(observation), np.full((batch.n_rows, 1), float(at > 0), np.float32)
        inputs = {"observation": observation, "keep": keep, **dict(zip(names, remembered, strict=True))}
        found, *remembered = session.run(None, inputs)
        np.testing.assert_array_equal(found, wanted)
        actions.add(wanted.tobytes())
        observation, *_ = batch.step(wanted)
    assert len(actions) > 1


def test_the_upper_model_sets_the_contexts_of_the_agent(tiny_config: ExperimentConfig, policy: Any) -> None:
    learner = upper.build(tiny_config, policy)
    learner.learn(tiny_config.upper.meta_steps)
    session = onnxruntime.InferenceSession(onnx_of(learner.actor))
    (width,) = learner.agent.observation_space.shape
    rows = np.random.default_rng(0).normal(scale=3.0, size=(10_000, width)).astype(np.float32)
    (found,) = session.run(None, {"observation": rows})
    wanted = learner.actor.start(len(rows)).act(rows)
    np.testing.assert_allclose(found, wanted, atol=TOLERANCE, rtol=0)
    assert (wanted == 0).any(), "borders of the simplex are among them"
    assert (wanted > 0).all(1).any()
