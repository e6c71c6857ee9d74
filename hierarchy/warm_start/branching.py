"""What actions gain over the nominal one: both are followed from the same state into the same future."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch as th

from envs.core.arrays import BoolArray, FloatArray, FloatArray32, IntArray
from hierarchy.nets.advantages import Advantages

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


class Effort(NamedTuple):
    """How much is tried, and how.

    Attributes
    ----------
    n_moments, n_decisions
        Moments at which actions are tried in all envs, spread evenly over so many decisions.
    tries, ahead_steps
        Actions tried in a state, and lower steps that a future lasts.
    explore
        Share of random actions on the way.
    seed, number
        They fix all luck: of the experiment, and of the job among its jobs.
    policy
        What acts on the way and after a try; None takes the nominal action, and tries any.
    """

    n_moments: int
    n_decisions: int
    tries: int
    ahead_steps: int
    explore: float
    seed: int
    number: int
    policy: Advantages | None


class Branching:
    """Tries actions in the states that a policy meets.

    Parameters
    ----------
    place
        Where they are met.
    futures
        Where they are followed: ``tries + 1`` envs for each of ``place``, of the same world, whose episodes have no end.
    """

    def __init__(self, place: Place, futures: Place, effort: Effort) -> None:
        self._place, self._futures, self._effort = place, futures, effort
        self._rng = np.random.default_rng([effort.seed, effort.number])
        self._n_drawn = 0

    def run(self) -> Tried:
        """Tries in the states of all envs, moment by moment."""
        parts, moments = [], self._moments()
        observations = self._place.reset()
        for decision in range(self._effort.n_decisions):
            parts += [self._tried(observations) for _ in range(moments[decision])]
            observations, ended = self._place.step(self._explored(observations))
            if ended.any():
                observations = self._place.reset(ended)
        return Tried.together(parts)

    def _moments(self) -> IntArray:
        """How often actions are tried before each decision ``(n_decisions,)``: once in every stretch of equal length."""
        n = self._effort.n_moments
        at = (np.arange(n) + self._rng.random(n)) / n * self._effort.n_decisions
        return np.bincount(at.astype(np.int64), minlength=self._effort.n_decisions)

    def _tried(self, met: FloatArray32) -> Tried:
        """Try actions in the states that all envs are in."""
        effort, n = self._effort, len(met)
        actions = self._to_try(met)
        followed = np.concatenate([np.full((n, 1), self._place.nominal), actions], axis=1)
        rows = np.repeat(np.arange(n), followed.shape[1])
        luck = rows + FIRST_FUTURE + (effort.number << 24) + self._n_drawn
        self._n_drawn += n
        self._place.branch(self._futures, rows, luck.tolist(), effort.seed)
        acting = followed.ravel()
        for _ in range(0, effort.ahead_steps, self._place.steps_per_action):
            after, _ = self._futures.step(acting)
            acting = self._best(after)
        worth = self._futures.worth().reshape(*followed.shape, -1)
        gains = (worth[:, 1:] - worth[:, :1]).astype(np.float32)
        return Tried(met, actions, gains[..., :-1], gains[..., -1])

    def _to_try(self, observations: FloatArray32) -> IntArray:
        """Actions ``(n, tries)`` without the nominal one, each at most once in a state."""
        policy = self._effort.policy
        others = np.delete(np.arange(self._place.n_actions), self._place.nominal)
        share = np.full((len(observations), len(others)), 1.0 / len(others))
        if policy is not None:
            with th.inference_mode():
                scores = policy.scores(th.from_numpy(observations), n_errors=0.0).numpy()
            near = (scores[:, others] - scores.max(-1, keepdims=True)) / (NEAR * scores.std(-1, keepdims=True) + 1e-9)
            weight = np.exp(near)
            share = (1.0 - ANY_SHARE) * weight / weight.sum(-1, keepdims=True) + ANY_SHARE * share
        drawn = np.log(share) + self._rng.gumbel(size=share.shape)  # without replacement: Gumbel's trick
        return others[np.argsort(-drawn, axis=-1)[:, : self._effort.tries]]

    def _best(self, observations: FloatArray32) -> IntArray:
        policy = self._effort.policy
        return np.full(len(observations), self._place.nominal) if policy is None else policy.best(observations)

    def _explored(self, observations: FloatArray32) -> IntArray:
        """The policy's actions ``(n_envs,)``, some of them any."""
        n = len(observations)
        any_action = self._rng.integers(0, self._place.n_actions, n)
        return np.where(self._rng.random(n) < self._effort.explore, any_action, self._best(observations))
