"""What was set can be read off the picture of an episode, however many settings there are."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.testing import assert_allclose

from hierarchy.plots import timeline
from hierarchy.plots.figure import Labels, pyplot
from hierarchy.plots.timeline import MOST_LINES, named_rows, plot_timeline

N_WINDOWS = 12


def panel_of(settings: np.ndarray, monkeypatch: pytest.MonkeyPatch, n_regimes: int = 3) -> Any:
    """The panel of what was set in an episode of several regimes, drawn."""
    monkeypatch.setattr(timeline, "save", lambda figure, path: figure)
    names = tuple(f"setting {i}" for i in range(settings.shape[1]))
    labels = Labels("profit ($/h)", ("a", "b"), tuple("xyz"[:n_regimes]), 5.0, "weight", names)
    contexts, regimes = np.full((N_WINDOWS, 2), 0.5), np.arange(N_WINDOWS) % max(n_regimes, 1)
    figure: Any = plot_timeline({"cost_usd_per_h": np.ones(N_WINDOWS)}, settings, contexts, regimes, labels, Path())
    pyplot().close(figure)
    FigureCanvasAgg(figure).draw()
    return figure.axes[-2]


def greys(panel: Any, n_settings: int) -> np.ndarray:
    """How dark ``(n_settings, n_windows)`` the middles of all windows are, from white 0 to black 1; nan for a colour."""
    canvas = np.asarray(panel.figure.canvas.buffer_rgba())[..., :3] / 255.0
    middles = np.stack(np.meshgrid((np.arange(N_WINDOWS) + 0.5) * 5.0, np.arange(n_settings) + 0.5), axis=-1)
    x, y = panel.transData.transform(middles.reshape(-1, 2)).round().astype(int).T
    found = canvas[len(canvas) - 1 - y, x]
    return np.where(np.ptp(found, axis=-1) < 0.01, 1.0 - found.mean(-1), np.nan).reshape(n_settings, N_WINDOWS)


@pytest.mark.parametrize("n_settings", [MOST_LINES + 1, 8, 24])
def test_a_shade_is_that_of_its_setting_whatever_the_regime(n_settings: int, monkeypatch: pytest.MonkeyPatch) -> None:
    levels = np.array([0.0, 0.5, 1.0])
    settings = np.random.default_rng(0).choice(levels, (N_WINDOWS, n_settings))
    found = greys(panel_of(settings, monkeypatch), n_settings)
    of_levels = np.array([found[level == settings.T].mean() for level in levels])
    assert_allclose(found, of_levels[np.searchsorted(levels, settings.T)], atol=1e-6)
    assert_allclose(of_levels[[0, 2]], [0.0, 1.0], atol=0.01)
    assert 0.2 < of_levels[1] < 0.8


def test_rows_are_named_from_the_first_at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = panel_of(np.zeros((N_WINDOWS, 8)), monkeypatch)
    heights = {text.get_text(): text.get_window_extent().y0 for text in panel.get_yticklabels()}
    assert list(heights) == [f"setting {i}" for i in range(8)]
    assert (np.diff([*heights.values()]) < 0).all()


@pytest.mark.parametrize("n_settings", [8, 24, 200])
def test_names_of_rows_do_not_overlap(n_settings: int, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = panel_of(np.zeros((N_WINDOWS, n_settings)), monkeypatch)
    boxes = [text.get_window_extent() for text in panel.get_yticklabels()]
    assert len(boxes) == len(named_rows([""] * n_settings)) >= min(n_settings, 24)
    assert all(above.y0 > below.y1 for above, below in pairwise(boxes))


@pytest.mark.parametrize("n_settings", [1, MOST_LINES])
def test_few_settings_are_lines(n_settings: int, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = panel_of(np.zeros((N_WINDOWS, n_settings)), monkeypatch, n_regimes=0)
    assert [line.get_label() for line in panel.lines] == [f"setting {i}" for i in range(n_settings)]


@pytest.mark.parametrize(("n_rows", "every"), [(8, 1), (40, 1), (41, 2), (200, 5)])
def test_every_row_is_named_or_one_of_several(n_rows: int, every: int) -> None:
    names = [str(row) for row in range(n_rows)]
    assert named_rows(names) == [(row, str(row)) for row in range(0, n_rows, every)]
