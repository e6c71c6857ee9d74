"""What is not finite stops everything, with its name: nothing can be learned from it, and it spreads to all parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from envs.core.arrays import Array, IntArray

Name = Callable[[int], str]
"""The name of a column."""


class NonFiniteError(ArithmeticError):
    """A number that is NaN or infinite, in one line: what it is, and where and when it came up."""


def check_finite(values: Array, name: Name, elapsed: IntArray) -> None:
    """Hold values ``(n_envs, n)`` against what numbers are.

    Parameters
    ----------
    name
        Of a column.
    elapsed
        Steps of every env's episode so far ``(n_envs,)``.

    Raises
    ------
    NonFiniteError
        One is NaN or infinite; the first is named.
    """
    finite = np.isfinite(values)
    if finite.all():
        return
    env, column = np.argwhere(~finite)[0]
    found = f"{name(int(column))} must be finite, got {values[env, column]}"
    raise NonFiniteError(f"{found} in env {env} at step {elapsed[env]} of its episode")
