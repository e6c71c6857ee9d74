"""Episodes of a batch of one world: the dynamics under one clock, without reward and without context."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.core.arrays import Array, BoolArray, FloatArray
from envs.core.constraints import Costs
from envs.core.dynamics import Transition
from envs.core.objectives import evaluate
from envs.core.state import Tree, restore, state_of
from envs.core.statistics import Statistics
from envs.core.world import World


class Simulation:
    """Runs the dynamics of a world; agents, rules and the faces of an env all act on this.

    A final state absorbs: until its reset an env that ended stays as it is.

    Parameters
    ----------
    world
        The parts.
    episode_steps
        Steps after which an episode is truncated.

    Attributes
    ----------
    elapsed
        Steps since the reset ``(n_envs,)``: the only clock there is.
    terminated, truncated
        How episodes ended ``(n_envs,)``.
    n_rows
        Agents in all envs.
    costs
        What the episodes have cost so far, by constraint.
    settles
        Whether a truncated episode is settled. Not where a learner goes on to value what its last state leads to: what still
        waits there would be paid for twice.
    """

    def __init__(self, world: World, episode_steps: int) -> None:
        self.world, self.dynamics, self.episode_steps = world, world.dynamics, episode_steps
        self.n_envs = self.dynamics.n_envs
        self.n_rows = self.n_envs * self.dynamics.n_agents
        self.elapsed = np.zeros(self.n_envs, np.int64)
        self.terminated = np.zeros(self.n_envs, np.bool_)
        self.truncated = np.zeros(self.n_envs, np.bool_)
        self.costs = Costs(world.constraints, self.n_envs)
        self.settles = True

    @property
    def measurements(self) -> Any:
        """What can be measured now; arrays are written anew every step, copy what is to be kept."""
        return self.dynamics.measurements

    @property
    def ended(self) -> BoolArray:
        """The envs ``(n_envs,)`` whose episode is over."""
        over: BoolArray = self.terminated | self.truncated
        return over

    def reset(self, seed: int | None = None, mask: BoolArray | None = None) -> BoolArray:
        """Begin an episode in all envs, or where ``mask (n_envs,)`` is set; a seed begins all streams anew.

        Returns
        -------
        Where episodes began ``(n_envs,)``.
        """
        if seed is not None:
            self.dynamics.reseed(seed)
        where = np.ones(self.n_envs, np.bool_) if mask is None else mask
        self.world.statistics.before_reset(self.measurements, where)
        self.costs.before_reset(self.measurements, where)
        transition = self.dynamics.reset_dynamics(where)
        self.elapsed[where] = 0
        self.truncated[where] = False
        self._arrive(transition, where)
        self.world.actuator.reset(self.measurements, where)
        self.costs.begin(self.measurements, where)
        return where

    def advance(self, setting: Array) -> BoolArray:
        """One step under a setting ``(n_envs, ...)`` of the envs that have not ended; who they were ``(n_envs,)``."""
        running = ~self.ended
        transition = self.dynamics.step_dynamics(setting, running)
        self.elapsed += running
        self._arrive(transition, running)
        self.world.statistics.record(self.measurements, running)
        late: BoolArray = running & ~self.terminated & (self.elapsed >= self.episode_steps)
        if late.any():
            self.truncated |= late
            if self.settles:
                self.dynamics.settle(late)
        self.costs.record(self.measurements, running, self.elapsed)
        return running

    def _arrive(self, transition: Transition, moved: BoolArray) -> None:
        """Take in where a reset or a step led the envs that moved."""
        if transition.terminated is None:
            self.terminated[moved] = False
        else:
            self.terminated = np.where(moved, transition.terminated, self.terminated)
        action_set, before = transition.action_set, self.dynamics.action_set
        if action_set is not None and before is not None:
            action_set = np.where(moved[:, None], action_set, before)
        self.dynamics.action_set = action_set

    def totals(self) -> Any:
        """A copy of everything that adds up, to measure a stretch from."""
        return self.world.statistics.totals(self.measurements)

    def statistics(self, totals: Any = None) -> dict[str, FloatArray]:
        """Named figures ``(n_envs,)`` since those totals, or since the reset."""
        return self.world.statistics.since(self.measurements, totals)

    def objective(self, statistics: Statistics) -> FloatArray:
        """The world's objective on statistics, ``(n_envs,)``."""
        return evaluate(self.world.objective, statistics)

    def get_state(self) -> Tree:
        """Everything that moves: clock, endings, valid actions, dynamics, actuator, statistics, costs."""
        own = {name: getattr(self, name).copy() for name in ("elapsed", "terminated", "truncated")}
        if self.dynamics.action_set is not None:
            own["action_set"] = self.dynamics.action_set.copy()
        return {**own, **{name: state_of(part) for name, part in self._parts().items()}}

    def set_state(self, state: Tree) -> None:
        """Go back to a state of :meth:`get_state`."""
        for name in ("elapsed", "terminated", "truncated"):
            setattr(self, name, state[name].copy())
        self.dynamics.action_set = state["action_set"].copy() if "action_set" in state else None
        for name, part in self._parts().items():
            restore(part, state[name])

    def _parts(self) -> dict[str, Any]:
        of_world = {name: getattr(self.world, name) for name in ("dynamics", "actuator", "statistics")}
        return {**of_world, "costs": self.costs}
