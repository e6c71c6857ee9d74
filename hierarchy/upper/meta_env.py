"""The upper world: one meta step sets the context and runs a window of the simulation below."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from envs.core.arrays import BoolArray, FloatArray
from envs.core.context import of_env
from envs.core.finite import check_finite
from envs.core.rules import Controller
from envs.core.simplex import to_contexts
from envs.core.simulation import Simulation
from envs.core.state import Tree, restore_all, states_of
from envs.core.world import World
from hierarchy.nets.window_memory import Recall, WindowMemory, fit_with, fitted_arrays
from hierarchy.pair import Held, Pair, equal_mix, meta_observation
from hierarchy.protocols import Acting
from hierarchy.vec_env import ArrayVecEnv


def run_window(simulation: Simulation, controller: Controller, n_steps: int) -> dict[str, FloatArray]:
    """Run ``n_steps``, or until all episodes have ended: the statistics of the window."""
    totals = simulation.totals()
    for _ in range(n_steps):
        simulation.advance(controller.decide(simulation.measurements))
        if simulation.ended.all():
            break
    return simulation.statistics(totals)


def meta_observation_space(world: World, memory: WindowMemory | None = None) -> spaces.Box:
    """The window's scaled statistics, then the context that was in force; or what a memory makes of them."""
    n_features = len(world.statistics.observed_names) + len(world.reward_terms)
    return spaces.Box(-np.inf, np.inf, (n_features if memory is None else memory.n_observed,), np.float32)


class Below(NamedTuple):
    """A simulation and the pair that runs it."""

    simulation: Simulation
    pair: Pair

    def reset(self, seed: int | None, mask: BoolArray) -> None:
        """Begin episodes in ``mask (n_envs,)``."""
        self.simulation.reset(seed, mask)
        self.pair.reset(mask)

    def get_state(self) -> Tree:
        """All that moves."""
        return {"simulation": self.simulation.get_state(), "pair": self.pair.get_state()}

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        self.simulation.set_state(state["simulation"])
        self.pair.set_state(state["pair"])

    def objective(self, n_steps: int) -> FloatArray:
        """Of the next ``n_steps``, ``(n_envs,)``."""
        return self.simulation.objective(run_window(self.simulation, self.pair, n_steps))


class MetaEnv(ArrayVecEnv):
    """Many meta envs as one SB3 `VecEnv`; the lower agent acts for all of them in one call per lower step.

    Action: ``(n_envs, n_contexts * k)`` in [-1, 1], see :func:`to_contexts`. Reward: the objective of the window, or of a
    whole episode; above that of a twin, if there is one.
    A meta episode ends where the simulation below terminates, and is truncated after ``n_windows`` meta steps.

    Parameters
    ----------
    simulation
        Runs below; its episodes are of ``n_windows * period`` steps, or of one meta step where that is a whole episode.
    lower
        The acting lower agent.
    period
        Lower steps in a meta step.
    n_windows
        Meta steps in a meta episode.
    whole_episodes
        Whether a meta step is a whole episode of the simulation; its ends then don't end the meta episode.
    twin
        The same again, which meets the same requests under a fixed mix.
    n_contexts
        1 for one context for all agents of an env, their number for one each.
    memory
        What goes before the agent, which observes what that makes of windows.

    Attributes
    ----------
    objective, contexts
        Of the last meta step ``(n_envs,)``, and the contexts that it set ``(n_envs, n_agents, k)``.
    """

    memory: WindowMemory | None = None

    def __init__(
        self,
        simulation: Simulation,
        lower: Acting,
        period: int,
        n_windows: int,
        whole_episodes: bool = False,
        twin: Below | None = None,
        n_contexts: int = 1,
        memory: WindowMemory | None = None,
    ) -> None:
        world = simulation.world
        n_terms = len(world.reward_terms)
        self.simulation, self.term_names = simulation, world.term_names
        self._held = Held(equal_mix(world))
        self._pair = Pair(world, lower, self._held, period)
        self._below = Below(simulation, self._pair)
        self._twin, self.n_contexts = twin, n_contexts
        self._period, self._n_windows, self._whole_episodes = period, n_windows, whole_episodes
        self._elapsed = np.zeros(simulation.n_envs, np.int64)  # meta steps; whole episodes outlive the simulation's clock
        self.objective = np.zeros(simulation.n_envs)
        self.contexts = self._pair.contexts
        actions = spaces.Box(-1.0, 1.0, (n_contexts * n_terms,), np.float32)
        self.memory, self._recall = memory, Recall(memory, simulation.n_envs)
        super().__init__(simulation.n_envs, meta_observation_space(world, memory), actions)

    @property
    def context(self) -> FloatArray:
        """Those of the last meta step ``(n_envs, k)``, the mean where agents of an env have others."""
        return of_env(self.contexts)

    @property
    def _all(self) -> list[Below]:
        return [self._below] if self._twin is None else [self._below, self._twin]

    def reset(self) -> VecEnvObs:
        return self._begin(self._take_seed(), np.ones(self.num_envs, np.bool_))

    def _begin(self, seed: int | None, mask: BoolArray) -> np.ndarray:
        """Begin meta episodes in ``mask (n_envs,)``: their first observations, those of the others are not of now."""
        for below in self._all:
            below.reset(seed, mask)
        self._elapsed[mask] = 0
        self._recall.reset(mask)
        return self._recall.observe(meta_observation(self.simulation.world, None, self._pair.context), mask)

    def _observed_name(self, column: int) -> str:
        return f"statistic {(*self.simulation.world.statistics.observed_names, *self.term_names)[column]}"

    def get_state(self) -> Tree:
        """All that moves: simulations, who decides in them, meta steps done, and what is remembered."""
        kept = {} if self.memory is None else {"memory": {**self._recall.get_state(), "fitted": fitted_arrays(self.memory)}}
        return {"below": states_of(self._all), "elapsed": self._elapsed.copy(), **kept}

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        restore_all(self._all, state["below"])
        self._elapsed = np.array(state["elapsed"])
        if self.memory is not None:
            fit_with(self.memory, state["memory"]["fitted"])
            self._recall.set_state(state["memory"])
        self.contexts = self._pair.contexts

    def step_wait(self) -> VecEnvStepReturn:
        if self._whole_episodes and self._elapsed.any():
            for below in self._all:
                below.simulation.reset(mask=below.simulation.ended)
                below.pair.reset()
        self._held.context = to_contexts(self._actions, self.n_contexts)
        statistics = run_window(self.simulation, self._pair, self._period)
        self.contexts = self._pair.contexts
        reward = self.objective = self.simulation.objective(statistics)
        check_finite(reward[:, None], lambda _: "objective", self.simulation.elapsed)
        if self._twin is not None:
            reward = reward - self._twin.objective(self._period)
        observation = meta_observation(self.simulation.world, statistics, self.context)
        check_finite(observation, self._observed_name, self.simulation.elapsed)
        observation = self._recall.observe(observation)
        self._elapsed += 1
        terminated = np.logical_and(self.simulation.terminated, not self._whole_episodes)
        done = terminated | (self._elapsed >= self._n_windows)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if done.any():
            for env in np.flatnonzero(done):
                infos[env] = {"terminal_observation": observation[env], "TimeLimit.truncated": bool(not terminated[env])}
            observation = np.where(done[:, None], self._begin(None, done), observation)
        return observation, reward.astype(np.float32), done, infos
