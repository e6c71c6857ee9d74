"""Policies for a study of off-policy evaluation: a behaviour, others near it, and others far from it. Nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from envs.core.arrays import FloatArray, FloatArray32, IntArray
from hierarchy.collecting.behaviour import Done

NEAR, BETWEEN, FAR = "near", "between", "far"
BEHAVIOUR_SEED = 20_240_103
"""Of the weights of its logits."""
EXPLORED = 0.1
"""Share of the behaviour's actions that are drawn from all but the last one, which it never takes."""
PREFERRED = 1.5
"""Logit of the first action, the nominal one, above the others in the mean."""
SPREAD = 0.7
"""Standard deviation of logits over observations."""
SHARES = (0.05, 0.3)
"""Of something else in a mixture with the behaviour."""
TEMPERATURES = (2 / 3, 3 / 2)
"""Of the behaviour's logits."""
LARGER_SHARES = (0.4, 0.9)
"""Of something else in a policy that is neither near nor far."""

Probabilities = Callable[[FloatArray32], FloatArray]
"""From observations ``(n, n_observed)`` to probabilities ``(n, n_choices)``."""


class Policy(NamedTuple):
    """A policy that remembers nothing.

    Attributes
    ----------
    kind
        How it was made, in words.
    group
        ``near``, ``between`` or ``far``.
    """

    kind: str
    group: str
    probabilities: Probabilities


class Moments(NamedTuple):
    """Of observations: they are held against their mean in units of their spread."""

    mean: FloatArray  # (n_observed,)
    spread: FloatArray  # (n_observed,)

    def scaled(self, observed: FloatArray32) -> FloatArray:
        """Observations ``(n, n_observed)``, so that a sum of many with random weights has a spread of 1."""
        found: FloatArray = np.clip((observed - self.mean) / self.spread, -5.0, 5.0) / np.sqrt(len(self.mean))
        return found


def softmax(moments: Moments, n_choices: int, rng: np.random.Generator, temperature: float = 1.0) -> Probabilities:
    """Logits that are sums of all that is observed, by weights drawn once; the first action has some more."""
    weights = SPREAD * rng.normal(size=(len(moments.mean), n_choices))

    def probabilities(observed: FloatArray32) -> FloatArray:
        logits = moments.scaled(observed) @ weights
        logits[:, 0] += PREFERRED
        odds = np.exp((logits - logits.max(1, keepdims=True)) / temperature)
        return _normalised(odds)

    return probabilities


def _normalised(odds: FloatArray) -> FloatArray:
    chances: FloatArray = odds / odds.sum(1, keepdims=True)
    return chances


def constant(chances: FloatArray) -> Probabilities:
    """The same chances ``(n_choices,)`` whatever is observed."""
    return lambda observed: np.tile(np.asarray(chances, np.float64), (len(observed), 1))


def mixture(one: Probabilities, other: Probabilities, share: float) -> Probabilities:
    """``other`` in a share of the actions."""
    return lambda observed: (1.0 - share) * one(observed) + share * other(observed)


def explored(one: Probabilities, n_choices: int, share: float = EXPLORED) -> Probabilities:
    """One that never takes the last action, and explores all others."""

    def without_last(observed: FloatArray32) -> FloatArray:
        found = one(observed).copy()
        found[:, -1] = 0.0
        return _normalised(found)

    others = np.where(np.arange(n_choices) < n_choices - 1, 1.0 / (n_choices - 1), 0.0)
    return mixture(without_last, constant(others), share)


class Behaviour:
    """What acts by a policy while a record is made.

    Parameters
    ----------
    probabilities
        Of the policy.
    generators
        One for every row.
    """

    def __init__(self, probabilities: Probabilities, generators: Sequence[np.random.Generator]) -> None:
        self._probabilities, self._generators = probabilities, generators

    def act(self, observation: FloatArray32) -> Done:
        """What is done in every row for observations ``(n_rows, n_observed)``."""
        chances = self._probabilities(observation)
        chosen = drawn(chances, np.array([rng.random() for rng in self._generators]))
        propensity = chances[np.arange(len(chosen)), chosen]
        return Done(chosen[:, None], propensity, np.zeros(len(chosen), np.bool_))


def drawn(chances: FloatArray, uniform: FloatArray) -> IntArray:
    """Choices ``(n,)`` by numbers in [0, 1): policies that are alike mostly choose the same by the same numbers."""
    chosen: IntArray = (np.cumsum(chances, axis=1) <= uniform[:, None]).sum(1)
    return chosen.clip(max=chances.shape[1] - 1)


def behaviour(moments: Moments, n_choices: int) -> Probabilities:
    """The behaviour: one for all records, whose value is then known from the simulation of all."""
    return explored(softmax(moments, n_choices, np.random.default_rng(BEHAVIOUR_SEED)), n_choices)


def near(moments: Moments, n_choices: int, seed: int, n: int) -> list[Policy]:
    """Policies near the behaviour, by a seed: of other temperatures, and mixtures with others."""
    own, rng = behaviour(moments, n_choices), np.random.default_rng([seed, 1])
    return [_near(own, at % 4, moments, n_choices, rng) for at in range(n)]


def _near(own: Probabilities, kind: int, moments: Moments, n_choices: int, rng: np.random.Generator) -> Policy:
    if kind == 0:
        temperature = float(np.exp(rng.uniform(*np.log(TEMPERATURES))))
        again = softmax(moments, n_choices, np.random.default_rng(BEHAVIOUR_SEED), temperature)
        return Policy(f"temperature {temperature:.2f}", NEAR, explored(again, n_choices))
    share = float(rng.uniform(*SHARES))
    if kind == 1:
        other = explored(softmax(moments, n_choices, rng), n_choices)
        return Policy(f"{share:.2f} of another", NEAR, mixture(own, other, share))
    if kind == 2:
        action = int(rng.integers(n_choices - 1))
        return Policy(f"{share:.2f} of action {action}", NEAR, mixture(own, constant(np.eye(n_choices)[action]), share))
    return Policy(f"{share:.2f} of action 0", NEAR, mixture(own, constant(np.eye(n_choices)[0]), share))


def between(moments: Moments, n_choices: int, seed: int, n: int) -> list[Policy]:
    """Mixtures with more of another than of the behaviour, or nearly so."""
    own, rng, found = behaviour(moments, n_choices), np.random.default_rng([seed, 3]), []
    for share in rng.uniform(*LARGER_SHARES, n):
        other = constant(np.append(rng.dirichlet(np.ones(n_choices - 1)), 0.0))
        found.append(Policy(f"{share:.2f} of other chances", BETWEEN, mixture(own, other, float(share))))
    return found


def far(moments: Moments, n_choices: int, seed: int, n: int) -> list[Policy]:
    """Policies far from it: always an action that it takes now and then, always the one that it never takes, and mostly
    what it avoids."""
    own, rng = behaviour(moments, n_choices), np.random.default_rng([seed, 2])
    return [_far(own, at % 3, n_choices, rng) for at in range(n)]


def _far(own: Probabilities, kind: int, n_choices: int, rng: np.random.Generator) -> Policy:
    if kind == 0:
        return Policy("action never taken", FAR, constant(np.eye(n_choices)[-1]))
    if kind == 1:
        action = int(rng.integers(1, n_choices - 1))
        return Policy(f"always action {action}", FAR, constant(np.eye(n_choices)[action]))

    def avoided(observed: FloatArray32) -> FloatArray:
        odds = 1.0 / np.maximum(own(observed), 1e-3) ** 2
        odds[:, -1] = 0.0
        return _normalised(odds)

    return Policy("what is avoided", FAR, avoided)
