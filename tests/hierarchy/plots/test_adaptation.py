"""Adaptation is drawn arm by arm, each training seed marked where it came above its target for good, if it ever did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from hierarchy.plots import adaptation
from hierarchy.plots.style import LEARNED
from runs.studies.adaptation import summary
from tests.hierarchy.episodes import result_of

pytestmark = pytest.mark.usefixtures("drawn")
N = 30


def one_seed(seed: int, flat_ends_at: float) -> dict[str, Any]:
    """The mix is quick; the agent without a hierarchy is slow, and may end lower."""
    noise = 0.05 * np.random.default_rng(seed).normal(size=(2, N))
    t = np.arange(N)
    values = {LEARNED: 4.0 - 6.0 * np.exp(-t / 2.0), "flat": flat_ends_at - 3.0 * np.exp(-t / 8.0)}
    steps = {LEARNED: 2_000 * t, "flat": 10_000 * t}
    return {
        arm: {
            "lower_steps": steps[arm].tolist(),
            "seconds": (steps[arm] / 5e3).tolist(),
            "values": (values[arm] + row).tolist(),
            "final": result_of([float(values[arm][-1])]),
        }
        for arm, row in zip(values, noise, strict=True)
    }


CHANGES = {
    "slo": summary([one_seed(seed, 4.2) for seed in range(3)]),
    "prices": summary([one_seed(seed, end) for seed, end in enumerate((4.0, 3.0, 2.5))]),
}


@pytest.fixture
def figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Figure:
    """As it is written."""
    kept: list[Figure] = []
    write = adaptation.save

    def keep(figure: Figure, path: Path) -> Path:
        kept.append(figure)
        return write(figure, path)

    monkeypatch.setattr(adaptation, "save", keep)
    path = adaptation.plot_adaptation(CHANGES, tmp_path / "adaptation.png")
    pixels = matplotlib.image.imread(path)[..., :3]
    assert 0.001 < (pixels < 0.5).any(-1).mean() < 0.9
    return kept[0]


def test_lines_are_called_by_the_names_of_the_arms(figure: Figure) -> None:
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [LEARNED, "flat"]


def test_each_seed_that_came_above_its_target_is_marked_and_counted_and_no_other(figure: Figure) -> None:
    for panel, (change, one) in zip(figure.axes, CHANGES.items(), strict=True):
        marked = {(line.get_xdata()[0], line.get_ydata()[0]) for line in panel.lines if len(line.get_xdata()) == 1}
        places = [seed[arm]["reached"] for seed in one["per_seed"] for arm in adaptation.ARMS]
        assert marked == {(place["lower_steps"], place["values"]) for place in places if place is not None}
        counted = ", ".join(f"{arm} {one['arms'][arm]['n_reached']} of 3" for arm in adaptation.ARMS)
        assert panel.get_title() == f"{change}\nabove the target: {counted}"
    assert CHANGES["slo"]["arms"]["flat"]["n_reached"] == 3
    assert CHANGES["prices"]["arms"]["flat"]["n_reached"] < 3, "one must never get there for this to be a test"
