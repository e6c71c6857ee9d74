"""Agents that begin as others are held against a fresh one in the same pool."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import envs
from envs.core.validation import SettingError
from envs.load_balancing.config import Randomisation
from hierarchy.building import lower
from hierarchy.config import ExperimentConfig
from hierarchy.meta.config import MetaConfig
from runs.studies import meta
from runs.studies.running import run_study
from runs.studies.study import StudyOptions


def curve(*values: float) -> dict[str, list[Any]]:
    return {"steps": [*range(0, 10 * len(values), 10)], "values": [*values]}


def test_the_way_is_that_of_the_fresh_agent() -> None:
    pool = {meta.FRESH: curve(-1.0, *[0.0] * 8), meta.META: curve(*[-0.5] * 8, 1.0), meta.JOINT: curve(*[0.5] * 9)}
    found = meta.against_fresh(pool)
    assert found[meta.FRESH] == {"begins": 0.0, "ends": 0.0, "steps": 30.0, "share": 1.0}
    assert found[meta.META]["begins"] == 0.5
    assert found[meta.META]["ends"] == 1.0
    assert found[meta.JOINT] == {"begins": 1.5, "ends": 0.5, "steps": 20.0, "share": pytest.approx(2 / 3)}


def test_who_never_gets_there_counts_with_all_steps() -> None:
    found = meta.against_fresh({meta.FRESH: curve(-1.0, *[0.0] * 8), meta.META: curve(*[-1.0] * 9)})
    assert found[meta.META]["steps"] is None
    assert found[meta.META]["share"] == pytest.approx(80 / 30)


def test_where_the_fresh_agent_gains_nothing_nobody_is_held_against_it() -> None:
    found = meta.against_fresh({meta.FRESH: curve(0.0, *[-1.0] * 8), meta.META: curve(*[5.0] * 9)})
    assert all(one["steps"] is None and one["share"] is None for one in found.values())


def test_shares_are_means_over_pools_then_over_seeds() -> None:
    pools = [
        [
            {"begins": 0.0, "ends": 1.0, "steps": 10.0, "share": 0.5},
            {"begins": 0.0, "ends": 1.0, "steps": None, "share": None},
        ],
        [
            {"begins": 1.0, "ends": 2.0, "steps": 30.0, "share": 0.1},
            {"begins": 1.0, "ends": 2.0, "steps": 10.0, "share": 0.3},
        ],
    ]
    found = meta.of_all(pools)
    assert (found["n"], found["n_reached"]) == (4, 3)
    assert found["steps"] == 15.0
    assert found["share"]["mean"] == pytest.approx(np.mean([0.5, 0.2]))
    assert found["ends"]["mean"] == 1.5


def test_an_agent_is_worth_the_mean_reward_of_its_actions(untracked_config: ExperimentConfig) -> None:
    """Said again with the world itself, over episodes that end meanwhile."""
    actor = lower.build(untracked_config).actor
    env = envs.make(untracked_config.env, meta.N_ENVS, untracked_config.seed, "select", untracked_config.lower.context)
    acting, observation, rewards = actor.start(meta.N_ENVS), env.reset(), []
    assert untracked_config.env.episode_steps < meta.N_STEPS
    for _ in range(meta.N_STEPS):
        observation, reward, terminated, truncated, _ = env.step(acting.act(observation))
        rewards.append(reward.mean())
        if (terminated | truncated).any():
            observation = env.reset(None, terminated | truncated)
            acting.reset(terminated | truncated)
    assert meta.mean_reward(untracked_config, actor) == pytest.approx(np.mean(rewards))


@pytest.mark.slow
def test_agents_learn_to_learn_and_are_tuned(
    untracked_config: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meta, "N_STEPS", 20)
    env = dataclasses.replace(untracked_config.env, randomise=Randomisation(speed=[0.5, 2.0]))
    changed = {"env": env, "executor": "inline", "lower": dataclasses.replace(untracked_config.lower, timesteps=64)}
    config = dataclasses.replace(untracked_config, **changed)
    with pytest.raises(SettingError, match=r"meta.steps must be > 0 for this study"):
        run_study("meta", config, tmp_path, StudyOptions(seeds=1))
    config = dataclasses.replace(config, meta=MetaConfig(steps=32))
    found = run_study("meta", config, tmp_path, StudyOptions(seeds=1))
    assert list(found) == [meta.FRESH, meta.META, meta.JOINT]
    for one in found.values():
        assert one["n"] == meta.N_POOLS
    rows = meta.STUDY.sections(found)[0].rows
    assert [row[0] for row in rows[1:]] == [*found]
