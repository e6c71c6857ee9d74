"""Which requests of a recording are interactive."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from envs.core.arrays import BoolArray
from envs.load_balancing.traces.recording import Recording, refused

N_VALUES = 8
"""Values of a column that an error shows."""


def by_work(recording: Recording, quantile: float) -> BoolArray:
    """Requests up to that quantile of work ``(n,)``."""
    small: BoolArray = recording.work <= np.quantile(recording.work, quantile)
    return small


def by_column(recording: Recording, values: Sequence[str | int], up_to: float | None) -> BoolArray:
    """Requests whose label is one of the values, or a number up to that limit ``(n,)``.

    Raises
    ------
    SettingError
        There is a limit, and a label that is no number; or all requests are of one class.
    """
    if up_to is None:
        wanted = {str(value) for value in values}
        told = np.array([label.strip() in wanted for label in recording.labels])
        return _both(told, recording, "interactive_values", list(values))
    try:
        numbers = np.array([float(label) for label in recording.labels])
    except ValueError as error:
        allowed = f"left out unless class_column holds numbers ({error})"
        raise refused("interactive_up_to", allowed, f"{up_to:g}") from None
    return _both(numbers <= up_to, recording, "interactive_up_to", up_to)


def by_pattern(recording: Recording, pattern: str) -> BoolArray:
    """Requests in whose label a regular expression is found ``(n,)``.

    Raises
    ------
    SettingError
        All requests are of one class.
    """
    search = re.compile(pattern).search
    return _both(np.array([search(label) is not None for label in recording.labels]), recording, "class_pattern", pattern)


def _both(interactive: BoolArray, recording: Recording, setting: str, value: object) -> BoolArray:
    """Classes that both have requests."""
    n, n_all = int(interactive.sum()), len(interactive)
    if 0 < n < n_all:
        return interactive
    shown = list(dict.fromkeys(label[:40] for label in recording.labels))
    labels = ", ".join(shown[:N_VALUES]) + (", ..." if len(shown) > N_VALUES else "")
    found = f"{value!r}, which leaves {n} interactive and {n_all - n} batch (there are {labels})"
    raise refused(setting, "such that both classes have requests", found)
