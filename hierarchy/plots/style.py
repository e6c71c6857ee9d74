"""One place for how things are drawn: colours, dashes and markers.

Colours are those of Okabe and Ito, "Color Universal Design" (2008, https://jfly.uni-koeln.de/color/), which people with a
colour vision deficiency can tell apart. No line is told by its colour alone: each has dashes and a marker of its own, so
that pictures still read in black and white. The grey is not theirs; it is dark enough to stay apart from the purple.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE, GREY = "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#666666"
COLOURS = (BLACK, VERMILLION, BLUE, GREEN, ORANGE, PURPLE, SKY, GREY)
SHADES = (SKY, ORANGE, GREEN, YELLOW, BLUE, VERMILLION, PURPLE, GREY, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
Dashes = str | tuple[int, tuple[float, ...]]
SOLID: Dashes = "-"
DASHES: tuple[Dashes, ...] = (SOLID, (0, (5, 2)), (0, (1.6, 1)), (0, (7, 2, 1, 2)), (0, (3, 1.2)))
NARROWEST, WIDEST, WIDER_BY = 1.3, 4.2, 0.7
"""Lines, in points, and the difference of two that may coincide."""
MARKER_GAP = 0.13
"""Between two markers of a line, as a share of the picture's diagonal."""
FEW_POINTS = 30
"""Of fewer points, each is marked by one of the lines."""
OVERLAP = (
    "Lines get narrower from the first to the last: where two coincide, the wider one shows on both sides and in the gaps."
)
"""What captions say of lines that coincide."""

LEARNED, GATED = "learned", "gated"


class Style(NamedTuple):
    """How one line is drawn."""

    colour: str
    dashes: Dashes
    marker: str


class Kind(NamedTuple):
    """A kind of arm, as the picture of all arms marks it; by the kinds of `evidence.results`."""

    label: str
    colour: str
    marker: str


KINDS = {
    "learned": Kind("learned mix", BLACK, "o"),
    "gated": Kind("that or a rule", GREEN, "D"),
    "mix": Kind("other mixes", BLUE, "s"),
    "oracle": Kind("told more", PURPLE, "P"),
    "unmixed": Kind("no hierarchy", ORANGE, "v"),
    "rule": Kind("balancing rules", VERMILLION, "X"),
}
ARMS = {
    LEARNED: Style(BLACK, SOLID, "o"),
    GATED: Style(GREEN, DASHES[1], "^"),
    "distilled": Style(GREY, DASHES[3], "v"),
    "fixed_best": Style(BLUE, DASHES[1], "s"),
    "tuned_static": Style(SKY, DASHES[3], "D"),
    "fixed_hindsight": Style(GREEN, DASHES[2], "^"),
    "delayed_oracle": Style(PURPLE, DASHES[4], "P"),
    "regime_oracle": Style(PURPLE, DASHES[1], "<"),
    "random": Style(GREY, DASHES[2], ">"),
    "fixed_equal": Style(GREY, DASHES[1], "D"),
    "fixed_custom": Style(SKY, DASHES[1], "<"),
    "flat": Style(ORANGE, DASHES[1], "v"),
    "best_constant": Style(ORANGE, DASHES[3], "P"),
}
"""An arm looks the same in every picture of lines; its colour is near that of its kind."""
BALANCING_RULE = Style(VERMILLION, DASHES[3], "X")
"""Every arm that :data:`ARMS` doesn't name is a balancing rule of the world; pictures of lines show one of them."""


def arm_style(name: str) -> Style:
    """The line of an arm."""
    return ARMS.get(name, BALANCING_RULE)


def line_style(index: int) -> Style:
    """Lines of no arm, by number: reward terms, servers. 360 differ."""
    return Style(COLOURS[index % len(COLOURS)], DASHES[index % len(DASHES)], MARKERS[index % len(MARKERS)])


def shade(index: int) -> str:
    """The colour of a regime, by number."""
    return SHADES[index % len(SHADES)]


class Line(NamedTuple):
    """One line of a picture: ``x`` and ``y`` are ``(n,)`` and finite."""

    label: str
    x: NDArray[Any]
    y: NDArray[Any]
    style: Style


def numbered(x: NDArray[Any], rows: Mapping[str, NDArray[Any]]) -> list[Line]:
    """Lines over one axis, label -> ``(n,)``, in the styles of :func:`line_style`."""
    return [Line(label, x, y, line_style(index)) for index, (label, y) in enumerate(rows.items())]


def _turns(n_points: int, index: int, n_lines: int) -> Any:
    """Which of its points a line marks: lines take turns, so that no marker hides another where lines coincide."""
    if n_points < FEW_POINTS:
        return slice(index % n_points, None, n_lines)
    return (MARKER_GAP * (index + 0.5) / n_lines, MARKER_GAP)


def draw_lines(axes: Any, lines: Sequence[Line], scale: float = 1.0, **settings: Any) -> None:
    """Draw lines so that all can be seen where they coincide, see :data:`OVERLAP`; their markers are staggered.

    ``scale`` widens or narrows all of them; further settings go to matplotlib's ``plot``.
    """
    widest = min(WIDEST, NARROWEST + WIDER_BY * (len(lines) - 1))
    widths = np.linspace(widest, NARROWEST, len(lines)) if len(lines) > 1 else [1.8]
    for index, (line, width) in enumerate(zip(lines, widths, strict=True)):
        axes.plot(
            line.x,
            line.y,
            label=line.label,
            color=line.style.colour,
            linestyle=line.style.dashes,
            marker=line.style.marker,
            markersize=scale * 5.5,
            markeredgecolor="white",
            markeredgewidth=0.5,
            **{"linewidth": scale * width, "markevery": _turns(len(line.x), index, len(lines)), **settings},
        )


def apart(rows: Mapping[str, NDArray[Any]], gap: float) -> dict[str, NDArray[Any]]:
    """Lines that may coincide all along, each moved ``gap`` above the one after it; their mean stays where it was."""
    middle = (len(rows) - 1) / 2
    return {label: row + gap * (middle - index) for index, (label, row) in enumerate(rows.items())}


def legend_beside(axes: Any, **settings: Any) -> None:
    """A legend to the right of the axes, where it hides no data."""
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small", handlelength=3.2, **settings)
