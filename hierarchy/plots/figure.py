"""Figures that are drawn without a display and read in black and white."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
LINES = ("-", "--", ":", "-.")
GREYS = ("0.0", "0.35", "0.6", "0.8")


UNITS = {"_hz": "1/s", "_ms": "ms", "_s": "s", "_usd_per_h": "$/h"}


def line_style(index: int) -> dict[str, str]:
    """One of twelve lines that can be told apart in black and white."""
    return {"color": GREYS[index // len(LINES) % 3], "linestyle": LINES[index % len(LINES)]}


def axis_label(name: str) -> str:
    """A statistic's name with its unit: `latency_p95_ms` is "latency p95 (ms)"."""
    for suffix, unit in UNITS.items():
        if name.endswith(suffix):
            return f"{name.removesuffix(suffix).replace('_', ' ')} ({unit})"
    return f"{name.replace('_', ' ')} (1)"


class Labels(NamedTuple):
    """What pictures call things."""

    objective: str  # with its unit
    terms: tuple[str, ...]
    regimes: tuple[str, ...]
    window_s: float
    setting: str


class Picture(NamedTuple):
    """A picture, and what there is to see in it."""

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
