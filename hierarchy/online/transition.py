"""What is learned from: a window, from its beginning to its end."""

from __future__ import annotations

from typing import NamedTuple

from envs.core.arrays import FloatArray, FloatArray32


class Transition(NamedTuple):
    """A window.

    Attributes
    ----------
    before, after
        What was observed as it began and as it ended ``(1, n_features)``.
    mix
        In force in it ``(1, k)``.
    """

    before: FloatArray32
    mix: FloatArray
    after: FloatArray32
