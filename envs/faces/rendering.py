"""Pictures of an env: parts, queues, the mix and the time, as text or as an array of colours."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from envs.core.arrays import ByteArray
from envs.core.batch import BatchEnv
from envs.core.scene import Gauge, Part, Scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 12
"""Characters of a bar."""
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""After Okabe and Ito, different whatever one's colour vision; a gauge keeps its colour by its place in the row."""
QUIET, INK = "#BBBBBB", "#222222"
HATCHES = {"on": "", "draining": "//", "off": "..", "failed": "xx", "absent": "--"}
"""States differ without colour, too."""
INCHES, DOTS_PER_INCH = (9.0, 4.5), 80


def scene_of(batch: BatchEnv, env: int) -> Scene:
    """What there is to show of an env: the world's own scene, or else settings and features by name."""
    setting, measurements = batch.setting, batch.simulation.measurements
    if batch.world.scene is not None:
        return batch.world.scene(measurements, setting, env)
    features = batch.observe()[env, : batch.layout.n_features]
    observe = batch.world.observation_function
    names = getattr(observe, "feature_names", ()) or [f"feature {i}" for i in range(len(features))]
    prefixes = [f"{part} " for part in range(n_parts)] if (n_parts := getattr(observe, "n_parts", 0)) else [""]
    labels = [f"{prefix}{name}" for prefix, name in itertools.product(prefixes, names)]
    settings = [("setting" if len(setting[env]) == 1 else f"setting {i}", value) for i, value in enumerate(setting[env])]
    figures = [*settings, *zip(labels, features, strict=True)]
    return Scene((), tuple(Gauge(name, _squeezed(float(value)), f"{value:.4g}") for name, value in figures))


def _squeezed(value: float) -> float:
    """A figure of unknown scale as a share of a bar: half of it at 1."""
    return abs(value) / (1.0 + abs(value)) if np.isfinite(value) else 1.0


def mix_of(batch: BatchEnv, env: int) -> tuple[Gauge, ...]:
    """The weights of the reward terms."""
    return tuple(
        Gauge(name, float(weight), f"{weight:.2f}")
        for name, weight in zip(batch.term_names, batch.context[env], strict=True)
    )


def time_of(batch: BatchEnv, env: int, dt_s: float) -> str:
    """Where in its episode an env is."""
    simulation = batch.simulation
    step, over = int(simulation.elapsed[env]), " (over)" if simulation.ended[env] else ""
    return f"{step * dt_s:.2f} s, step {step} of {simulation.episode_steps}{over}"


class Renderer(Protocol):
    """A render mode: from a title, a scene and the mix to a picture."""

    def __call__(self, title: str, scene: Scene, mix: tuple[Gauge, ...]) -> Any: ...


# Text


def _bar(share: float) -> str:
    filled = round(WIDTH * min(max(share, 0.0), 1.0))
    return "#" * filled + "." * (WIDTH - filled)


def _columns(gauges: tuple[Gauge, ...]) -> str:
    return "  ".join(f"{gauge.name} [{_bar(gauge.share)}] {gauge.text:>5}" for gauge in gauges)


def ansi(title: str, scene: Scene, mix: tuple[Gauge, ...]) -> str:
    """The picture as lines of text."""
    lines = [title]
    lines += [f"{part.name:<10} {part.state:<9} {_columns(part.gauges)}" for part in scene.parts]
    width = max((len(gauge.name) for gauge in (*scene.gauges, *mix)), default=0)
    lines += [f"{gauge.name:<{width}} [{_bar(gauge.share)}] {gauge.text}" for gauge in scene.gauges]
    lines += ["mix", *(f"{gauge.name:<{width}} [{_bar(gauge.share)}] {gauge.text}" for gauge in mix)]
    return "\n".join(lines) + "\n"


# Colours


def rgb_array(title: str, scene: Scene, mix: tuple[Gauge, ...]) -> ByteArray:
    """The picture as an array ``(height, width, 3)``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    canvas: Any = FigureCanvasAgg(figure)  # its methods are not typed
    figure.suptitle(title, color=INK)
    rest = (("the whole", scene.gauges, COLOURS[0]), ("mix", mix, COLOURS[3]))
    grid = figure.add_gridspec(2, 2 if scene.parts else 1, width_ratios=[2, 1] if scene.parts else None)
    if scene.parts:
        _draw_parts(figure.add_subplot(grid[:, 0]), scene.parts)
    for row, (name, gauges, colour) in enumerate(rest):
        _draw_gauges(figure.add_subplot(grid[row, -1]), name, gauges, colour)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _draw_parts(axes: Axes, parts: tuple[Part, ...]) -> None:
    """A row a part, a bar a gauge."""
    n_gauges = len(parts[0].gauges)
    for index, part in enumerate(parts):
        hatch = HATCHES.get(part.state, "")
        for place, gauge in enumerate(part.gauges):
            y = index + (place - (n_gauges - 1) / 2) * 0.8 / n_gauges
            label = gauge.name if index == 0 else None
            _draw_bar(axes, y, 0.7 / n_gauges, gauge, COLOURS[place % len(COLOURS)], hatch, label)
    _finish(axes, [f"{part.name}\n{part.state}" for part in parts])
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=n_gauges, frameon=False, fontsize=9)


def _draw_gauges(axes: Axes, title: str, gauges: tuple[Gauge, ...], colour: str) -> None:
    for index, gauge in enumerate(gauges):
        _draw_bar(axes, index, 0.6, gauge, colour, "", None)
    _finish(axes, [gauge.name for gauge in gauges])
    axes.set_title(title, fontsize=10, color=INK)


def _draw_bar(axes: Axes, y: float, height: float, gauge: Gauge, colour: str, hatch: str, label: str | None) -> None:
    axes.barh(y, 1.0, height, facecolor="none", edgecolor=QUIET, linewidth=0.6, hatch=hatch)
    axes.barh(y, gauge.share, height, color=colour, label=label)
    axes.text(1.02, y, gauge.text, va="center", fontsize=8, color=INK)


def _finish(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0.0, 1.18)
    axes.set_xticks([])
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


RENDER_MODES: dict[str, Renderer] = {"ansi": ansi, "rgb_array": rgb_array}
"""The render modes by name."""


def check_mode(mode: str | None) -> str | None:
    """``mode``, if there is such a render mode.

    Raises
    ------
    ValueError
        There is none.
    """
    if mode is not None and mode not in RENDER_MODES:
        raise ValueError(f"render_mode must be one of {', '.join(RENDER_MODES)} or None, got {mode!r}")
    return mode


def frames_per_second(dt_s: float) -> int:
    """Of a film in the world's own time, at least one."""
    return max(1, round(1.0 / dt_s))


def render(batch: BatchEnv, env: int, mode: str, dt_s: float) -> Any:
    """An env of a batch now, in a mode of :data:`RENDER_MODES`."""
    return RENDER_MODES[mode](time_of(batch, env, dt_s), scene_of(batch, env), mix_of(batch, env))
