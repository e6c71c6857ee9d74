"""Environments composed of parts: a world is dynamics and functions of them, and a batch runs it under a context.

The parts are those of Ecole (Prouvost et al., "Ecole: A Gym-like Library for Machine Learning in Combinatorial Optimization
Solvers", 2020), on a batch.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from envs.core.action_sets import choice_sizes, project
from envs.core.context import ContextSampling, check_context
from envs.core.dynamics import (
    Dynamics,
    FloatArray32,
    Info,
    InformationFunction,
    NoInformation,
    ObservationFunction,
    Transition,
)
from envs.core.reports import Means, Reports
from envs.core.rng import CONTEXT, fill_uniform, next_u64
from envs.core.terms import BoolArray, FloatArray, Function, RewardTerm, reward_term

__all__ = ["BatchEnv", "Dynamics", "InformationFunction", "ObservationFunction", "Transition", "World"]


@dataclass(frozen=True)
class World:
    """The parts of an environment; `dataclasses.replace` makes a variant.

    Attributes
    ----------
    reward_terms
        Losses by name, in the order of the context's weights.
    penalty
        A loss that comes off beside the mix.
    reports
        Figures of windows; the means of the reward terms by default.
    context
        The mix ``(n_terms,)`` that holds until another one is set; None draws mixes, or keeps equal ones.
    reward_range
        Bounds of each entry of the reward vector, minus a term each.
    nominal_action
        What one would do without learning, in the shape of one env's action, if there is such a thing.
    """

    dynamics: Dynamics
    observation_function: ObservationFunction
    reward_terms: Mapping[str, RewardTerm | Function]
    information_function: InformationFunction = field(default_factory=NoInformation)
    penalty: RewardTerm | Function | None = None
    reports: Reports | None = None
    context: FloatArray | None = None
    reward_range: tuple[float, float] = (-np.inf, np.inf)
    nominal_action: NDArray[Any] | None = None


class BatchEnv:
    """A batch of one world under a context; no autoreset, the faces in `envs.faces.gymnasium` add that.

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
        Draws contexts; without it they start equal and stay until :meth:`set_context`.
    """

    def __init__(self, world: World, episode_steps: int, sampling: ContextSampling | None = None) -> None:
        dynamics = world.dynamics
        self.dynamics = dynamics
        self.reports: Reports = world.reports or Means(dynamics, world.reward_terms)
        self.nominal_action = world.nominal_action
        self.n_envs = dynamics.n_envs
        self.term_names = tuple(world.reward_terms)
        self.n_terms = len(self.term_names)
        self.episode_steps = episode_steps
        self.elapsed = np.zeros(self.n_envs, np.int64)
        self.terminated = np.zeros(self.n_envs, np.bool_)
        self.truncated = np.zeros(self.n_envs, np.bool_)
        self.action_set: BoolArray | None = None
        self.context = np.full((self.n_envs, self.n_terms), 1.0 / self.n_terms)
        self._sampling = sampling
        if world.context is not None:
            self.set_context(world.context)
        self._look = world.observation_function
        self._terms = [copy.deepcopy(reward_term(term)) for term in world.reward_terms.values()]
        self._penalties = [] if world.penalty is None else [copy.deepcopy(reward_term(world.penalty))]
        self._inform = world.information_function
        self._shows_action_set = dynamics.masks_actions and not self._look.carries_action_set
        self._seen = np.zeros((self.n_envs, *self._look.space.shape), np.float32)
        self._reset_info: Info = {}
        self.observation_space = self._observation_space()
        self.action_space = dynamics.action_space
        self.reward_space: spaces.Box = spaces.Box(*world.reward_range, (self.n_terms,), np.float32)

    def _observation_space(self) -> spaces.Box[np.float32]:
        world = self._look.space
        n_masked = sum(choice_sizes(self.dynamics.action_space)) if self._shows_action_set else 0
        low, high = np.zeros(n_masked + self.n_terms, np.float32), np.ones(n_masked + self.n_terms, np.float32)
        return spaces.Box(np.concatenate([world.low, low]), np.concatenate([world.high, high]), dtype=np.float32)

    def set_context(self, context: NDArray[Any]) -> None:
        """Hold a context from now on, ``(n_terms,)`` for all or ``(n_envs, n_terms)``; ends the sampling of contexts."""
        self.context = check_context(context, self.n_envs, self.term_names)
        self._sampling = None

    def _draw_contexts(self, mask: BoolArray) -> None:
        if self._sampling is None:
            return
        for env in np.flatnonzero(mask):
            self.context[env] = self._sampling.draw(self.n_terms, int(next_u64(self.dynamics.streams[env, CONTEXT])))

    def _switch_contexts(self, running: BoolArray) -> None:
        if self._sampling is None or self._sampling.switch_probability == 0:
            return
        draw = np.empty((self.n_envs, 1))
        fill_uniform(self.dynamics.streams[:, CONTEXT], draw)
        self._draw_contexts(running & (draw[:, 0] < self._sampling.switch_probability))

    @property
    def ended(self) -> BoolArray:
        """The envs ``(n_envs,)`` whose episode is over."""
        over: BoolArray = self.terminated | self.truncated
        return over

    def observe(self) -> FloatArray32:
        """Observations now ``(n_envs, n_features)``, a fresh array."""
        parts = [self._seen, self.context.astype(np.float32)]
        if self._shows_action_set:
            assert self.action_set is not None
            parts.insert(1, self.action_set.astype(np.float32))
        return np.concatenate(parts, axis=1)

    def look(self) -> FloatArray32:
        """Observations of a state that something else than a step has changed, such as measurements of real servers."""
        self._see(np.ones(self.n_envs, np.bool_))
        return self.observe()

    def reset(self, seed: int | None = None, mask: BoolArray | None = None) -> FloatArray32:
        """Begin an episode in all envs, or where ``mask (n_envs,)`` is set; a seed begins all streams anew."""
        if seed is not None:
            self.dynamics.reseed(seed)
        where = np.ones(self.n_envs, np.bool_) if mask is None else mask
        self._look.before_reset(self.dynamics, where)
        self._inform.before_reset(self.dynamics, where)
        for term in (*self._terms, *self._penalties):
            term.before_reset(self.dynamics, where)
        self.reports.before_reset(where)
        reached = self.dynamics.reset_dynamics(where)
        self.elapsed[where] = 0
        self.truncated[where] = False
        self._reach(reached, where)
        self._draw_contexts(where)
        self._see(where)
        self._reset_info = self._paid(where)
        return self.observe()

    def reset_info(self) -> Info:
        """What `info` says after the last reset; ``info["reward"] (n_envs,)`` is the reward of the states it led to."""
        return dict(self._reset_info)

    def advance(self, action: ArrayLike) -> tuple[FloatArray32, BoolArray]:
        """One step for those who do not look at the reward: observation, and who has ended ``(n_envs,)``.

        Nobody asks the reward terms, so a cumulative one does not hear of the step.
        """
        running, _ = self._move(action)
        self._switch_contexts(running)
        self._see(running)
        return self.observe(), self.ended

    def step(self, action: ArrayLike) -> tuple[FloatArray32, FloatArray, BoolArray, BoolArray, Info]:
        """One step: observation, reward, terminated, truncated (all with leading ``n_envs``) and info.

        ``info["reward_terms"]`` holds every term by name ``(n_envs,)``, ``info["reward_vector"]`` minus the terms
        ``(n_envs, n_terms)``, ``info["action_set"]`` the valid actions or None, ``info["projected"] (n_envs,)`` where an
        action was not valid and another one was taken.
        """
        running, projected = self._move(action)
        info = self._paid(running)
        info["projected"] = running & (projected | info.get("projected", False))
        reward = info.pop("reward")
        self._switch_contexts(running)
        self._see(running)
        return self.observe(), reward, self.terminated.copy(), self.truncated.copy(), info

    def _move(self, action: ArrayLike) -> tuple[BoolArray, BoolArray]:
        """Step the envs that have not ended: who they are, and where an action was not valid."""
        taken, projected = np.asarray(action), np.zeros(self.n_envs, np.bool_)
        if self.action_set is not None:
            taken, projected = project(self.action_space, taken, self.action_set)
        running = ~self.ended
        reached = self.dynamics.step_dynamics(taken, running)
        self.elapsed += running
        self._reach(reached, running)
        self.reports.record(running)
        late: BoolArray = running & ~self.terminated & (self.elapsed >= self.episode_steps)
        if late.any():
            self.truncated |= late
            self.dynamics.settle(late)
        return running, projected

    def _reach(self, reached: Transition, moved: BoolArray) -> None:
        """Take in where a reset or a step led the envs that moved."""
        if reached.terminated is None:
            self.terminated[moved] = False
        else:
            self.terminated = np.where(moved, reached.terminated, self.terminated)
        if reached.action_set is None or self.action_set is None:
            self.action_set = reached.action_set
        else:
            self.action_set = np.where(moved[:, None], reached.action_set, self.action_set)

    def _see(self, moved: BoolArray) -> None:
        seen = self._look.extract(self.dynamics, moved)
        self._seen = seen if moved.all() else np.where(moved[:, None], seen, self._seen)

    def _paid(self, moved: BoolArray) -> Info:
        """Reward, terms and information of the envs that moved; the others are paid nothing."""
        terms = np.stack([term.extract(self.dynamics, moved) for term in self._terms], axis=-1)
        reward = -(self.context * terms).sum(-1)
        for penalty in self._penalties:
            reward = reward - penalty.extract(self.dynamics, moved)
        if not moved.all():
            reward, terms = np.where(moved, reward, 0.0), np.where(moved[:, None], terms, 0.0)
        return {
            **self._inform.extract(self.dynamics, moved),
            "reward": reward,
            "reward_terms": dict(zip(self.term_names, terms.T, strict=True)),
            "reward_vector": -terms,
            "action_set": self.action_set,
        }

    def snapshot(self) -> dict[str, Any]:
        """A copy of everything that the batch is made of; :meth:`restore` goes back to it."""
        return copy.deepcopy(self.__dict__)

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go back to a snapshot; `dynamics` and `reports` are other objects from then on."""
        self.__dict__.update(copy.deepcopy(dict(snapshot)))
