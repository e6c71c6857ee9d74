"""How much of what a policy would do is on record, and when that is too little to say anything."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envs.core.arrays import FloatArray
from hierarchy.off_policy.case import Case
from hierarchy.off_policy.importance import effective_pieces, effective_size

LEAST_EPISODES = 10
"""Episodes in a dataset: the interval is from the spread over them, and that of fewer is itself hardly known."""
LEAST_PIECES = 30
"""Effective number of pieces: below it a few pieces make the mean, whose error is not normal then, nor told by them."""
REACH = 3
"""Actions in a row after which most of what a policy makes of a state shows: where the record has no such stretches, values
are fitted to states that others' actions have led to, and are off by more than their spread says."""
LEAST_STRETCHES = 500
"""Effective number of such stretches: as many as a value has coefficients, about. In the datasets that it was chosen with
eight of ten intervals below it missed what the policy gained over the behaviour when it was simulated."""
MOST_UNSUPPORTED = 0.05
"""Share of the policy's probability on actions that the behaviour never takes: over ten actions 0.05 are 40 %, and nothing
is known of what they lead to."""
N_ERRORS = 2.0
"""Standard errors by which a share must be above what is allowed."""


class Overlap(NamedTuple):
    """What is on record of a policy.

    Attributes
    ----------
    episodes, pieces, actions, stretches
        On record.
    reach
        Actions in a stretch.
    effective_pieces
        As many equal weights tell as much as those of pieces, at the action where they are fewest.
    effective_stretches
        The same of :data:`REACH` actions in a row, wherever they begin, or of a whole piece if that is shorter.
    unsupported
        Share of the policy's probability, at what the behaviour met, on actions that the behaviour never takes there: what
        the mean ratio lacks of 1.
    unsupported_error
        Its standard error.
    """

    episodes: int
    pieces: int
    actions: int
    stretches: int
    reach: int
    effective_pieces: float
    effective_stretches: float
    unsupported: float
    unsupported_error: float


def overlap_of(case: Case) -> Overlap:
    """Measured by ratios alone.

    A mean of ``pi / mu`` over actions that ``mu`` has drawn is the share of ``pi`` on actions where ``mu > 0``. No model
    of the behaviour is needed.
    """
    record, ratios, stretches = case.record, case.ratios, _stretches(case)
    by_episode = np.zeros((record.n_episodes, 2))
    np.add.at(by_episode, record.episode, np.stack([ratios, np.ones_like(ratios)], axis=-1))
    drawn = case.counts @ by_episode
    unsupported = max(0.0, 1.0 - float(ratios.mean()))
    return Overlap(
        episodes=record.n_episodes,
        pieces=len(record.piece),
        actions=len(ratios),
        stretches=len(stretches),
        reach=min(REACH, record.horizon),
        effective_pieces=effective_pieces(case),
        effective_stretches=effective_size(stretches),
        unsupported=unsupported,
        unsupported_error=float((drawn[:, 0] / np.maximum(drawn[:, 1], 1.0)).std(ddof=1)),
    )


def _stretches(case: Case) -> FloatArray:
    """Products of ratios of actions in a row in one episode, ``(n_stretches,)``."""
    record, n = case.record, min(REACH, case.record.horizon)
    first = np.arange(len(record.action) - n + 1)
    whole = first[record.episode[first] == record.episode[first + n - 1]]
    found: FloatArray = np.prod([case.ratios[whole + at] for at in range(n)], axis=0)
    return found


def _lacks(overlap: Overlap) -> str | None:
    """Why nothing can be told of the policy by anyone."""
    if overlap.episodes < LEAST_EPISODES:
        return f"{overlap.episodes} episodes on record, at least {LEAST_EPISODES} are needed"
    if overlap.unsupported - N_ERRORS * overlap.unsupported_error > MOST_UNSUPPORTED:
        share = f"{overlap.unsupported:.0%} of the policy's probability is on actions"
        return f"{share} that the behaviour does not take on record, at most {MOST_UNSUPPORTED:.0%} may be"
    return None


def lacks_pieces(overlap: Overlap) -> str | None:
    """Why weights of pieces tell nothing of the policy; None if they do."""
    return _lacks(overlap) or _too_few(overlap.effective_pieces, f"{overlap.pieces} pieces", LEAST_PIECES)


def lacks_stretches(overlap: Overlap) -> str | None:
    """Why values that are fitted tell nothing of the policy; None if they do."""
    all_of_them = f"{overlap.stretches} stretches of {overlap.reach} actions"
    return _lacks(overlap) or _too_few(overlap.effective_stretches, all_of_them, LEAST_STRETCHES)


def _too_few(effective: float, all_of_them: str, least: float) -> str | None:
    return (
        f"effective sample size {effective:.1f} of {all_of_them}, at least {least} are needed" if effective < least else None
    )
