"""Lines are told apart without colour, and stay visible where they coincide."""

from __future__ import annotations

from itertools import combinations
from typing import Any, get_args

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from hierarchy import arms
from hierarchy.evidence.arms import Kind
from hierarchy.plots.drawing import SHOWN
from hierarchy.plots.figure import new_figure, pyplot
from hierarchy.plots.style import (
    ARMS,
    BALANCING_RULE,
    COLOURS,
    KINDS,
    SHADES,
    Line,
    Style,
    apart,
    arm_style,
    draw_lines,
    line_style,
    numbered,
)
from hierarchy.plots.timeline import spans

NOTHING_ALIKE = (BALANCING_RULE, *(arm_style(name) for name in SHOWN))


@pytest.mark.parametrize("styles", [NOTHING_ALIKE, tuple(line_style(i) for i in range(8))], ids=["arms", "lines"])
def test_lines_of_one_picture_differ_without_their_colour(styles: tuple[Style, ...]) -> None:
    for one, other in combinations(styles, 2):
        assert (one.dashes, one.marker) != (other.dashes, other.marker)
        assert one.colour != other.colour


def test_every_strategy_has_a_line_of_its_own() -> None:
    assert set(arms.ARMS) <= set(ARMS)
    assert len({*ARMS.values(), BALANCING_RULE}) == len(ARMS) + 1


def test_kinds_of_arm_differ_in_colour_and_in_marker() -> None:
    assert len({kind.colour for kind in KINDS.values()}) == len({kind.marker for kind in KINDS.values()}) == len(KINDS)
    assert set(KINDS) == set(get_args(Kind))


MACHADO = {  # Machado et al. 2009, severity 1
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("deficiency", MACHADO)
@pytest.mark.parametrize("colours", [COLOURS, SHADES], ids=["lines", "regimes"])
def test_colours_stay_apart_under_a_colour_vision_deficiency(colours: tuple[str, ...], deficiency: str) -> None:
    linear = np.array([to_rgb(colour) for colour in colours]) ** 2.2
    perceived = (linear @ np.array(MACHADO[deficiency]).T).clip(0, 1) ** (1 / 2.2)
    distances = [np.abs(one - other).max() for one, other in combinations(perceived, 2)]
    assert min(distances) > 0.09


def pixels(lines: list[Line], **settings: Any) -> NDArray[np.float64]:
    """What is drawn, ``(height, width, 3)`` in [0, 1]."""
    figure, axes = new_figure(6.0, 3.0)
    draw_lines(axes, lines, **settings)
    axes.set_axis_off()
    figure.canvas.draw()
    drawn = np.asarray(figure.canvas.buffer_rgba())[..., :3] / 255.0
    pyplot().close(figure)
    return drawn


def count(drawn: NDArray[np.float64], colour: str) -> int:
    return int((np.abs(drawn - to_rgb(colour)).max(-1) < 0.02).sum())


@pytest.mark.parametrize("drawstyle", ["default", "steps-post"])
@pytest.mark.parametrize("n_lines", [2, 3, 5])
def test_lines_that_coincide_are_all_visible(n_lines: int, drawstyle: str) -> None:
    x = np.arange(100.0)
    lines = numbered(x, {str(i): np.floor(x / 30) for i in range(n_lines)})
    drawn = pixels(lines, drawstyle=drawstyle)
    for line in lines:
        alone = count(pixels([line], drawstyle=drawstyle), line.style.colour)
        assert count(drawn, line.style.colour) > 0.05 * alone


@pytest.mark.parametrize("n_lines", [2, 3, 8])
def test_every_line_is_narrower_than_the_one_before(n_lines: int) -> None:
    figure, axes = new_figure(6.0, 3.0)
    x = np.arange(5.0)
    draw_lines(axes, numbered(x, {str(i): x for i in range(n_lines)}))
    widths = np.array([line.get_linewidth() for line in axes.lines])
    pyplot().close(figure)
    assert (np.diff(widths) < -0.3).all()


@pytest.mark.parametrize("n_points", [6, 200])
def test_markers_of_lines_that_coincide_hide_none_of_each_other(n_points: int) -> None:
    x = np.arange(float(n_points))
    lines = numbered(x, {str(i): np.ones(n_points) for i in range(3)})
    drawn = pixels(lines, linewidth=0.0)
    for line in lines:
        others = [one._replace(style=one.style._replace(marker="None")) if one is not line else one for one in lines]
        assert count(drawn, line.style.colour) > 0.9 * count(pixels(others, linewidth=0.0), line.style.colour) > 20


def test_lines_moved_apart_keep_their_order_their_distance_and_their_mean() -> None:
    rows = {name: np.full(3, 0.5) for name in "abc"}
    moved = apart(rows, 0.1)
    assert_allclose([row[0] for row in moved.values()], [0.6, 0.5, 0.4])
    assert apart({"a": rows["a"]}, 0.1)["a"].tolist() == [0.5] * 3


def test_spans_of_regimes_cover_the_episode() -> None:
    assert spans(np.array([2, 2, 0, 1, 1, 1])) == [(2, 0, 2), (0, 2, 3), (1, 3, 6)]
    assert spans(np.array([4])) == [(4, 0, 1)]
