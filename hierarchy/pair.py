"""The pair of agents as it is deployed: measurements in, settings out.

A :class:`Pair` holds the acting lower agent, whoever sets the context, and the window clock. Training of the upper agent,
evaluation, benchmarks and a live balancer all decide through it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32
from envs.core.batch import layout_of
from envs.core.context import contexts_of_agents, of_env
from envs.core.state import Tree, copied, merged, restore, state_of
from envs.core.statistics import Statistics
from envs.core.world import World
from hierarchy.protocols import Acting


class Window:
    """The window that has just ended, for whoever sets the context of the next; figures are made when asked for.

    Parameters
    ----------
    world
        What is measured.
    measurements
        Of now.
    totals
        What added up until the window began; None before the first.
    context
        The contexts ``(n_envs, n_terms)`` that were in force, the mean where agents of an env had others.
    """

    def __init__(self, world: World, measurements: Any, totals: Any, context: FloatArray) -> None:
        self.world, self.measurements, self.context = world, measurements, context
        self._totals = totals

    @cached_property
    def statistics(self) -> Statistics | None:
        """Of the window; None before the first."""
        return None if self._totals is None else self.world.statistics.since(self.measurements, self._totals)

    @cached_property
    def observation(self) -> FloatArray32:
        """What the upper agent observes, ``(n_envs, n_features)``, see :func:`meta_observation`."""
        return meta_observation(self.world, self.statistics, self.context)


def meta_observation(world: World, statistics: Statistics | None, context: FloatArray) -> FloatArray32:
    """Scaled statistics of a window and the contexts in force, ``(n_envs, n_features)``; zeros before the first window."""
    if statistics is None:
        observed = np.zeros((len(context), len(world.statistics.observed_names)), np.float32)
    else:
        observed = world.statistics.observed(statistics)
    return np.concatenate([observed, context.astype(np.float32)], axis=1)


def equal_mix(world: World) -> FloatArray:
    """The context of equal weights ``(n_terms,)``."""
    n_terms = len(world.reward_terms)
    return np.full(n_terms, 1.0 / n_terms)


class ContextSetter:
    """Sets the contexts of windows. A kind of context setter fills in :meth:`contexts`.

    Attributes
    ----------
    uses_statistics
        Whether it asks for the statistics of a window.
    """

    uses_statistics = False

    def contexts(self, window: Window) -> FloatArray:
        """Contexts ``(n_terms,)`` for all envs, ``(n_envs, n_terms)``, or ``(n_envs, n_agents, n_terms)`` with one for each
        agent, given the window that has just ended.
        """
        raise NotImplementedError

    def on_step(self) -> None:
        """A lower step begins."""

    def reset(self, mask: BoolArray) -> None:
        """Episodes begin in ``mask (n_envs,)``."""


class Held(ContextSetter):
    """A context that others set."""

    def __init__(self, context: FloatArray) -> None:
        self.context = context

    def contexts(self, window: Window) -> FloatArray:
        return self.context


class Upper(ContextSetter):
    """An acting upper agent."""

    uses_statistics = True

    def __init__(self, acting: Acting) -> None:
        self._acting = acting

    def contexts(self, window: Window) -> FloatArray:
        contexts: FloatArray = self._acting.act(window.observation)
        return contexts

    def reset(self, mask: BoolArray) -> None:
        self._acting.reset(mask)

    def get_state(self) -> Tree:
        """What the agent remembers."""
        return state_of(self._acting)

    def set_state(self, state: Tree) -> None:
        """Go back to a state of :meth:`get_state`."""
        restore(self._acting, state)


class Pair:
    """Decides for every agent in every env of a batch, step by step.

    Parameters
    ----------
    world
        The functions of what is measured; nothing hidden of it is read.
    lower
        The acting lower agent.
    setter
        Sets the context at the beginning of every window.
    period
        Steps in a window.

    Attributes
    ----------
    contexts
        Those in force ``(n_envs, n_agents, n_terms)``.
    """

    def __init__(self, world: World, lower: Acting, setter: ContextSetter, period: int) -> None:
        n_envs, n_terms, self._n_agents = world.dynamics.n_envs, len(world.reward_terms), world.dynamics.n_agents
        self.contexts = np.full((n_envs, self._n_agents, n_terms), 1.0 / n_terms)
        self._world, self._layout, self._lower, self._setter, self._period = world, layout_of(world), lower, setter, period
        self._everyone = np.ones(n_envs, np.bool_)
        self._step = 0
        self._totals: Any = None
        self._action: Array | None = None  # stands until the next one is listened to

    @property
    def context(self) -> FloatArray:
        """The contexts in force ``(n_envs, n_terms)``, the mean where agents of an env have others."""
        return of_env(self.contexts)

    def reset(self, mask: BoolArray | None = None) -> None:
        """Episodes have begun in all envs, or where ``mask (n_envs,)`` is set: equal contexts, nothing remembered.

        The clock is that of the batch: envs that begin later join the window that is under way.
        """
        where = self._everyone if mask is None else mask
        self._action = None
        self.contexts = np.where(where[:, None, None], 1.0 / self.contexts.shape[-1], self.contexts)
        self._lower.reset(self._of_rows(where))
        self._setter.reset(where)
        self._world.observation_function.before_reset(self._world.dynamics.measurements, where)
        if where.all():
            self._step, self._totals = 0, None
        elif self._totals is not None:
            self._totals = merged(where, self._world.statistics.totals(self._world.dynamics.measurements), self._totals)

    def decide(self, measurements: Any) -> Array:
        """What to set until the next step ``(n_envs, ...)``: weights, in the load-balancing world."""
        if self._step % self._period == 0:
            self._begin_window(measurements)
        self._step += 1
        self._setter.on_step()
        actuator = self._world.actuator
        if self._action is None or actuator.due.any():
            features = self._world.observation_function.extract(measurements, self._everyone)
            context = self.contexts.reshape(-1, self.contexts.shape[-1])
            of_envs = self._world.dynamics.action_set
            action_set = None if of_envs is None else self._of_rows(of_envs)
            self._action = self._lower.act(self._layout.join(features, action_set, context))
        setting, _ = actuator.apply(self._action, measurements, self._everyone)
        return setting

    def _of_rows(self, of_envs: Array) -> Array:
        """What holds for envs, for every agent in them."""
        return of_envs if self._n_agents == 1 else of_envs.repeat(self._n_agents, axis=0)

    def _begin_window(self, measurements: Any) -> None:
        window = Window(self._world, measurements, self._totals, self.context)
        context, names = np.asarray(self._setter.contexts(window)), self._world.term_names
        self.contexts = contexts_of_agents(context, len(self._everyone), self._n_agents, names)
        if self._setter.uses_statistics:
            self._totals = self._world.statistics.totals(measurements)

    def get_state(self) -> Tree:
        """The clock, contexts, where totals stood when the window began, and what agents and functions remember."""
        totals = {} if self._totals is None else {"totals": copied(self._totals)}
        action = {} if self._action is None else {"action": self._action.copy()}
        return {
            **totals,
            **action,
            "step": self._step,
            "contexts": self.contexts.copy(),
            "lower": state_of(self._lower),
            "setter": state_of(self._setter),
            "observation": state_of(self._world.observation_function),
            "actuator": state_of(self._world.actuator),
        }

    def set_state(self, state: Tree) -> None:
        """Go back to a state of :meth:`get_state`."""
        self._step, self.contexts = state["step"], state["contexts"].copy()
        self._totals = self._totals_of(state["totals"]) if "totals" in state else None
        self._action = state["action"].copy() if "action" in state else None
        restore(self._lower, state["lower"])
        restore(self._setter, state["setter"])
        restore(self._world.observation_function, state["observation"])
        restore(self._world.actuator, state["actuator"])

    def _totals_of(self, state: Any) -> Any:
        """Totals in the form that the world's statistics have them in."""
        return _formed(self._world.statistics.totals(self._world.dynamics.measurements), state)


def _formed(form: Any, state: Any) -> Any:
    """A copy of a tree in the form of named tuples."""
    if not isinstance(state, dict):
        return copied(state)
    return type(form)(**{name: _formed(getattr(form, name), part) for name, part in state.items()})
