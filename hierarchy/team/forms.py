"""What a team's networks are, as plain values: who observes and does what. Importing it costs no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from gymnasium import spaces

from envs.core.arrays import Array, IntArray
from envs.core.team import TeamSpec
from envs.core.validation import SettingError, check, setting

Kind = Literal["discrete", "multi_discrete", "box"]
Memory = Literal["none", "gru"]
MAX_JOINT_ACTIONS = 4096


@dataclass(frozen=True)
class ActionForm:
    """The actions of one agent: choices, or numbers.

    Within learners an action is ``(..., n_branches)``: the number of the choice in every branch, or numbers in [-1, 1].
    """

    kind: Kind
    sizes: list[int] = setting(default_factory=list, ge=1)
    """choices in each branch; a `Discrete` has one branch, numbers have none"""
    low: list[float] = field(default_factory=list)
    """of each number"""
    high: list[float] = field(default_factory=list)
    """of each number"""

    def __post_init__(self) -> None:
        check(self)

    @property
    def is_box(self) -> bool:
        """Whether actions are numbers."""
        return self.kind == "box"

    @property
    def n_branches(self) -> int:
        """Choices or numbers in an action."""
        return len(self.low if self.is_box else self.sizes)

    @property
    def n_outputs(self) -> int:
        """A value for every choice of every branch, or one for every number."""
        return len(self.low) if self.is_box else sum(self.sizes)

    def n_joint(self, n_agents: int) -> int:
        """How many joint actions a team has."""
        return int(math.prod(self.sizes) ** n_agents)

    def uniform(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Actions ``(*shape, n_branches)``, each as likely as another."""
        if self.is_box:
            return rng.uniform(-1.0, 1.0, (*shape, self.n_branches)).astype(np.float32)
        drawn: IntArray = rng.integers(0, self.sizes, (*shape, self.n_branches))
        return drawn

    def for_env(self, action: Array) -> Array:
        """Actions ``(n_envs, n_agents, n_branches)`` as the env takes them; numbers are clipped to their bounds."""
        if self.kind == "discrete":
            return action[..., 0]
        if self.kind == "multi_discrete":
            return action
        low, high = np.array(self.low), np.array(self.high)
        return np.asarray(low + (np.clip(action, -1.0, 1.0) + 1.0) / 2.0 * (high - low), np.float32).clip(low, high)


def action_form(space: spaces.Space[Any]) -> ActionForm:
    """The actions of a space.

    Raises
    ------
    SettingError
        It is no `Discrete`, no `MultiDiscrete` of one axis, and no bounded `Box` of one axis; or counts from another number
        than 0.
    """
    if isinstance(space, spaces.Discrete) and space.start == 0:
        return ActionForm("discrete", [int(space.n)])
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1 and not np.any(space.start):
        return ActionForm("multi_discrete", space.nvec.tolist())
    if isinstance(space, spaces.Box) and len(space.shape) == 1 and space.is_bounded():
        return ActionForm("box", [], space.low.astype(float).tolist(), space.high.astype(float).tolist())
    raise SettingError("action_space", "Discrete, MultiDiscrete or a bounded Box of one axis, counted from 0", space)


@dataclass(frozen=True)
class TeamForm:
    """What the networks of a team are.

    A network observes windows: the last ``window_steps`` observations of an agent, oldest first, each with a feature at the
    end that is 1, and zeros for steps before the episode.
    """

    action: ActionForm
    n_agents: int = setting(gt=0)
    n_features: int = setting(ge=0)
    hidden_size: int = setting(gt=0)
    memory: Memory = "none"
    memory_steps: int = setting(1, gt=0)
    shares_parameters: bool = True
    is_joint: bool = False
    """whether one network observes all agents and acts for all"""

    def __post_init__(self) -> None:
        check(self)

    @property
    def window_steps(self) -> int:
        """Observations that a network takes."""
        return self.memory_steps if self.memory == "gru" else 1

    @property
    def window_shape(self) -> tuple[int, int, int]:
        """Of the windows of a team: agents, steps, features with the one that says that the step was there."""
        return self.n_agents, self.window_steps, self.n_features + 1

    def check_spec(self, spec: TeamSpec) -> None:
        """Whether a team of another specification observes and acts alike.

        Raises
        ------
        ValueError
            It doesn't.
        """
        (n_features,) = spec.observation_space.shape
        wanted = self.n_agents, self.n_features, self.action
        found = spec.n_agents, n_features, action_form(spec.action_space)
        for name, ours, theirs in zip(("agents", "features", "actions"), wanted, found, strict=True):
            if ours != theirs:
                raise ValueError(f"{name} of the team must be {ours}, got {theirs}")


def joint_index(action: IntArray, form: ActionForm) -> IntArray:
    """The numbers ``(n,)`` of joint actions ``(n, n_agents, n_branches)``; the last agent's last branch counts fastest."""
    n_agents = action.shape[1]
    return np.asarray(np.ravel_multi_index(tuple(action.reshape(len(action), -1).T), form.sizes * n_agents), np.int64)
