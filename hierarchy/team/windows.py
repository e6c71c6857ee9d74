"""What agents with a memory observe: the last steps of their episode, oldest first.

A network that is run over a window from nothing on remembers the same when a step is replayed as when it was acted, and a
transition can be learned from by itself; what was remembered when a transition was kept would be of older networks.
"""

from __future__ import annotations

import numpy as np

from envs.core.arrays import BoolArray, FloatArray32


def moved_on(window: FloatArray32, observation: FloatArray32, starts: BoolArray) -> FloatArray32:
    """Windows one step later.

    Parameters
    ----------
    window
        ``(n_envs, n_agents, n_window, n_features + 1)``; the last feature is 1 where the step was there.
    observation
        What is observed now ``(n_envs, n_agents, n_features)``.
    starts
        Where an episode begins ``(n_envs,)``: nothing before is observed.
    """
    moved = np.empty_like(window)
    moved[:, :, :-1] = np.where(starts[:, None, None, None], np.float32(0.0), window[:, :, 1:])
    moved[:, :, -1, :-1], moved[:, :, -1, -1] = observation, 1.0
    return moved
