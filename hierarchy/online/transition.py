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
    action
        That was asked for in it ``(1, k)``, with noise. That it is held near the deployed agent's is a part of the world.
    """

    before: FloatArray32
    action: FloatArray
    after: FloatArray32
