"""Several agents in one world: what each of them observes, does and is paid, on a batch.

A game (`envs.games`) and a team of balancers are batches of this form; learners of teams (`hierarchy.team`) and the faces
for PettingZoo and TorchRL know no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from gymnasium import spaces

from envs.core.action_sets import choice_sizes
from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32
from envs.core.state import Tree


@dataclass(frozen=True)
class TeamSpec:
    """Who plays, and what it observes and does. All agents have the same spaces.

    Attributes
    ----------
    agents
        Names, in the order of every agent axis.
    observation_space
        What one agent observes, ``(n_features,)``.
    action_space
        Of one agent: `Discrete`, `MultiDiscrete` or a `Box` of one axis.
    state_space
        Of the whole world ``(n_state,)``, for critics that may know all of it.
    """

    agents: tuple[str, ...]
    observation_space: spaces.Box
    action_space: spaces.Discrete | spaces.MultiDiscrete | spaces.Box
    state_space: spaces.Box

    @property
    def n_agents(self) -> int:
        """How many play."""
        return len(self.agents)


class TeamStep(NamedTuple):
    """What a step of a team leads to; arrays are fresh."""

    observation: FloatArray32  # (n_envs, n_agents, n_features)
    reward: FloatArray  # (n_envs, n_agents) of each agent; their sum is the team's
    terminated: BoolArray  # (n_envs,)
    truncated: BoolArray  # (n_envs,)


class TeamEnv(Protocol):
    """A batch of a world with a team in it; no autoreset.

    Same seed and same actions, same bits, whatever `n_envs`. An env that has ended stays as it is until it is reset, with
    rewards of zero.
    """

    n_envs: int
    spec: TeamSpec

    def reset(self, seed: int | None = None, mask: BoolArray | None = None) -> FloatArray32:
        """Begin an episode in all envs, or where ``mask (n_envs,)`` is set; a seed begins all streams anew.

        Returns
        -------
        FloatArray32
            Fresh observations ``(n_envs, n_agents, n_features)``.
        """

    def step(self, action: Array) -> TeamStep:
        """One step under ``action (n_envs, n_agents)`` or ``(n_envs, n_agents, n_choices)``.

        Raises
        ------
        ValueError
            Actions have another shape, or are none of the space; see :func:`checked_actions`.
        """

    def state(self) -> FloatArray32:
        """The state of the whole world ``(n_envs, n_state)``, a fresh array."""

    def get_state(self) -> Tree:
        """All that moves, as copies."""

    def set_state(self, state: Tree) -> None:
        """Go on from a state of :meth:`get_state`, to the last bit."""


def checked_actions(spec: TeamSpec, action: Array, n_envs: int) -> Array:
    """The actions of a batch of teams, held against their space.

    Returns
    -------
    Array
        Choices as integers ``(n_envs, n_agents)`` or ``(n_envs, n_agents, n_choices)``; actions of a `Box`
        ``(n_envs, n_agents, n_choices)`` clipped to its bounds.

    Raises
    ------
    ValueError
        Actions have another shape, a choice is no integer that the space has, or an entry is not finite.
    """
    shape = (n_envs, spec.n_agents, *(spec.action_space.shape or ()))
    if action.shape != shape:
        raise ValueError(f"actions must have shape {shape}, got {action.shape}")
    if isinstance(spec.action_space, spaces.Box):
        if not np.isfinite(action).all():
            raise ValueError(f"actions must be finite, got {action[~np.isfinite(action)][0]}")
        return np.clip(action.astype(np.float64), spec.action_space.low, spec.action_space.high)
    sizes = choice_sizes(spec.action_space)
    wrong = (action < 0) | (action >= (sizes if action.ndim == 3 else sizes[0])) | (action % 1 != 0)
    if wrong.any():
        raise ValueError(f"actions must be integers >= 0 and < {', '.join(map(str, sizes))}, got {action[wrong][0]}")
    return action.astype(np.int64)
