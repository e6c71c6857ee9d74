"""What watches an agent learn: figures go to a sink at once, or are kept until it is known whose they will be."""

from __future__ import annotations

from collections.abc import Mapping

from hierarchy.protocols import Observer
from hierarchy.tracking.sinks import Sink

Metrics = list[tuple[dict[str, float], int]]
"""Figures by name, with the step that they are of."""


class ToSink(Observer):
    """An observer that hands everything to a sink."""

    def __init__(self, sink: Sink, n_steps: int = 0) -> None:
        self._sink, self._n_steps = sink, n_steps

    def on_step(self, n_steps: int) -> None:
        self._sink.advance(n_steps - self._n_steps)
        self._n_steps = n_steps

    def on_metrics(self, values: Mapping[str, float], n_steps: int) -> None:
        self._sink.metrics(values, n_steps)


class Steps(ToSink):
    """An observer that hands steps to a sink, and no figures."""

    def on_metrics(self, values: Mapping[str, float], n_steps: int) -> None:
        """Others keep them."""


class Kept(Observer):
    """An observer that keeps figures, with the step that they are of."""

    def __init__(self) -> None:
        self.metrics: Metrics = []

    def on_metrics(self, values: Mapping[str, float], n_steps: int) -> None:
        self.metrics.append((dict(values), n_steps))


def log(metrics: Metrics, sink: Sink) -> None:
    """Hand figures of training to a sink."""
    for values, step in metrics:
        sink.metrics(values, step)
