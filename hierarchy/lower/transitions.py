"""A dataset as a learner draws from it: observations as its policy has them, actions as one choice, rewards in its units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, FloatArray32, IntArray
from envs.core.layout import context_of
from hierarchy.datasets.dataset import Episode
from hierarchy.nets.joint_choices import JointChoices
from hierarchy.nets.preprocessed_env import RewardScale, take_in
from hierarchy.nets.preprocessing import Normaliser, Preprocessing, Preprocessor


class Transitions(NamedTuple):
    """Actions on record, and what they led to."""

    observed: FloatArray32  # (n_observations, history * n_observed) of all episodes, one after another
    row: IntArray  # (n_actions,) of the observation before each; that after it is the next one
    action: IntArray  # (n_actions,) the combination that was chosen
    reward: FloatArray32  # (n_actions,)
    terminated: BoolArray  # (n_actions,) for good; where a time limit ended an episode what comes next is as on record

    def draw(self, n: int, rng: np.random.Generator) -> IntArray:
        """Numbers of ``n`` actions, each as likely as another."""
        return rng.integers(0, len(self.row), n)


def transitions_of(
    episodes: Sequence[Episode],
    choices: JointChoices,
    preprocessing: Preprocessing,
    normaliser: Normaliser | None,
    scale: RewardScale | None,
) -> Transitions:
    """All actions of episodes.

    Parameters
    ----------
    normaliser
        Of observations; it takes its moments from all of them.
    scale
        Of rewards, of one env; likewise.
    """
    if normaliser is not None:
        take_in(normaliser, np.concatenate([episode.observations for episode in episodes]))
    if scale is not None:
        for episode in episodes:
            _take_in_rewards(episode, scale, preprocessing.n_terms)
    starts = np.cumsum([0, *(len(episode.observations) for episode in episodes)])[:-1]
    rows = [start + np.arange(episode.n_actions) for start, episode in zip(starts, episodes, strict=True)]
    rewards = [_rewards(episode, scale, preprocessing.n_terms) for episode in episodes]
    return Transitions(
        observed=np.concatenate([_observed(episode, preprocessing, normaliser) for episode in episodes]),
        row=np.concatenate(rows),
        action=choices.encode(np.concatenate([episode.actions for episode in episodes])),
        reward=np.concatenate(rewards).astype(np.float32),
        terminated=np.concatenate([episode.terminations for episode in episodes]),
    )


def _observed(episode: Episode, preprocessing: Preprocessing, normaliser: Normaliser | None) -> FloatArray32:
    """What a policy observes in an episode, ``(n_actions + 1, history * n_observed)``."""
    n, n_observed = episode.observations.shape
    preprocessor, goes_on = Preprocessor(preprocessing, 1, n_observed, normaliser), np.zeros(1, np.bool_)
    return np.concatenate([preprocessor.observe(episode.observations[at : at + 1], goes_on) for at in range(n)])


def _contexts(episode: Episode, n_terms: int) -> FloatArray:
    """Those that rewards were got under, ``(n_actions, n_terms)``."""
    contexts: FloatArray = context_of(episode.observations[:-1], n_terms).astype(np.float64)
    return contexts


def _take_in_rewards(episode: Episode, scale: RewardScale, n_terms: int) -> None:
    """Have the spread of returns run on over an episode."""
    scale.restart()
    rewards, contexts = episode.rewards.astype(np.float32), _contexts(episode, n_terms)
    for at in range(episode.n_actions):
        scale.scale(rewards[at : at + 1], np.zeros(1, np.bool_), contexts[at : at + 1])


def _rewards(episode: Episode, scale: RewardScale | None, n_terms: int) -> FloatArray32:
    rewards = episode.rewards.astype(np.float32)
    return rewards if scale is None else scale.scaled(rewards, _contexts(episode, n_terms))
