"""A record is cut into whole pieces, and is rewarded under the mix that is asked for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from envs.core.layout import context_of
from envs.core.validation import SettingError
from hierarchy.config import ExperimentConfig
from hierarchy.datasets.reading import read_dataset
from hierarchy.off_policy.record import ENDED, record_of, under_mix
from tests.hierarchy.collecting.made import lasting, of_rule
from tests.hierarchy.off_policy import tabular
from tests.hierarchy.off_policy.tabular import CHOICES

TERMS = ("fairness", "latency", "cost")


def lasts(n: int, ends: bool):  # type: ignore[no-untyped-def]
    """An episode of so many actions, whose rewards are counted."""
    return tabular.episode(np.zeros(n + 1, int), np.zeros(n, int), np.arange(n) + 1.0, np.ones(n), ends)


def test_pieces_follow_one_another_and_what_a_time_limit_leaves_over_is_in_none() -> None:
    record = record_of([lasts(7, False), lasts(3, False), lasts(2, False)], CHOICES, 1, 3)
    assert record.piece.tolist() == [[0, 1, 2], [3, 4, 5], [7, 8, 9]]
    assert record.of_piece.tolist() == [0, 0, 1]
    assert record.in_pieces(record.reward).tolist() == [[1, 2, 3], [4, 5, 6], [1, 2, 3]]
    assert record.by_episode(np.array([1.0, 2.0, 5.0])).tolist() == [3, 5, 0]


def test_an_episode_that_ended_for_good_has_nothing_after_it() -> None:
    record = record_of([lasts(4, True)], CHOICES, 1, 3)
    assert record.piece.tolist() == [[0, 1, 2], [3, ENDED, ENDED]]
    assert record.in_pieces(record.reward).tolist() == [[1, 2, 3], [4, 0, 0]]
    assert record.in_pieces(record.reward, ended=1.0)[1].tolist() == [4, 1, 1]


def test_a_piece_longer_than_any_episode_is_refused() -> None:
    with pytest.raises(SettingError, match=r"^horizon must be at most the 7 actions of the longest episode .*, got 8$"):
        record_of([lasts(7, False), lasts(3, False)], CHOICES, 1, 8)


def test_rewards_are_minus_the_terms_under_another_mix(untracked_config: ExperimentConfig, tmp_path: Path) -> None:
    episodes = read_dataset(of_rule(lasting(untracked_config, 12), tmp_path / "made"), "data").episodes
    mix = np.array([0.2, 0.5, 0.3])
    for before, after in zip(episodes, under_mix(episodes, mix, TERMS), strict=True):
        assert_allclose(after.rewards, -sum(w * before.terms[name] for w, name in zip(mix, TERMS, strict=True)), atol=1e-6)
        assert_allclose(context_of(after.observations, 3), np.tile(mix, (13, 1)), rtol=1e-6)
        assert_array_equal(after.observations[:, :-3], before.observations[:, :-3])
        assert_array_equal(after.propensity, before.propensity)


def test_under_the_mix_on_record_nothing_changes(untracked_config: ExperimentConfig, tmp_path: Path) -> None:
    """Penalties, which no mix weighs, stay."""
    context = dataclasses.replace(untracked_config.lower.context, fixed=[0.5, 0.25, 0.25])
    lower = dataclasses.replace(untracked_config.lower, context=context)
    config = dataclasses.replace(lasting(untracked_config, 12), lower=lower)
    episodes = [
        episode._replace(rewards=episode.rewards - 7.0)
        for episode in read_dataset(of_rule(config, tmp_path / "made"), "data").episodes
    ]
    for before, after in zip(episodes, under_mix(episodes, np.array([0.5, 0.25, 0.25]), TERMS), strict=True):
        assert_allclose(after.rewards, before.rewards)
        assert_array_equal(after.observations, before.observations)
