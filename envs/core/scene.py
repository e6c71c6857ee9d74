"""What a picture of an env shows, in numbers and words: the faces draw it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from envs.core.arrays import FloatArray


class Gauge(NamedTuple):
    """A figure as a bar with words beside it."""

    name: str
    share: float  # of the bar, in [0, 1]
    text: str


class Part(NamedTuple):
    """One of several alike, such as a server; all have gauges of the same names."""

    name: str
    state: str  # in a word
    gauges: tuple[Gauge, ...]


class Scene(NamedTuple):
    """An env at one instant."""

    parts: tuple[Part, ...]
    gauges: tuple[Gauge, ...]  # of the whole


SceneFunction = Callable[[Any, FloatArray, int], Scene]
"""From measurements, the settings in force ``(n_envs, n)`` and the number of an env to what its picture shows."""
