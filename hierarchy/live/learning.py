"""A pair that goes on learning behind a real balancer: what was learned is kept after every window, for the next start."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from envs.core.validation import SettingError, check, one_line
from hierarchy.live.controller import Decision
from hierarchy.online.config import OnlineConfig
from hierarchy.storage.checkpoints import Checkpoints

if TYPE_CHECKING:
    from hierarchy.online.setter import Online

IDENTITY = "of"
"""What a kept state says that it belongs to."""


@dataclass(frozen=True)
class LearningConfig:
    """Whether the upper agent goes on learning, and how."""

    learn: Path | None = None
    """folder of what the upper agent learns while it steers, which is gone on with; without, it learns nothing"""
    online: OnlineConfig = field(default_factory=OnlineConfig)
    """how it learns"""

    def __post_init__(self) -> None:
        check(self)
        if self.learn is None and self.online != OnlineConfig():
            raise SettingError("online", "left out without learn", "settings of what is not learned")


class Learning:
    """Is told of every decision by the loop that steers.

    Parameters
    ----------
    online
        What learns.
    folder
        Where it is kept; what an earlier run has left there is gone on with.
    identity
        Of the deployed agent and its settings.

    Raises
    ------
    SettingError
        What is in the folder was learned from another agent, or by other settings.
    """

    def __init__(self, online: Online, folder: Path, identity: str) -> None:
        self.online, self._identity, self._checkpoints = online, identity, Checkpoints(folder)
        self._n_kept, self._is_kept = 0, True
        before = self._checkpoints.latest()
        if before is None:
            return
        if not isinstance(before, Mapping) or before.get(IDENTITY) != identity:
            allowed = "a new folder, or one of what this pair has learned by these settings"
            raise SettingError("learn", allowed, folder)
        online.set_state(before["state"])
        online.reset(np.ones(1, np.bool_))  # the window that was under way is over

    def observe(self, decision: Decision) -> None:
        """A step has ended: what was held is not learned from, and what was learned is kept. Nothing that goes wrong in
        learning ends the steering.
        """
        if decision.held_because:
            self.online.disturbed()
        try:
            self.online.update()
        except Exception as error:  # whatever an algorithm raises
            self.online.roll_back()
            _say(
                f"what was learned is forgotten, since it can't be learned from ({type(error).__name__}: {one_line(error)})"
            )
        n = self.online.progress.n_windows
        if n > self._n_kept:
            self._n_kept = n
            self._keep()

    def _keep(self) -> None:
        """Keep the state; if that fails it is tried again with the next window."""
        try:
            self._checkpoints.save({IDENTITY: self._identity, "state": self.online.get_state()})
        except OSError as error:
            if self._is_kept:
                _say(f"what is learned can't be kept now ({one_line(error)})")
            self._is_kept = False
        else:
            if not self._is_kept:
                _say("what is learned is kept again")
            self._is_kept = True


def _say(line: str) -> None:
    print(f"metabalance: {line}", file=sys.stderr, flush=True)
