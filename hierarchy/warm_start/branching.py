"""What actions gain over the nominal one: both are followed from the same state into the same future."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch as th

from envs.core.arrays import BoolArray, FloatArray, FloatArray32, IntArray
from envs.core.simulation import Simulation
from hierarchy.nets.advantages import Advantages

N_FUTURES = 512
"""Futures side by side: of more the simulator's state leaves the processor's cache."""
FIRST_FUTURE = 1 << 40
"""Futures share no stream with any env."""
ANY_SHARE = 0.2
"""Of the actions to try that are any, whatever they are held to gain."""
NEAR = 0.3
"""Actions are tried the oftener the nearer they are to the best, in spreads of what all are held to gain: by this scale."""


class Tried(NamedTuple):
    """What came of tries in n states, m in each."""

    observations: FloatArray32  # (n, n_observed)
    actions: IntArray  # (n, m)
    gains: FloatArray32  # (n, m, n_measured), per lower step
    objective: FloatArray32  # (n, m), what the objective gained

    @staticmethod
    def together(parts: list[Tried]) -> Tried:
        """All of them."""
        return Tried(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


class Place(Protocol):
    """Where actions are tried: envs side by side, one of several actions each at a time."""

    @property
    def n_envs(self) -> int:
        """Side by side."""

    @property
    def n_actions(self) -> int:
        """To choose from."""

    @property
    def nominal(self) -> int:
        """The action that others are held against."""

    @property
    def steps_per_action(self) -> int:
        """Lower steps that an action stands for."""

    def reset(self, mask: BoolArray | None = None) -> FloatArray32:
        """Begin episodes in all envs, or where ``mask (n_envs,)`` is set: observations ``(n_envs, n_observed)``."""

    def step(self, actions: IntArray) -> tuple[FloatArray32, BoolArray]:
        """What follows from actions ``(n_envs,)``: observations, and where episodes have ended ``(n_envs,)``."""

    def branch(self, into: Place, rows: IntArray, futures: Sequence[int], seed: int) -> None:
        """See :func:`envs.core.futures.branch`; from now on ``into`` measures what its envs are worth."""

    def worth(self) -> FloatArray:
        """Of each env since then: what is learned, per lower step, then the objective ``(n_envs, n_measured + 1)``."""


class Plan(NamedTuple):
    """How much is tried, and how.

    Attributes
    ----------
    n_states, tries, ahead_steps
        States in which actions are tried, how many in each, and lower steps that a future lasts.
    explore
        Share of random actions on the way.
    seed, number
        They fix all luck: of the experiment, and of the job among its jobs.
    policy
        What acts on the way and after a try; None takes the nominal action, and tries any.
    around
        The mix that half of the contexts lie around; none if empty.
    """

    n_states: int
    tries: int
    ahead_steps: int
    explore: float
    seed: int
    number: int
    policy: Advantages | None
    around: tuple[float, ...] = ()

    @property
    def n_at_once(self) -> int:
        """States that are tried in at once."""
        return max(N_FUTURES // (self.tries + 1), 1)

    @property
    def n_futures(self) -> int:
        """Futures side by side."""
        return self.n_at_once * (self.tries + 1)


class Branching:
    """Tries actions in the states that a policy meets.

    Parameters
    ----------
    place
        Where they are met.
    futures
        Where they are followed: ``plan.n_futures`` envs of the same world, whose episodes have no end.
    """

    def __init__(self, place: Place, futures: Place, plan: Plan) -> None:
        self._place, self._futures, self._plan = place, futures, plan
        self._rng = np.random.default_rng([plan.seed, plan.number])
        self._n_drawn = 0

    def run(self) -> Tried:
        """Tries in as many states as are asked for."""
        parts, n_met, plan = [], 0, self._plan
        observations = self._place.reset()
        while n_met < plan.n_states:
            if self._rng.random() < 0.5:  # states next to each other have little to add
                n = min(plan.n_at_once, plan.n_states - n_met)
                parts.append(self._tried(observations, self._rng.integers(0, self._place.n_envs, plan.n_at_once), n))
                n_met += n
            observations, ended = self._place.step(self._explored(observations))
            if ended.any():
                observations = self._place.reset(ended)
        return Tried.together(parts)

    def _tried(self, observations: FloatArray32, at: IntArray, n: int) -> Tried:
        """Try actions in the states of the envs ``at (n_at_once,)``, of which ``n`` are wanted."""
        plan, met = self._plan, observations[at]
        actions = self._to_try(met)
        followed = np.concatenate([np.full((len(at), 1), self._place.nominal), actions], axis=1)
        rows = np.repeat(at, followed.shape[1])
        luck = np.repeat(np.arange(len(at)), followed.shape[1]) + FIRST_FUTURE + (plan.number << 24) + self._n_drawn
        self._n_drawn += len(at)
        self._place.branch(self._futures, rows, luck.tolist(), plan.seed)
        acting = followed.ravel()
        for _ in range(0, plan.ahead_steps, self._place.steps_per_action):
            after, _ = self._futures.step(acting)
            acting = self._best(after)
        worth = self._futures.worth().reshape(*followed.shape, -1)
        gains = (worth[:, 1:] - worth[:, :1]).astype(np.float32)
        return Tried(met[:n], actions[:n], gains[:n, :, :-1], gains[:n, :, -1])

    def _to_try(self, observations: FloatArray32) -> IntArray:
        """Actions ``(n, tries)`` without the nominal one, each at most once in a state."""
        policy = self._plan.policy
        others = np.delete(np.arange(self._place.n_actions), self._place.nominal)
        share = np.full((len(observations), len(others)), 1.0 / len(others))
        if policy is not None:
            with th.inference_mode():
                scores = policy.scores(th.from_numpy(observations), n_errors=0.0).numpy()
            near = (scores[:, others] - scores.max(-1, keepdims=True)) / (NEAR * scores.std(-1, keepdims=True) + 1e-9)
            weight = np.exp(near)
            share = (1.0 - ANY_SHARE) * weight / weight.sum(-1, keepdims=True) + ANY_SHARE * share
        drawn = np.log(share) + self._rng.gumbel(size=share.shape)  # without replacement: Gumbel's trick
        return others[np.argsort(-drawn, axis=-1)[:, : self._plan.tries]]

    def _best(self, observations: FloatArray32) -> IntArray:
        policy = self._plan.policy
        return np.full(len(observations), self._place.nominal) if policy is None else policy.best(observations)

    def _explored(self, observations: FloatArray32) -> IntArray:
        """The policy's actions ``(n_envs,)``, some of them any."""
        n = len(observations)
        any_action = self._rng.integers(0, self._place.n_actions, n)
        return np.where(self._rng.random(n) < self._plan.explore, any_action, self._best(observations))


def credited(simulation: Simulation, totals: Any) -> FloatArray:
    """The objective since ``totals`` ``(n_envs,)``, as if what waits now went well: whoever acts would go on."""
    simulation.dynamics.credit()
    return simulation.objective(simulation.statistics(totals))
