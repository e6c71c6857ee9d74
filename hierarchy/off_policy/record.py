"""What is on record as arrays, cut into pieces of a fixed number of actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32, IntArray
from envs.core.layout import context_of
from envs.core.validation import SettingError
from hierarchy.datasets.dataset import Episode
from hierarchy.lower.transitions import transitions_of
from hierarchy.nets.joint_choices import JointChoices
from hierarchy.nets.preprocessing import Preprocessing

ENDED = -1
"""Stands in a piece for an action that there is none of, since the episode was over for good."""


class Record(NamedTuple):
    """Actions of a behaviour, one after another over all episodes."""

    observed: FloatArray32  # (n_observations, n_observed), the mix last; an episode has one more than actions
    row: IntArray  # (n_actions,) of the observation before each; that after it is the next one
    action: IntArray  # (n_actions,) the combination that was chosen, of all that there are
    reward: FloatArray  # (n_actions,)
    terminated: BoolArray  # (n_actions,) for good
    propensity: FloatArray  # (n_actions,) how likely the behaviour was to do that, > 0
    episode: IntArray  # (n_actions,) in which episode
    piece: IntArray  # (n_pieces, horizon) numbers of actions, or ENDED
    n_episodes: int
    n_terms: int  # in a mix

    @property
    def horizon(self) -> int:
        """Actions in a piece."""
        return int(self.piece.shape[1])

    @property
    def of_piece(self) -> IntArray:
        """The episode of each piece, ``(n_pieces,)``."""
        of_first: IntArray = self.episode[self.piece[:, 0]]
        return of_first

    def in_pieces(self, of_actions: Array, ended: float = 0.0) -> FloatArray:
        """What there is of each action ``(n_actions,)``, piece by piece ``(n_pieces, horizon)``; ``ended`` after the end."""
        return np.where(self.piece == ENDED, ended, of_actions[self.piece]).astype(np.float64)

    def by_episode(self, of_pieces: FloatArray) -> FloatArray:
        """Sums over the pieces ``(n_pieces, ...)`` of each episode, ``(n_episodes, ...)``."""
        sums = np.zeros((self.n_episodes, *of_pieces.shape[1:]))
        np.add.at(sums, self.of_piece, of_pieces)
        return sums


def record_of(episodes: Sequence[Episode], choices: JointChoices, n_terms: int, horizon: int) -> Record:
    """Everything on record.

    Pieces follow one another from the beginning of an episode. What is left over at the end of one that a time limit ended
    is in no piece: nobody knows what would have come.

    Raises
    ------
    SettingError
        No episode is long enough for a piece.
    """
    found = transitions_of(episodes, choices, Preprocessing(n_terms), None, None)
    lengths = [episode.n_actions for episode in episodes]
    firsts = np.cumsum([0, *lengths])[:-1]
    pieces = [
        _pieces(int(first), episode, horizon) for first, episode in zip(firsts, episodes, strict=True) if episode.n_actions
    ]
    piece = np.concatenate(pieces) if pieces else np.zeros((0, horizon), np.int64)
    if not len(piece):
        raise SettingError("horizon", f"at most the {max(lengths)} actions of the longest episode in the dataset", horizon)
    return Record(
        observed=found.observed,
        row=found.row,
        action=found.action,
        reward=np.concatenate([episode.rewards for episode in episodes]).astype(np.float64),
        terminated=found.terminated,
        propensity=np.concatenate([episode.propensity for episode in episodes]).astype(np.float64),
        episode=np.repeat(np.arange(len(episodes)), lengths),
        piece=piece,
        n_episodes=len(episodes),
        n_terms=n_terms,
    )


def _pieces(first: int, episode: Episode, horizon: int) -> IntArray:
    """Of one episode whose first action has that number, ``(n, horizon)``."""
    n = episode.n_actions
    n_pieces = -(-n // horizon) if episode.terminations[-1] else n // horizon
    number = np.arange(n_pieces * horizon)
    return np.where(number < n, first + number, ENDED).reshape(n_pieces, horizon)


def under_mix(episodes: Sequence[Episode], mix: FloatArray, terms: Sequence[str]) -> list[Episode]:
    """Episodes as they would have been rewarded under another mix ``(n_terms,)``, which is observed in place of theirs.

    The world knows no mix, so what was done led to the same; penalties, which no mix weighs, stay. Propensities are those of
    what was done under the mix on record, and hold: the behaviour was what it was.
    """
    return [_under_mix(episode, mix, terms) for episode in episodes]


def _under_mix(episode: Episode, mix: FloatArray, terms: Sequence[str]) -> Episode:
    observations, n = episode.observations.copy(), len(terms)
    of_terms = np.stack([episode.terms[name] for name in terms], axis=-1)
    was = context_of(episode.observations[:-1], n).astype(np.float64)
    context_of(observations, n)[...] = mix
    return episode._replace(observations=observations, rewards=episode.rewards + ((was - mix) * of_terms).sum(-1))
