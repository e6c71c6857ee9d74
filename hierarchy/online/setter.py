"""Sets contexts by an upper agent that goes on learning, within what a guard allows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from envs.core.arrays import BoolArray, FloatArray, FloatArray32
from envs.core.finite import NonFiniteError
from envs.core.objectives import Objective, evaluate
from envs.core.simplex import to_action, to_contexts
from envs.core.state import Tree, restore, state_of
from envs.core.statistics import Statistics
from hierarchy.online.config import OnlineConfig
from hierarchy.online.guard import Event, Guard, Standing
from hierarchy.online.transition import Transition
from hierarchy.online.trust import distance, held_near
from hierarchy.pair import ContextSetter, Window
from hierarchy.protocols import Acting

if TYPE_CHECKING:
    from hierarchy.online.learner import OnlineLearner

Signal = Callable[[Statistics], FloatArray]
"""What is learned from: a figure ``(n_envs,)`` of the statistics of a window, such as the objective."""


class Progress(NamedTuple):
    """As of the last window that has ended.

    Attributes
    ----------
    n_windows
        That have ended.
    event
        What it has led to.
    objective
        Of the window; NaN before the first.
    standing
        Of the guard.
    n_learned
        Windows that were learned from since learning last began.
    away
        Of the mix in force from that of the deployed agent, see :func:`hierarchy.online.trust.distance`.
    """

    n_windows: int
    event: Event
    objective: float
    standing: Standing
    n_learned: int
    away: float


class Online(ContextSetter):
    """One stream of windows, in a simulation or live; what was learned outlives episodes.

    Parameters
    ----------
    deployed
        The agent that was deployed, acting.
    make_learner
        Makes one that begins as the deployed agent, given how many there were before.
    guard
        Whether what was learned is in force.
    config
        How far it may go.
    objective
        That the guard sees.
    signal
        What is learned from; the objective by default.
    """

    uses_statistics = True

    def __init__(
        self,
        deployed: Acting,
        make_learner: Callable[[int], OnlineLearner],
        guard: Guard,
        config: OnlineConfig,
        objective: Objective,
        signal: Signal | None = None,
    ) -> None:
        self._deployed, self._make_learner, self._guard, self._config = deployed, make_learner, guard, config
        self._objective, self._signal = objective, signal or (lambda statistics: evaluate(objective, statistics))
        self._learner = make_learner(0)
        self._before: FloatArray32 | None = None  # observed as the window began
        self._action: FloatArray | None = None  # that was asked for in it; the deployed agent's where that was in force
        self._is_due = False  # whether there is something new to learn from
        self._event: Event = ""  # since the last window
        self.progress = Progress(0, "", float("nan"), guard.standing, 0, 0.0)

    def disturbed(self) -> None:
        """What was decided is not in force: the window that is under way says nothing about it."""
        self._before = self._action = None

    def update(self) -> None:
        """Learn from the last window, unless that is done. A live loop does it when its decision is written, since it takes
        time; else it is done before the next mix is set. What can't be learned from is rolled back.
        """
        if not self._is_due:
            return
        self._is_due = False
        try:
            self._learner.update()
        except NonFiniteError:
            self.roll_back()

    def roll_back(self) -> None:
        """The deployed agent is back from the next window on, and what was learned is forgotten."""
        self._guard.roll_back()
        self._forget()
        self._event = "rolled back"
        self.disturbed()

    def _forget(self) -> None:
        self._learner, self._is_due = self._make_learner(self._guard.standing.n_rollbacks), False

    def contexts(self, window: Window) -> FloatArray:
        self.update()
        objective = float("nan")
        if window.statistics is not None:
            objective = float(evaluate(self._objective, window.statistics)[0])
            if self._before is not None and self._action is not None and math.isfinite(objective):
                self._event = self._event or self._end_window(
                    objective, Transition(self._before, self._action, window.observation), window.statistics
                )
        mix, away = self._begin_window(window.observation)
        n_windows = self.progress.n_windows + (window.statistics is not None)
        standing = self._guard.standing
        self.progress = Progress(n_windows, self._event, objective, standing, self._learner.n_seen, away)
        self._event = ""
        return mix

    def _end_window(self, objective: float, transition: Transition, statistics: Statistics) -> Event:
        """Have the guard judge a window; it is remembered, or all that was learned is forgotten."""
        was_learning = self._guard.standing.is_learning
        event = self._guard.observe(objective)
        if event == "rolled back":
            self._forget()
        elif was_learning:
            self._learner.take_in(transition, float(self._signal(statistics)[0]) - self._guard.standing.promise)
            self._is_due = True
        return event

    def _begin_window(self, observation: FloatArray32) -> tuple[FloatArray, float]:
        """A mix ``(1, k)``, and how far it is from the deployed agent's."""
        deployed = self._deployed.act(observation)
        is_learning = self._guard.standing.is_learning
        self._action = self._learner.explore(observation) if is_learning else to_action(deployed)
        mix = held_near(deployed, to_contexts(self._action, 1), self._config.trust) if is_learning else deployed
        self._before = observation.copy()
        return mix, float(distance(deployed, mix)[0])

    def reset(self, mask: BoolArray) -> None:
        """What was learned stays; the window that an episode's end cuts short is not learned from."""
        self._deployed.reset(mask)
        self.disturbed()

    def get_state(self) -> Tree:
        """All that moves; the agent that was deployed does not."""
        is_under_way = self._before is not None and self._action is not None
        under_way = {"before": self._before, "action": self._action} if is_under_way else {}
        own = {"n_windows": self.progress.n_windows, "is_due": self._is_due, "event": self._event}
        return {"guard": state_of(self._guard), "learner": self._learner.get_state(), **own, **under_way}

    def set_state(self, state: Tree) -> None:
        """Go on from a state of one that was made alike."""
        restore(self._guard, state["guard"])
        self._learner.set_state(state["learner"])
        self._is_due, self._event = bool(state["is_due"]), state["event"]
        self._before, self._action = (state[name].copy() if name in state else None for name in ("before", "action"))
        nothing = float("nan")
        self.progress = Progress(state["n_windows"], "", nothing, self._guard.standing, self._learner.n_seen, nothing)
