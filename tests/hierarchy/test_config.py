"""Settings of agents are refused by field, whole path and what is allowed; their algorithm chooses their type."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from envs.core.validation import SettingError, build
from hierarchy.config import ExperimentConfig
from hierarchy.lower.recurrent_ppo import RecurrentPPOConfig
from hierarchy.upper.sac import SACConfig
from hierarchy.upper.td3 import TD3Config

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"lower": {"gamma": 1.5}}, "lower.gamma must be >= 0 and <= 1, got 1.5"),
    ({"lower": {"n_envs": 0}}, "lower.n_envs must be > 0, got 0"),
    ({"lower": {"learning_rate": float("nan")}}, "lower.learning_rate must be > 0, got nan"),
    ({"lower": {"clip_reward": 0.0}}, "lower.clip_reward must be > 0, got 0.0"),
    ({"lower": {"n_envs": 2, "n_steps": 4, "batch_size": 9}}, "lower.batch_size must be <= n_envs * n_steps (8), got 9"),
    (
        {"lower": {"policy": "equivariant", "history": 2}},
        "lower.policy must be joint with history > 1 or normalise_observations, got equivariant",
    ),
    (
        {"lower": {"algorithm": "dqn"}},
        "lower.algorithm must be one of recurrent_ppo, constrained_ppo, sac_gru, team, cql, bcq, bc, got dqn",
    ),
    ({"lower": [1, 2]}, "lower must be a mapping of settings, got [1, 2]"),
    ({"upper": {"algorithm": "dqn"}}, "upper.algorithm must be one of td3, sac, got dqn"),
    ({"upper": {"tau": -0.1}}, "upper.tau must be >= 0 and <= 1, got -0.1"),
    ({"upper": {"buffer_size": 4}}, "upper.buffer_size must be >= n_envs (16), got 4"),
    ({"upper": {"meta_steps_per_update": 17}}, "upper.meta_steps_per_update must be a divisor of n_envs (16), got 17"),
    ({"upper": {"meta_steps_per_update": 5}}, "upper.meta_steps_per_update must be a divisor of n_envs (16), got 5"),
    ({"upper": {"final_share": 1.5}}, "upper.final_share must be >= 0 and <= 1, got 1.5"),
    ({"upper": {"meta_step": "day"}}, "upper.meta_step must be one of window, episode, got 'day'"),
    ({"upper": {"algorithm": "sac", "gamma": 2.0}}, "upper.gamma must be >= 0 and <= 1, got 2.0"),
    ({"ablation": {"grid_points": 1}}, "ablation.grid_points must be >= 2, got 1"),
    ({"ablation": {"fixed": [0.5, -0.1]}}, "ablation.fixed must be >= 0, got -0.1"),
    ({"ablation": {"fixed": [0.0, 0.0]}}, "ablation.fixed must be weights of which one is > 0, got [0.0, 0.0]"),
    ({"seed": -1}, "seed must be >= 0, got -1"),
    ({"threads": 0}, "threads must be > 0, got 0"),
]


@pytest.mark.parametrize(("settings", "line"), REFUSED, ids=[line for _, line in REFUSED])
def test_what_is_not_allowed_is_refused_in_one_line(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(SettingError) as raised:
        build(ExperimentConfig, settings)
    assert str(raised.value) == line


def test_an_algorithm_chooses_the_type_of_the_settings_beside_it() -> None:
    config = build(ExperimentConfig, {"upper": {"algorithm": "sac", "n_envs": 4}, "lower": "recurrent_ppo"})
    assert config.upper == SACConfig(n_envs=4)
    assert config.lower == RecurrentPPOConfig()
    with pytest.raises(SettingError, match=r"^upper.action_noise must be a setting of upper"):
        build(ExperimentConfig, {"upper": {"algorithm": "sac", "action_noise": 0.1}})


def test_settings_come_back_as_they_were_written() -> None:
    for upper in (TD3Config(action_noise=0.3), SACConfig(tau=0.01)):
        config = ExperimentConfig(lower=RecurrentPPOConfig(gamma=0.5), upper=upper)
        written = dataclasses.asdict(config)
        again = build(ExperimentConfig, {name: written[name] for name in ("lower", "upper", "seed")})
        assert (again.lower, again.upper) == (config.lower, config.upper)
