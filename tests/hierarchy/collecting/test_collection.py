"""Datasets hold what agents observe, do and are rewarded for; an episode is its own, and a pair acts as it is deployed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import minari
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs.core.layout import context_of
from envs.core.validation import SettingError
from envs.load_balancing.config import BalancersConfig, Constraints
from hierarchy.building import upper
from hierarchy.collecting import collection
from hierarchy.collecting.conduct import Conduct
from hierarchy.collecting.sources import Source
from hierarchy.config import ExperimentConfig
from hierarchy.datasets.dataset import Episode
from hierarchy.datasets.reading import read_dataset
from hierarchy.pair import Pair, Upper
from tests.hierarchy.collecting.made import lasting, of_rule


def episodes_of(source: Source) -> list[Episode]:
    return [episode for batch in collection.episodes_of(source) for episode in batch]


def same(ours: Episode, theirs: Episode) -> None:
    for name, part in ours._asdict().items():
        if isinstance(part, np.ndarray):
            assert_array_equal(part, getattr(theirs, name), err_msg=name)


def test_what_was_written_is_read_back(untracked_config: ExperimentConfig, tmp_path: Path) -> None:
    config = lasting(untracked_config, 12)
    config = dataclasses.replace(config, env=dataclasses.replace(config.env, constraints=Constraints(late=0.1)))
    source = Source(config, Conduct(rule="nominal", episodes=3))
    assert collection.make_dataset(source, tmp_path / "made") == 36
    read = read_dataset(tmp_path / "made", "data")
    written = episodes_of(source)
    for ours, theirs in zip(read.episodes, written, strict=True):
        same(ours, theirs)
        assert ours.terms.keys() == theirs.terms.keys()
        assert_array_equal(ours.costs["late"], theirs.costs["late"])
    assert read.said.spec == envs.describe(config.env)
    assert (read.said.role, read.said.seed) == ("train", config.seed)


def test_others_read_it_with_minari_alone(
    untracked_config: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_rule(lasting(untracked_config, 12), tmp_path / "mine-v3", episodes=2)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    found = minari.load_dataset("mine-v3")
    assert (found.id, len(found), found.total_steps) == ("mine-v3", 2, 24)
    episode = found[1]
    assert found.observation_space.contains(episode.observations[0])
    assert found.action_space.contains(episode.actions[0])
    assert episode.truncations.tolist() == [False] * 11 + [True]
    assert not episode.terminations.any()
    assert episode.infos["propensity"].shape == (12,)


def test_a_reward_is_minus_the_terms_under_the_context(untracked_config: ExperimentConfig) -> None:
    """Over the steps of an action; the mix is observed."""
    for episode in episodes_of(Source(lasting(untracked_config, 12), Conduct(rule="nominal", episodes=3))):
        context = context_of(episode.observations[:-1], 3)
        terms = np.stack([episode.terms[name] for name in ("fairness", "latency", "cost")], axis=-1)
        assert_allclose(episode.rewards, -(context * terms).sum(-1), rtol=1e-5)


def test_an_action_is_a_step_however_long_it_stands(untracked_config: ExperimentConfig) -> None:
    source = Source(lasting(untracked_config, 12, every_steps=5), Conduct(rule="nominal", episodes=2))
    assert [episode.n_actions for episode in episodes_of(source)] == [3, 3]  # of 5, 5 and 2 steps


def test_an_episode_is_the_same_in_any_batch(untracked_config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(lasting(untracked_config, 12), Conduct(rule="nominal", episodes=5, random_share=0.5))
    together = episodes_of(source)
    monkeypatch.setattr(collection, "SIDE_BY_SIDE", 2)
    for ours, theirs in zip(together, episodes_of(source), strict=True):
        same(ours, theirs)
    assert len({episode.rewards.sum() for episode in together}) == 5
    assert len({tuple(episode.random) for episode in together}) > 1, "each explores by itself"


def test_no_stream_of_evaluation_is_met(untracked_config: ExperimentConfig) -> None:
    source = Source(untracked_config, Conduct(rule="nominal"))
    streams = {role: envs.make(untracked_config.env, 2, untracked_config.seed, role) for role in envs_roles()}
    assert (envs_streams(source.batch([0, 1])) == envs_streams(streams["train"])).all()
    assert all((envs_streams(source.batch([0, 1])) != envs_streams(streams[role])).all() for role in ("select", "evaluate"))


def envs_roles() -> tuple[str, ...]:
    return ("train", "select", "evaluate")


def envs_streams(batch: Any) -> np.ndarray:
    found: np.ndarray = batch.simulation.dynamics.streams[:, 0, 0]
    return found


def test_a_pair_acts_as_it_is_deployed(untracked_config: ExperimentConfig, policy: Any, upper_agent: Any) -> None:
    """The same requests, the same mixes, the same weights, window by window."""
    config = lasting(untracked_config, 22)
    source = Source(config, Conduct(episodes=3, random_share=0.0), policy, upper_agent.actor)
    simulation = envs.simulate(config.env, 3, config.seed, "train")
    simulation.reset()
    pair = Pair(simulation.world, policy.start(3), Upper(upper_agent.actor.start(3)), config.upper.meta_period)
    pair.reset()
    contexts, settings = [], []
    while not simulation.ended.all():
        simulation.advance(pair.decide(simulation.measurements))
        contexts.append(pair.context.copy())
        settings.append(simulation.world.actuator.setting.copy())
    episodes = episodes_of(source)
    seen = np.stack([context_of(episode.observations[:-1], 3) for episode in episodes], axis=1)
    assert_allclose(seen, np.array(contexts), atol=1e-6)
    assert len(np.unique(np.round(seen[:, 0], 5), axis=0)) == 6, "contexts must change for this to be a test"
    again = envs.make(config.env, 3, config.seed, "train")
    again.reset()
    for actions, expected in zip(zip(*(episode.actions for episode in episodes), strict=True), settings, strict=True):
        again.step(np.stack(actions))
        assert_array_equal(again.setting, expected)


def test_a_pair_may_draw_its_actions(untracked_config: ExperimentConfig, policy: Any, upper_agent: Any) -> None:
    config = lasting(untracked_config, 12)
    drawn, likeliest = (
        episodes_of(Source(config, Conduct(episodes=4, random_share=0.0, draws=draws), policy, upper_agent.actor))
        for draws in (True, False)
    )
    assert all((episode.propensity == 1.0).all() for episode in likeliest)
    propensity = np.concatenate([episode.propensity for episode in drawn])
    assert ((propensity > 0.0) & (propensity <= 1.0)).all()
    assert (propensity < 0.9).any()


def test_every_balancer_has_an_episode(untracked_config: ExperimentConfig) -> None:
    config = lasting(untracked_config, 12)
    config = dataclasses.replace(config, env=dataclasses.replace(config.env, balancers=BalancersConfig(n=2)))
    episodes = episodes_of(Source(config, Conduct(rule="nominal", episodes=2)))
    assert [(episode.env_id, episode.agent) for episode in episodes] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert (episodes[0].observations != episodes[1].observations).any()


def test_settings_of_the_world_stand_beside(untracked_config: ExperimentConfig, tmp_path: Path) -> None:
    of_rule(lasting(untracked_config, 12), tmp_path / "made")
    kept = json.loads((tmp_path / "made" / "world.json").read_text())
    assert kept["env"]["episode_steps"] == 12
    assert kept["env"]["family"] == "load_balancing"


def test_nothing_is_written_where_something_is(untracked_config: ExperimentConfig, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "mine").write_text("stays")
    with pytest.raises(SettingError, match="to must be a folder that is empty or not there yet"):
        of_rule(untracked_config, tmp_path / "made")
    assert [path.name for path in tmp_path.rglob("*")] == ["made", "mine"]


def test_what_is_cut_short_leaves_nothing(
    untracked_config: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def failing(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return collect(*arguments)

    collect = collection.collect
    monkeypatch.setattr(collection, "collect", failing)
    monkeypatch.setattr(collection, "SIDE_BY_SIDE", 1)
    with pytest.raises(KeyboardInterrupt):
        of_rule(untracked_config, tmp_path / "made")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("conduct", "message"),
    [
        ({}, "rule must be given where no folder"),
        ({"rule": "nominal", "contexts": "upper"}, "contexts must be sampled with a rule"),
        ({"rule": "nominal", "draws": True}, "draws must be false with a rule"),
        ({"rule": "nominal", "random_share": 1.5}, "random_share must be >= 0 and <= 1"),
        ({"rule": "nominal", "episodes": 0}, "episodes must be > 0"),
    ],
)
def test_what_can_not_be_is_refused(untracked_config: ExperimentConfig, conduct: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Source(untracked_config, Conduct(**conduct))


def test_a_pair_of_contexts_per_balancer_is_refused(
    untracked_config: ExperimentConfig, policy: Any, upper_agent: Any
) -> None:
    above = dataclasses.replace(untracked_config.upper, context_per_balancer=True)
    config = dataclasses.replace(untracked_config, upper=above)
    with pytest.raises(SettingError, match=r"contexts must be sampled where upper\.context_per_balancer is true"):
        Source(config, Conduct(), policy, upper_agent.actor)
    Source(config, Conduct(contexts="sampled"), policy, upper_agent.actor)


def test_a_pair_that_sets_numbers_draws_none(untracked_config: ExperimentConfig, policy_for: Any, tmp_path: Path) -> None:
    config = lasting(untracked_config, 12, mode="weights")
    lower = policy_for(config)
    above = upper.build(config, lower).actor
    with pytest.raises(SettingError, match="draws must be false for recurrent_ppo"):
        collection.make_dataset(Source(config, Conduct(draws=True), lower, above), tmp_path / "made")
    collection.make_dataset(Source(config, Conduct(episodes=2), lower, above), tmp_path / "made")
    assert read_dataset(tmp_path / "made", "data").said.propensity == "density"


def test_an_action_is_rewarded_under_the_mix_that_it_was_decided_under(
    untracked_config: ExperimentConfig, policy: Any, upper_agent: Any
) -> None:
    """Windows end while actions last."""
    config = lasting(untracked_config, 22, every_steps=3)
    assert config.upper.meta_period % 3
    episodes = episodes_of(Source(config, Conduct(episodes=3, random_share=0.0), policy, upper_agent.actor))
    n_mixes = 0
    for episode in episodes:
        mixes = context_of(episode.observations[:-1], 3)
        terms = np.stack([episode.terms[name] for name in envs.describe(config.env).terms], axis=-1)
        assert_allclose(episode.rewards, -(mixes * terms).sum(-1), rtol=1e-5, atol=1e-6)
        n_mixes += len(np.unique(np.round(mixes, 5), axis=0))
    assert n_mixes > 6, "mixes must change for this to be a test"
