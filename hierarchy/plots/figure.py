"""Figures that are drawn without a display, and what is written on them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

UNITS = {"_hz": "1/s", "_ms": "ms", "_s": "s", "_usd_per_h": "$/h"}
NARROW_LABEL = 15
"""Letters in a line of an axis label on a low panel."""


def axis_label(name: str) -> str:
    """A statistic's name with its unit: `latency_p95_ms` is "latency p95 (ms)"."""
    for suffix, unit in UNITS.items():
        if name.endswith(suffix):
            return f"{name.removesuffix(suffix).replace('_', ' ')} ({unit})"
    return f"{name.replace('_', ' ')} (1)"


def folded(label: str) -> str:
    """An axis label in several lines, for a low panel."""
    return "\n".join(textwrap.wrap(label, NARROW_LABEL))


class Labels(NamedTuple):
    """What pictures call things."""

    objective: str  # with its unit
    terms: tuple[str, ...]
    regimes: tuple[str, ...]
    window_s: float
    setting: str
    setting_names: tuple[str, ...]  # entry by entry


class Picture(NamedTuple):
    """A picture, and what it shows."""

    path: Path
    title: str
    text: str


def pyplot() -> Any:
    """Matplotlib's pyplot, imported when first needed and set to draw without a display."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    return plt


def new_figure(width: float, height: float) -> tuple[Any, Any]:
    """A figure and its axes, in inches."""
    figure, axes = pyplot().subplots(figsize=(width, height), constrained_layout=True)
    return figure, axes


def save(figure: Any, path: Path) -> Path:
    """Write a figure and close it."""
    figure.savefig(path, dpi=120)
    pyplot().close(figure)
    return path


@contextmanager
def drawn(path: Path, width: float, height: float) -> Iterator[Any]:
    """Axes to draw on; written when the block ends."""
    figure, axes = new_figure(width, height)
    yield axes
    save(figure, path)
