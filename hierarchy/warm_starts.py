"""Settings of what agents begin with. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from envs.core.action_sets import choice_sizes
from envs.core.validation import SettingError, check, setting

N_JOBS = 2
"""Of a round: as many on any machine, so that the same is learned everywhere."""
N_FUTURES = 512
"""Futures side by side in a job: of more the simulator's state leaves the processor's cache."""


class JobSize(NamedTuple):
    """How many states a job of a round tries actions in: those of all its envs, at moments spread over an episode."""

    n_envs: int
    n_moments: int


@dataclass(frozen=True)
class WarmStart:
    """What actions gain over the nominal one, tried out in branched futures before an agent learns by itself."""

    rounds: int = setting(0, ge=0)
    """times that actions are tried, each time with what was learned before going on after them; 0 begins with nothing"""
    states: int = setting(1_700, gt=0)
    """states of a round in which actions are tried, at least: as many at every moment of an episode that is chosen"""
    tries: int = setting(5, gt=0)
    """actions tried in a state, beside the nominal one"""
    ahead_steps: int = setting(100, gt=0)
    """lower steps that a future lasts, those of the action that is tried among them"""
    explore: float = setting(0.2, ge=0, le=1)
    """share of random actions on the way from state to state"""
    aims: bool = False
    """draw half of the contexts around the mix whose weighted gains are most like those of the objective, once that is known
    from the first tries"""
    n_errors: float = setting(1.0, ge=0)
    """standard errors that are taken off what an action is held to gain"""

    def __post_init__(self) -> None:
        check(self)

    def check_world(self, action_space: spaces.Space[Any]) -> None:
        """Whether all actions can be told apart by one number.

        Raises
        ------
        SettingError
            An action is not one choice of several, or there is less to try.
        """
        if self.rounds == 0:
            return
        sizes = choice_sizes(action_space)
        if len(sizes) != 1:
            raise SettingError("warm_start.rounds", "0 in a world where an action is not one choice", self.rounds)
        if self.tries >= sizes[0]:
            raise SettingError("warm_start.tries", f"<= {sizes[0] - 1}, what there is to try", self.tries)

    @property
    def jobs(self) -> list[JobSize]:
        """The jobs of a round."""
        sizes = [len(part) for part in np.array_split(np.arange(self.states), N_JOBS)]
        at_once = max(N_FUTURES // (self.tries + 1), 1)
        n_moments = [-(-size // at_once) for size in sizes if size > 0]
        return [JobSize(-(-size // n), n) for size, n in zip(sizes, n_moments, strict=False)]
