"""Who acts while a dataset is made, and how likely what was done was."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch as th
from gymnasium import spaces

from envs.core.action_sets import choice_sizes
from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32
from envs.core.validation import SettingError
from hierarchy.lower.acting import PolicyActor


class Behaviour(Protocol):
    """Acts in the rows of a batch."""

    def act(self, observation: FloatArray32) -> Array:
        """Actions ``(n_rows, ...)`` for observations ``(n_rows, n_observed)``."""

    def probability(self, action: Array) -> FloatArray:
        """How likely :meth:`act` was to do that ``(n_rows, ...)`` where it was asked last, ``(n_rows,)``."""


class Certain:
    """Does what there is but one choice of.

    Parameters
    ----------
    decide
        Actions ``(n_rows, ...)`` for observations.
    """

    def __init__(self, decide: Callable[[FloatArray32], Array]) -> None:
        self._decide = decide

    def act(self, observation: FloatArray32) -> Array:
        self._action = self._decide(observation)
        return self._action

    def probability(self, action: Array) -> FloatArray:
        same = (action == self._action).reshape(len(action), -1).all(-1)
        return np.asarray(same, np.float64)


class Drawn:
    """Draws actions as likely as a policy has them.

    Parameters
    ----------
    policy
        Of choices.
    generators
        One for every row.
    """

    def __init__(self, policy: PolicyActor, generators: Sequence[np.random.Generator]) -> None:
        self._acting, self._head = policy.start(len(generators)), policy.module.head
        self._generators = generators

    def act(self, observation: FloatArray32) -> Array:
        """The largest of logit plus Gumbel noise is drawn as a softmax has it."""
        self._logits = self._acting.parameters(observation)
        noise = np.stack([rng.gumbel(size=self._logits.shape[1]) for rng in self._generators])
        return self._acting.mode(self._logits + noise.astype(np.float32))

    def probability(self, action: Array) -> FloatArray:
        chosen = th.from_numpy(action.reshape(len(action), -1))
        log_probability, _ = self._head.evaluate(th.from_numpy(self._logits), chosen)
        probability: FloatArray = np.exp(log_probability.numpy().astype(np.float64))
        return probability


class Done(NamedTuple):
    """What was done in every row."""

    action: Array  # (n_rows, ...)
    propensity: FloatArray  # (n_rows,) see :attr:`hierarchy.datasets.dataset.Said.propensity`
    random: BoolArray  # (n_rows,) whether it was drawn from all there are


class Exploring:
    """A behaviour that does anything else in a share of the steps, everything as likely.

    Parameters
    ----------
    behaviour
        What it does otherwise.
    share
        Of the actions that are drawn.
    space
        Of actions.
    generators
        One for every row.

    Raises
    ------
    SettingError
        Actions are numbers without bounds, and some are to be drawn.
    """

    def __init__(
        self, behaviour: Behaviour, share: float, space: spaces.Space[Any], generators: Sequence[np.random.Generator]
    ) -> None:
        self._behaviour, self._share, self._generators = behaviour, share, generators
        self._sizes, self._space = choice_sizes(space), space
        if isinstance(space, spaces.Box) and share > 0 and not np.isfinite([space.low, space.high]).all():
            raise SettingError("random_share", f"0 where actions are {space}", share)

    def act(self, observation: FloatArray32) -> Done:
        """What is done, and how likely it was, whichever way it came about."""
        action = self._behaviour.act(observation)
        random = np.array([rng.random() < self._share for rng in self._generators])
        if random.any():
            action = action.copy()
            for row in map(int, np.flatnonzero(random)):
                action[row] = self._draw(self._generators[row]).reshape(action.shape[1:])
        meant = (1.0 - self._share) * self._behaviour.probability(action)
        return Done(action, meant + self._share * self._of_draws(random), random)

    def _draw(self, rng: np.random.Generator) -> Array:
        """Any action."""
        if isinstance(self._space, spaces.Box):
            return rng.uniform(self._space.low, self._space.high)
        return rng.integers(0, self._sizes)

    def _of_draws(self, random: BoolArray) -> FloatArray:
        """Probability of a choice; of numbers the density of those that were drawn, and 0 where they were meant."""
        if not isinstance(self._space, spaces.Box):
            return np.full(len(random), 1.0 / math.prod(self._sizes))
        return random / float(np.prod(self._space.high - self._space.low, dtype=np.float64))
