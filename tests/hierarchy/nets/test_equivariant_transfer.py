"""A policy of parts fits any number of parts of its kind, and is refused wherever there are others or none."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces

import envs
from envs.core.batch import BatchEnv
from envs.load_balancing.config import ServerPool
from hierarchy import experiment as experiments
from hierarchy.building import lower
from hierarchy.config import ExperimentConfig
from hierarchy.experiment import Experiment
from hierarchy.lower.acting import PolicyActor
from hierarchy.lower.recurrent_ppo import RecurrentPPOConfig
from hierarchy.nets.equivariant import EquivariantLstmPolicy
from hierarchy.nets.part_networks import PartEncoder
from hierarchy.nets.recurrent import FusedLstmPolicy
from hierarchy.nets.saving import ACTING
from hierarchy.storage.agents import load_lower
from hierarchy.storage.folder import NotTrainedError, OutputFolder
from hierarchy.storage.saved import read_saved
from hierarchy.tracking.progress import Silent
from tests.hierarchy.nets.parts import (
    MARGIN,
    N_ENVS,
    N_FEATURES,
    N_PARTS,
    N_REST,
    acted,
    done_space,
    encoder_kwargs,
    fresh,
    joined,
    large,
    parts_of,
    played,
    seen_space,
    steps_of,
)
from tests.hierarchy.nets.policies import assert_close


@pytest.fixture
def policy() -> EquivariantLstmPolicy:
    return large()


# Other numbers of parts.


def test_no_parameter_knows_how_many_parts_there_are() -> None:
    shapes = [{name: value.shape for name, value in fresh(n).state_dict().items()} for n in (1, 4, 12)]
    assert shapes[0] == shapes[1] == shapes[2]


def test_the_same_parts_among_absent_ones_are_treated_the_same(policy: EquivariantLstmPolicy) -> None:
    n_parts, rng = 12, np.random.default_rng(7)
    other = policy.acting.fitted(seen_space(n_parts), done_space(n_parts))
    steps, where = steps_of(7), rng.permutation(n_parts)[:N_PARTS]
    among = []
    for step in steps:
        parts = rng.exponential(2.0, (N_ENVS, n_parts, N_FEATURES))
        parts[..., -1] = 0.0
        parts[:, where] = parts_of(step)
        among.append(joined(parts, step[:, -N_REST:].numpy()))
    logits, values, _ = played(policy, steps)
    again = acted(other, among)
    assert_close(again[:, :, where], logits, MARGIN)
    start, nothing = th.zeros(N_ENVS), policy.initial_memory(N_ENVS)
    assert_close(policy.values(among[0], nothing, start), values[0], MARGIN)
    acting = PolicyActor(other).start(N_ENVS)
    for step, expected in zip(among, again, strict=True):
        action = acting.act(step.numpy())
        np.testing.assert_array_equal(action, expected.argmax(-1).flatten(1))
        assert all(done_space(n_parts).contains(one) for one in action)


def test_what_acts_is_the_same_networks_wherever_it_does(policy: EquivariantLstmPolicy) -> None:
    other = policy.acting.fitted(seen_space(2), done_space(2))
    assert other.form != policy.form
    with th.no_grad():
        policy.lstm_actor.weight_ih_l0.add_(1.0)
    assert all(th.equal(value, policy.acting.state_dict()[name]) for name, value in other.state_dict().items())
    assert policy.acting.fitted(seen_space(), done_space()).form == policy.form


OTHER_ACTION = "action_space must be choices of equally many levels for"
OTHER_PARTS = "observation_space must be parts of 6 features, 2 shared ones and 3 weights"


@pytest.mark.parametrize(
    ("seen", "done", "line"),
    [
        (seen_space(5, N_FEATURES + 1), done_space(5), rf"{OTHER_PARTS}, got shape \(40,\)"),
        (seen_space(6, n_rest=N_REST - 1), done_space(6), rf"{OTHER_PARTS}, got shape \(40,\)"),
        (seen_space(0), done_space(1), rf"{OTHER_PARTS}, got shape \(5,\)"),
        (seen_space(6), done_space(5), f"{OTHER_ACTION} 6 parts, got"),
        (seen_space(6), done_space(3), r"action_space must be 2 choices of 5 levels per part, got 1 of 5"),
        (seen_space(6), done_space(6, 4), r"action_space must be 2 choices of 5 levels per part, got 2 of 4"),
        (
            seen_space(1),
            spaces.MultiDiscrete([5, 4]),
            f"{OTHER_ACTION} 1 parts, got",
        ),
        (
            seen_space(),
            spaces.Box(0.0, 1.0, (8,)),
            f"{OTHER_ACTION} 4 parts, got Box",
        ),
    ],
    ids=["features", "rest", "no_parts", "parts", "choices", "levels", "unequal", "box"],
)
def test_a_world_of_other_parts_is_refused(
    policy: EquivariantLstmPolicy, seen: spaces.Box, done: spaces.Space[Any], line: str
) -> None:
    with pytest.raises(ValueError, match=line) as raised:
        policy.acting.fitted(seen, done)
    assert "\n" not in str(raised.value)


def test_an_observation_that_is_no_row_of_parts_is_refused() -> None:
    line = r"observation_space must be 4 equal parts, 2 shared features and 3 weights, got shape \(28,\)"
    with pytest.raises(ValueError, match=line):
        PartEncoder(spaces.Box(0.0, 1.0, (28,)), **encoder_kwargs())


# As a setting.


@pytest.fixture
def equivariant_config(untracked_config: ExperimentConfig) -> ExperimentConfig:
    return dataclasses.replace(untracked_config, lower=dataclasses.replace(untracked_config.lower, policy="equivariant"))


def larger(config: ExperimentConfig, **telemetry: Any) -> ExperimentConfig:
    """With three servers for two."""
    pool = ServerPool(cores=[2, 1, 2], speed=[1.0, 1.0, 0.5], price_usd_per_h=[0.2, 0.1, 0.1], memory_gb=[4.0, 4.0, 4.0])
    seen = dataclasses.replace(config.env.telemetry, **telemetry)
    return dataclasses.replace(config, env=dataclasses.replace(config.env, pool=pool, telemetry=seen))


def test_the_setting_chooses_the_policy(untracked_config: ExperimentConfig, equivariant_config: ExperimentConfig) -> None:
    assert type(lower.build(untracked_config).agent.policy) is FusedLstmPolicy
    agent = lower.build(equivariant_config)
    assert type(agent.agent.policy) is EquivariantLstmPolicy
    agent.learn(64)
    with pytest.raises(ValueError, match=r"^policy must be one of joint, equivariant, got 'equal'"):
        RecurrentPPOConfig(policy="equal")  # type: ignore[arg-type]


REFUSED = r"^policy must be joint in a world without interchangeable parts, got equivariant$"


@pytest.mark.parametrize("mode", ["weights", "deltas"])
def test_a_world_without_a_choice_per_part_is_refused(equivariant_config: ExperimentConfig, mode: Any) -> None:
    actions = dataclasses.replace(equivariant_config.env.actions, mode=mode)
    env = dataclasses.replace(equivariant_config.env, actions=actions)
    with pytest.raises(ValueError, match=REFUSED):
        lower.build(dataclasses.replace(equivariant_config, env=env))


@pytest.mark.parametrize("n_parts", [0, 3, 16])
def test_a_world_whose_parts_have_no_equal_choices_is_refused(n_parts: int) -> None:
    config, eight = RecurrentPPOConfig(policy="equivariant"), spaces.MultiDiscrete([5] * 8)
    config.check_world(4, eight)
    with pytest.raises(ValueError, match=REFUSED):
        config.check_world(n_parts, eight)


def test_an_agent_runs_in_a_world_of_another_number_of_parts(
    equivariant_config: ExperimentConfig, tmp_path: Path, batch_of: Callable[..., BatchEnv]
) -> None:
    experiments.train_lower(Experiment(equivariant_config, tmp_path, "tiny", Silent()))
    moved = larger(equivariant_config)
    experiments.train_upper(Experiment(moved, tmp_path, "tiny", Silent()))
    actor = load_lower(OutputFolder(tmp_path), moved)
    assert isinstance(actor, PolicyActor)
    trained = read_saved(tmp_path / "lower.safetensors").arrays
    assert all(np.array_equal(value, trained[ACTING + name]) for name, value in actor.module.state_dict().items())
    assert actor.module.form.action.space == envs.make(moved.env, 1).action_space
    found = experiments.ablate(Experiment(moved, tmp_path, "tiny", Silent()))
    assert found["arms"]["learned"] is not None


def test_an_agent_is_refused_where_parts_have_other_features(equivariant_config: ExperimentConfig, tmp_path: Path) -> None:
    experiments.train_lower(Experiment(equivariant_config, tmp_path, "tiny", Silent()))
    other = larger(equivariant_config, ground_truth=True)
    with pytest.raises(NotTrainedError, match=r"^lower.safetensors must be trained for features \w.*, got \w"):
        load_lower(OutputFolder(tmp_path), other)


def test_a_joint_agent_is_still_refused(untracked_config: ExperimentConfig, tmp_path: Path) -> None:
    experiments.train_lower(Experiment(untracked_config, tmp_path, "tiny", Silent()))
    with pytest.raises(NotTrainedError, match=r"^lower.safetensors must be trained for n_parts 3, got 2$"):
        experiments.train_upper(Experiment(larger(untracked_config), tmp_path, "tiny", Silent()))
