"""A batch of one world as an environment to learn in: a simulation with observations, rewards and contexts."""

from __future__ import annotations

import copy

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike

from envs.core.action_sets import choice_sizes
from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32
from envs.core.context import ContextSampling
from envs.core.context_sources import ContextSource, HeldContext, SampledContexts
from envs.core.dynamics import Info
from envs.core.finite import check_finite
from envs.core.layout import Layout
from envs.core.simulation import Simulation
from envs.core.state import Tree, restore, restore_all, state_of, states_of
from envs.core.terms import reward_term
from envs.core.world import World


class BatchEnv:
    """A batch of one world under a context; no autoreset, the faces in `envs.faces` add that.

    Observation: the world's, the valid actions where they are masked, then the context, float32. Reward:
    ``-context . terms`` minus the penalty. A final state absorbs: until its reset an env that ended stays as it is, with
    reward zero.

    Parameters
    ----------
    world
        The parts. Terms are copied: what they remember is this batch's own.
    episode_steps
        Steps after which an episode is truncated.
    sampling
        Draws contexts; without it they are the world's own, or else equal, until :meth:`set_context`.

    Attributes
    ----------
    n_rows
        Agents in all envs, those of an env one after another: the envs themselves where each has one agent. Observations,
        actions, rewards and endings are of rows; all agents of an env have one context, and end together.
    """

    def __init__(self, world: World, episode_steps: int, sampling: ContextSampling | None = None) -> None:
        self.world, self.simulation = world, Simulation(world, episode_steps)
        self.n_envs, self.term_names = self.simulation.n_envs, world.term_names
        self.n_agents = world.dynamics.n_agents
        self.n_rows = self.n_envs * self.n_agents
        self.n_terms = len(self.term_names)
        self._sampling = sampling if world.context is None else None
        self.contexts = self._own_contexts()
        self._observe = world.observation_function
        self._terms = [copy.deepcopy(reward_term(term)) for term in world.reward_terms.values()]
        self._penalties = [] if world.penalty is None else [copy.deepcopy(reward_term(world.penalty))]
        self._inform = world.information_function
        self._features = np.zeros((self.n_rows, *self._observe.space.shape), np.float32)
        self._reset_info: Info = {}
        self.layout = layout_of(world)
        self.observation_space = self.layout.space(self._observe.space)
        self.action_space = world.dynamics.action_space
        self.reward_space: spaces.Box = spaces.Box(*world.reward_range, (self.n_terms,), np.float32)

    def _own_contexts(self) -> ContextSource:
        """Contexts of the world and the settings, until others are set."""
        if self._sampling is not None and self._sampling.fixed:
            return HeldContext(np.asarray(self._sampling.fixed), self.n_envs, self.term_names)
        if self._sampling is not None:
            return SampledContexts(self._sampling, self.n_envs, self.n_terms)
        equal = np.full(self.n_terms, 1.0 / self.n_terms)
        return HeldContext(equal if self.world.context is None else self.world.context, self.n_envs, self.term_names)

    @property
    def context(self) -> FloatArray:
        """The contexts now, ``(n_envs, n_terms)``."""
        return self.contexts.context

    def set_context(self, context: Array) -> None:
        """Hold a context from now on, ``(n_terms,)`` for all or ``(n_envs, n_terms)``, instead of those sampled."""
        self.contexts = HeldContext(context, self.n_envs, self.term_names)

    @property
    def setting(self) -> FloatArray:
        """What was last set, ``(n_envs, n)``, for pictures."""
        return self.world.actuator.setting

    def observe(self) -> FloatArray32:
        """Observations now ``(n_rows, n_features)``, a fresh array."""
        return self.layout.join(self._features, self._action_set, self.of_rows(self.context))

    @property
    def _action_set(self) -> BoolArray | None:
        """The valid actions of rows now; None where all are."""
        of_envs = self.simulation.dynamics.action_set
        return None if of_envs is None else self.of_rows(of_envs)

    def of_rows(self, of_envs: Array) -> Array:
        """What holds for envs ``(n_envs, ...)``, for every agent in them ``(n_rows, ...)``."""
        return of_envs if self.n_agents == 1 else of_envs.repeat(self.n_agents, axis=0)

    def reset(self, seed: int | None = None, mask: BoolArray | None = None) -> FloatArray32:
        """Begin an episode in all envs, or where ``mask (n_rows,)`` is set; a seed begins all streams anew.

        Raises
        ------
        ValueError
            The mask has some agents of an env, and not all.
        """
        where = np.ones(self.n_envs, np.bool_) if mask is None else self._of_envs(mask)
        measurements = self.simulation.measurements
        self._observe.before_reset(measurements, where)
        self._inform.before_reset(measurements, where)
        for term in (*self._terms, *self._penalties):
            term.before_reset(measurements, where)
        self.simulation.reset(seed, where)
        self.contexts.begin(self.simulation.dynamics.streams, where)
        self._extract(where)
        self._reset_info = {**self._reward(where), "costs": self._costs_since(self.simulation.costs.total)}
        return self.observe()

    def _of_envs(self, mask: BoolArray) -> BoolArray:
        """A mask of rows as one of envs, whose agents all begin together."""
        by_agent = mask.reshape(self.n_envs, self.n_agents)
        if (by_agent != by_agent[:, :1]).any():
            raise ValueError(f"mask must be the same for all {self.n_agents} agents of an env, got some of them alone")
        return by_agent[:, 0]

    def reset_info(self) -> Info:
        """The `info` of the last reset; ``info["reward"] (n_rows,)`` is the reward of the states it led to."""
        return dict(self._reset_info)

    def step(self, action: ArrayLike) -> tuple[FloatArray32, FloatArray, BoolArray, BoolArray, Info]:
        """One step: observation, reward, terminated, truncated (all with leading ``n_rows``) and info.

        ``info["reward_terms"]`` holds every term by name ``(n_rows,)``, ``info["reward_vector"]`` minus the terms
        ``(n_rows, n_terms)``, ``info["costs"]`` what every constraint bounds by name ``(n_rows,)``,
        ``info["action_set"]`` the valid actions or None, ``info["projected"] (n_rows,)`` where an action was not valid and
        another one was taken.
        """
        running = ~self.simulation.ended
        reward, info = self._advance(np.asarray(action))
        self._extract(running)
        return self.observe(), reward, *self._endings(), info

    def decide(self, action: ArrayLike) -> tuple[FloatArray32, FloatArray, BoolArray, BoolArray, Info]:
        """Steps until some env listens to an action again, or its episode ends: what :meth:`step` returns, once.

        Rewards add up, and so do ``info["reward_vector"]`` and ``info["costs"]``; the rest of `info` is that of the last
        step. Nothing is observed in between.
        """
        began, before = ~self.simulation.ended, self.simulation.costs.total.copy()
        total, info = self._advance(np.asarray(action))
        vector = info["reward_vector"]
        while not (self.world.actuator.due | self.simulation.ended).any():
            reward, info = self._advance(np.asarray(action))
            total, vector = total + reward, vector + info["reward_vector"]
        info["reward_vector"], info["costs"] = vector, self._costs_since(before)
        self._extract(began)
        return self.observe(), total, *self._endings(), info

    def _endings(self) -> tuple[BoolArray, BoolArray]:
        """How the episodes of rows ended, ``(n_rows,)`` each."""
        return self.of_rows(self.simulation.terminated).copy(), self.of_rows(self.simulation.truncated).copy()

    def _advance(self, action: Array) -> tuple[FloatArray, Info]:
        """A step that nobody observes: reward and `info`."""
        simulation = self.simulation
        running, before = ~simulation.ended, simulation.costs.total.copy()
        setting, projected = self.world.actuator.apply(action, simulation.measurements, running)
        simulation.advance(setting)
        info = self._reward(running)
        info["costs"] = self._costs_since(before)
        info["projected"] = self.of_rows(running) & projected
        reward = info.pop("reward")
        self.contexts.step(simulation.dynamics.streams, running & self.world.actuator.due)
        return reward, info

    def _costs_since(self, total: FloatArray) -> dict[str, FloatArray]:
        """What steps have cost since the sums were ``total (n_envs, n_constraints)``: by name ``(n_rows,)``."""
        costs = self.simulation.costs
        return costs.named(self.of_rows(costs.of_step(costs.total - total)))

    def _extract(self, moved: BoolArray) -> None:
        features = self._observe.extract(self.simulation.measurements, moved)
        check_finite(features, self._feature_name, self.of_rows(self.simulation.elapsed))
        self._features = features if moved.all() else np.where(self.of_rows(moved)[:, None], features, self._features)

    def _feature_name(self, column: int) -> str:
        names = getattr(self._observe, "feature_names", ())
        return f"observation {names[column]}" if len(names) > column else f"observation number {column}"

    def _term_name(self, column: int) -> str:
        return f"reward term {self.term_names[column]}"

    def _reward(self, moved: BoolArray) -> Info:
        """Reward, terms and information of the envs that moved; the others get no reward."""
        measurements, elapsed = self.simulation.measurements, self.of_rows(self.simulation.elapsed)
        terms = np.stack([term.extract(measurements, moved) for term in self._terms], axis=-1)
        check_finite(terms, self._term_name, elapsed)
        reward = -(self.of_rows(self.context) * terms).sum(-1)
        for penalty in self._penalties:
            reward = reward - penalty.extract(measurements, moved)
            check_finite(reward[:, None], lambda _: "reward with its penalty", elapsed)
        if not moved.all():
            rows = self.of_rows(moved)
            reward, terms = np.where(rows, reward, 0.0), np.where(rows[:, None], terms, 0.0)
        return {
            **self._inform.extract(measurements, moved),
            "reward": reward,
            "reward_terms": dict(zip(self.term_names, terms.T, strict=True)),
            "reward_vector": -terms,
            "action_set": self._action_set,
        }

    def get_state(self) -> Tree:
        """Everything that moves, as arrays: the simulation, contexts, observations, and what functions remember."""
        return {
            "simulation": self.simulation.get_state(),
            "context": self.context.copy(),
            "holds": isinstance(self.contexts, HeldContext),
            "features": self._features.copy(),
            "observation": state_of(self._observe),
            "information": state_of(self._inform),
            "terms": states_of([*self._terms, *self._penalties]),
        }

    def set_state(self, state: Tree) -> None:
        """Go back to a state of :meth:`get_state`, of this batch or of another one of the same settings."""
        self.simulation.set_state(state["simulation"])
        self.contexts = (
            HeldContext(state["context"], self.n_envs, self.term_names) if state["holds"] else self._own_contexts()
        )
        self.contexts.context = state["context"].copy()
        self._features = state["features"].copy()
        restore(self._observe, state["observation"])
        restore(self._inform, state["information"])
        restore_all([*self._terms, *self._penalties], state["terms"])


def layout_of(world: World) -> Layout:
    """Where things stand in the observations of a world."""
    n_masked = sum(choice_sizes(world.dynamics.action_space)) if world.shows_action_set else 0
    return Layout(world.observation_function.space.shape[0], n_masked, len(world.reward_terms))
