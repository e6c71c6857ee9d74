"""Every picture that is listed is drawn, of one experiment and of several training seeds."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest

from hierarchy import plots
from hierarchy.evidence.results import combined
from hierarchy.plots import Picture
from hierarchy.plots.arms import plot_arms, shares_by_class, units_of
from hierarchy.plots.curves import Curve
from hierarchy.plots.drawing import PHASES, lines_of_training, panels_of_learning, phases_of_all
from hierarchy.storage.folder import OutputFolder
from hierarchy.tracking.publishing import labels_of
from tests.hierarchy.episodes import PICTURES, TERMS

pytestmark = pytest.mark.usefixtures("drawn")
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
    OutputFolder(folder).curves.unlink()
    check(plots.draw(trained.results, [folder], labels_of(trained.config), out), PICTURES - OF_LEARNING, out)


REWARDS = [f"reward/{term}" for term in TERMS]
BY_TERM = [f"setting/{term}_first" for term in TERMS]
MIXED = [*(f"context/{term}" for term in TERMS), "upper/corner_share"]


@pytest.mark.parametrize(
    ("phases", "panels", "lines"),
    [
        (PHASES, [*REWARDS, "upper/objective", "flat/objective"], [BY_TERM, MIXED]),
        (("lower",), REWARDS, [BY_TERM]),
        (("upper",), ["upper/objective"], [MIXED]),
    ],
    ids=str,
)
def test_each_phase_of_training_has_its_panels_and_lines(
    trained: Any, phases: tuple[str, ...], panels: list[str], lines: list[list[str]]
) -> None:
    labels = labels_of(trained.config)
    assert [panel.name for panel in panels_of_learning(phases, labels)] == panels
    assert [list(picture.names) for picture in lines_of_training(phases, labels)] == lines


@pytest.mark.parametrize("lacking", [(), ("upper", "flat"), ("lower",), PHASES], ids=str)
def test_only_phases_that_all_training_seeds_have_are_drawn(lacking: tuple[str, ...]) -> None:
    whole: dict[str, Curve] = {phase: {"step": [1.0]} for phase in PHASES}
    parts = {phase: curve for phase, curve in whole.items() if phase not in lacking}
    phases = phases_of_all([whole, parts])
    assert list(phases) == list(parts)
    assert all(len(curves) == 2 for curves in phases.values())


def test_what_was_late_and_lost_is_drawn_of_each_class(trained: Any) -> None:
    assert shares_by_class(trained.results) == {
        what: {name: f"{what}_share_{name}" for name in ("interactive", "batch")} for what in ("late", "lost")
    }


def test_a_world_without_classes_has_one_panel(trained: Any, out: Path) -> None:
    arms = {
        name: arm and {**arm, "metrics": {"latency_mean_ms": arm["metrics"]["latency_mean_ms"], "late_share": 0.5}}
        for name, arm in trained.results["arms"].items()
    }
    without = {**trained.results, "arms": arms}
    assert shares_by_class(without) == {}
    drawn = [plot_arms(found, "profit", out / f"{i}.png") for i, found in enumerate((without, trained.results))]
    one, several = (matplotlib.image.imread(path).shape[1] for path in drawn)
    assert one < several


@pytest.mark.parametrize(("several", "of_seeds"), [(False, "evaluation seeds"), (True, "training seeds")])
def test_intervals_say_what_they_are_over(trained: Any, several: bool, of_seeds: str) -> None:
    found = {**trained.results, "training_seeds": [0, 1] if several else [0]}
    assert units_of(found) == of_seeds
    arms = {name: arm and {**arm, "blocks": {"sums": [1.0], "counts": [1.0]}} for name, arm in found["arms"].items()}
    over_blocks = units_of({**found, "arms": arms})
    assert over_blocks.startswith("blocks of the recording")
    assert over_blocks.endswith("training seeds") == several


def test_labels_are_those_of_the_world(trained: Any) -> None:
    labels = labels_of(trained.config)
    assert labels.terms == ("fairness", "latency", "cost")
    assert labels.regimes == ("load 0.3, 50% interactive", "load 0.7, 50% interactive")
    assert labels.window_s == trained.config.upper.meta_period * trained.config.env.dt_s
    assert labels.objective == "profit ($/h)"
    assert labels.setting_names[0] == "interactive on server 0"
    assert len(labels.setting_names) == 4
