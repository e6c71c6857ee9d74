"""What a policy would do at what is on record is what it does when it meets that."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from envs.core.validation import SettingError
from hierarchy.collecting.behaviour import Drawn
from hierarchy.config import ExperimentConfig
from hierarchy.datasets.dataset import Episode
from hierarchy.datasets.reading import read_dataset
from hierarchy.lower.acting import JointPolicyActor, PolicyActor
from hierarchy.nets.joint_actor import JointForm, build
from hierarchy.nets.joint_choices import JointChoices
from hierarchy.off_policy.settings import OffPolicy
from hierarchy.off_policy.target import target_of
from tests.hierarchy.collecting.made import lasting, of_rule


@pytest.fixture
def episodes(untracked_config: ExperimentConfig, tmp_path: Path) -> list[Episode]:
    """Of two lengths."""
    found = list(read_dataset(of_rule(lasting(untracked_config, 12), tmp_path / "made"), "data").episodes)
    shorter = found[1]._replace(**{name: getattr(found[1], name)[:6] for name in ("observations",)})
    return [found[0], shorter._replace(**_cut(found[1], 5)), found[2]]


def _cut(episode: Episode, n: int) -> dict[str, Any]:
    names = ("actions", "rewards", "terminations", "truncations", "propensity", "random")
    return {name: getattr(episode, name)[:n] for name in names}


def target(actor: Any, episodes: list[Episode], **settings: Any) -> np.ndarray:
    form = actor.module.form.action
    return target_of(actor, "mine", episodes, form, OffPolicy(**settings))


def test_each_episode_is_met_alone_and_remembered(policy: PolicyActor, episodes: list[Episode]) -> None:
    """As if there were no others, whatever their lengths."""
    choices, found = JointChoices(policy.module.form.action), target(policy, episodes)
    at = 0
    for episode in episodes:
        acting = policy.start(1)
        for observation in episode.observations:
            chosen = choices.encode(acting.act(observation[None]))[0]
            assert_array_equal(found[at], np.eye(choices.n)[chosen])
            at += 1
    assert at == len(found)


def test_probabilities_are_those_that_actions_are_drawn_by(policy: PolicyActor, episodes: list[Episode]) -> None:
    found = target(policy, episodes[:1], draws=True)
    assert_allclose(found.sum(1), 1.0)
    drawn, choices = Drawn(policy, [np.random.default_rng(0)]), JointChoices(policy.module.form.action)
    for row, observation in zip(found, episodes[0].observations, strict=True):
        action = drawn.act(observation[None])
        assert row[choices.encode(action)[0]] == pytest.approx(drawn.probability(action)[0], rel=1e-4)


def test_a_share_is_drawn_from_all_there_are(policy: PolicyActor, episodes: list[Episode]) -> None:
    certain, explored = target(policy, episodes), target(policy, episodes, random_share=0.2)
    assert_allclose(explored, 0.8 * certain + 0.2 / certain.shape[1])


def test_who_has_no_probabilities_draws_nothing(policy: PolicyActor, episodes: list[Episode]) -> None:
    form = policy.module.form
    of_choices = {"hidden_size": 8, "n_terms": 3, "history": 1, "normalise": False}
    actor = JointPolicyActor(build(JointForm(action=form.action, n_observed=form.n_observed, **of_choices)))  # type: ignore[arg-type]
    assert (target(actor, episodes).max(1) == 1.0).all()
    with pytest.raises(SettingError, match=r"^draws must be false for mine, got True$"):
        target(actor, episodes, draws=True)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"horizon": 0}, "horizon must be > 0"),
        ({"discount": 1.5}, "discount must be >= 0 and <= 1"),
        ({"random_share": -0.1}, "random_share must be >= 0 and <= 1"),
    ],
)
def test_settings_that_can_not_be_are_refused(settings: Any, line: str) -> None:
    with pytest.raises(SettingError, match=line):
        OffPolicy(**settings)
    assert dataclasses.asdict(OffPolicy())["horizon"] == 10
