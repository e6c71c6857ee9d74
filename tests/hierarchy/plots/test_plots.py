"""Every picture that is listed is drawn, of one experiment and of several training seeds."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from numpy.testing import assert_allclose

from hierarchy import plots
from hierarchy.evidence.recordings import CURVES_NAME
from hierarchy.evidence.results import combined
from hierarchy.plots import Picture
from hierarchy.plots.curves import N_BINS, binned
from hierarchy.tracking.publishing import labels_of
from tests.hierarchy.episodes import PICTURES, TERMS

OF_LEARNING = {"learning.png", "settings.png", "mixes.png"}


def check(pictures: list[Picture], expected: set[str], out: Path) -> None:
    """All are there, in ``out`` alone, and something is drawn on each."""
    assert len(pictures) == len(expected)
    assert {picture.path for picture in pictures} == {out / name for name in expected} == set(out.iterdir())
    for picture in pictures:
        pixels = matplotlib.image.imread(picture.path)[..., :3]
        assert min(pixels.shape[:2]) > 100
        assert 0.001 < (pixels < 0.5).any(-1).mean() < 0.9, picture.path.name
        assert picture.title
        assert picture.text


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def test_an_experiment_is_drawn(trained: Any, out: Path) -> None:
    check(plots.draw(trained.results, [trained.out], labels_of(trained.config), out), PICTURES, out)


def test_several_training_seeds_are_drawn(trained: Any, out: Path) -> None:
    found = combined([trained.results, {**trained.results, "seed": 1, "training_seeds": [1]}])
    check(plots.draw(found, [trained.out, trained.out], labels_of(trained.config), out), PICTURES, out)


def test_without_curves_there_is_no_picture_of_learning(trained: Any, tmp_path: Path, out: Path) -> None:
    folder = shutil.copytree(trained.out, tmp_path / "copied")
    (folder / CURVES_NAME).unlink()
    check(plots.draw(trained.results, [folder], labels_of(trained.config), out), PICTURES - OF_LEARNING, out)


TERMS_PAID = [f"reward/{term}" for term in TERMS]
SET_BY_TERM = [f"setting/{term}_first" for term in TERMS]
MIXED = [*(f"context/{term}" for term in TERMS), "upper/corner_share"]


@pytest.mark.parametrize(
    ("lacking", "shown"),
    [
        ((), [[*TERMS_PAID, "upper/objective", "flat/objective"], SET_BY_TERM, MIXED]),
        (("upper", "flat"), [TERMS_PAID, SET_BY_TERM]),
        (("lower", "flat"), [["upper/objective"], MIXED]),
    ],
    ids=str,
)
def test_only_phases_that_all_training_seeds_have_are_drawn(
    trained: Any, out: Path, monkeypatch: pytest.MonkeyPatch, lacking: tuple[str, ...], shown: list[list[str]]
) -> None:
    told: list[list[str]] = []

    def plot(phases: Any, panels: list[tuple[str, str, str, str]], path: Path) -> Path:
        assert all(len(phases[phase]) == 2 for phase, *_ in panels)
        told.append([name for _, name, *_ in panels])
        return path

    def plot_lines(curves: Any, names: dict[str, str], x_label: str, y_label: str, path: Path) -> Path:
        assert len(curves) == 2
        told.append(list(names))
        return path

    monkeypatch.setattr(plots, "plot_learning", plot)
    monkeypatch.setattr(plots, "plot_lines", plot_lines)
    whole = {phase: {"step": [1.0]} for phase in ("lower", "upper", "flat")}
    curves = [whole, {phase: curve for phase, curve in whole.items() if phase not in lacking}]
    assert len(plots._of_learning(curves, labels_of(trained.config), out)) == len(shown)
    assert told == shown
    assert plots._of_learning([{}, whole], labels_of(trained.config), out) == []


def test_labels_are_those_of_the_world(trained: Any) -> None:
    labels = labels_of(trained.config)
    assert labels.terms == ("fairness", "latency", "cost")
    assert labels.regimes == ("load 0.3, 50% interactive", "load 0.7, 50% interactive")
    assert labels.window_s == trained.config.upper.meta_period * trained.config.env.dt_s
    assert labels.objective == "profit ($/h)"


# Curves over common bins.


def test_curves_of_one_length_are_averaged_in_their_bins() -> None:
    step = [float(n) for n in range(1, 4 * N_BINS + 1)]
    curves = [{"step": step, "a": [10.0 * factor * n for n in step]} for factor in (1, 2)]
    x, values = binned(curves, "a")
    centres = (np.arange(N_BINS) + 0.5) * 4
    assert_allclose(x, centres)
    assert_allclose(values, [10 * (centres + 0.5), 20 * (centres + 0.5)])


def test_bins_that_a_curve_has_no_step_in_are_left_out() -> None:
    long = {"step": [10.0, 20.0, 30.0, 40.0], "a": [1.0, 2.0, 3.0, 4.0]}
    short = {"step": [10.0, 30.0], "a": [5.0, 7.0]}
    x, values = binned([long, short], "a")
    assert_allclose(x, [9.5, 29.5])
    assert values.tolist() == [[1.0, 3.0], [5.0, 7.0]]
