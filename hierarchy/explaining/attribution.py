"""What moved the mix: the change between two windows, shared out among the entries of the meta observation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from envs.core.arrays import FloatArray, FloatArray32
from envs.core.context import of_env
from hierarchy.protocols import Actor

Contexts = Callable[[FloatArray32], FloatArray]
"""From meta observations ``(n, n_features)`` to contexts ``(n, k)``."""
N_STEPS, N_HALVINGS = 32, 10
"""Steps of the way between two observations, and how often one that leaves something over is halved."""
LEFT_OVER, AT_LEAST = 5e-4, 1e-5
"""Of the weight of a term, so much may be left over on the whole way; on a step its share of that, or the second."""


def contexts_of(actor: Actor) -> Contexts:
    """What an upper agent sets, whatever it is, when it remembers nothing."""

    def contexts(observations: FloatArray32) -> FloatArray:
        return of_env(np.asarray(actor.start(len(observations)).act(observations), np.float64))

    return contexts


def attributions(contexts: Contexts, before: FloatArray32, after: FloatArray32) -> FloatArray:
    """Shares of every entry in the change of every weight ``(n_features, k)``, which add up to the change.

    Integrated gradients along the straight line from ``before`` to ``after (n_features,)``, see Sundararajan et al.,
    "Axiomatic attribution for deep networks" (ICML 2017), equations 1 and 3. The derivative along an entry is a central
    difference over its part of a step of the way, so that no gradient is asked for: the map to the simplex is part of it,
    and of every algorithm nothing but its contexts. Steps are halved where their shares don't add up to what changed.
    """
    start, way = before.astype(np.float64), after.astype(np.float64) - before
    begins, length = np.arange(N_STEPS) / N_STEPS, 1.0 / N_STEPS
    shares: FloatArray = np.zeros(())
    for halvings in range(N_HALVINGS + 1):
        of_steps, left_over = _steps(contexts, start + way * begins[:, None], way * length)
        goes_on = (left_over > max(LEFT_OVER * length, AT_LEAST)) & (halvings < N_HALVINGS)
        shares = shares + of_steps[~goes_on].sum(0)
        length /= 2.0
        begins = np.concatenate([begins[goes_on], begins[goes_on] + length])
        if not len(begins):
            break
    return shares


def _steps(contexts: Contexts, begins: FloatArray, step: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shares of steps from ``begins (n, n_features)`` on ``(n, n_features, k)``, and what they leave over ``(n,)``."""
    moving = np.flatnonzero(step)
    aside = np.zeros((len(moving), len(step)))
    aside[np.arange(len(moving)), moving] = step[moving] / 2.0
    middles = (begins + step / 2.0)[:, None]
    rows = np.concatenate([begins[:, None], (begins + step)[:, None], middles + aside, middles - aside], axis=1)
    found = contexts(rows.reshape(-1, len(step)).astype(np.float32)).reshape(*rows.shape[:2], -1)
    change, forward, backward = found[:, 1] - found[:, 0], *np.split(found[:, 2:], 2, axis=1)
    shares = np.zeros((len(begins), len(step), found.shape[-1]))
    shares[:, moving] = forward - backward
    return shares, np.abs(change - shares.sum(1)).max(-1)
