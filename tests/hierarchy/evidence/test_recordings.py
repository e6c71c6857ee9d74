"""What pictures are drawn from comes back from the folder as it was."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hierarchy.evidence.episodes import Episodes
from hierarchy.evidence.recordings import Curves, load_curves, load_episodes, save_episodes
from tests.hierarchy.episodes import episodes

POSITION = np.array([[0.1, 0.9], [0.2, 0.8]])
ARMS: dict[str, Episodes] = {
    "learned": episodes([1.0, 2.0], [0.5, 0.3, 0.2]),
    "learned_long": dataclasses.replace(episodes([3.0, 4.0], [0.0, 0.0, 1.0]), recorded_position=POSITION),
    "sed": episodes([5.0, 6.0]),
    "unspread": dataclasses.replace(episodes([7.0, 8.0]), spread=None, recorded_position=POSITION),
}


def same(one: Any, other: Any) -> bool:
    """Equal in every array, also in tables and tuples of them."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    return bool(one == other)


@pytest.mark.parametrize("name", ARMS)
def test_an_arm_is_read_back_as_it_was_written(tmp_path: Path, name: str) -> None:
    save_episodes(ARMS, tmp_path)
    found = load_episodes(tmp_path)
    assert list(found) == list(ARMS)
    for field in dataclasses.fields(Episodes):
        assert same(getattr(ARMS[name], field.name), getattr(found[name], field.name)), field.name


def test_arms_that_are_not_there_are_left_out(tmp_path: Path) -> None:
    save_episodes({**ARMS, "flat": None}, tmp_path)
    assert load_episodes(tmp_path).keys() == ARMS.keys()


def test_the_episodes_of_an_experiment_are_those_of_its_results(trained: Any) -> None:
    found = load_episodes(trained.out)
    there = {name: arm for name, arm in trained.results["arms"].items() if arm is not None}
    assert found.keys() == there.keys()
    for name, arm in there.items():
        assert found[name].objective.tolist() == arm["objective"]["per_seed"]
        assert (found[name].contexts is None) == (arm["context"] is None)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_episodes({"sed": ARMS["sed"]}, tmp_path)

    def full_disk(file: Any, **_: Any) -> None:
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_episodes(ARMS, tmp_path)
    assert load_episodes(tmp_path).keys() == {"sed"}


def test_curves_keep_every_metric_by_step_and_phase(tmp_path: Path) -> None:
    curves = Curves()
    for step in (10, 20, 30):
        curves.record("lower", {"reward/cost": step / 100}, step)
        curves.record("upper", {"upper/objective": -step}, 2 * step)
    curves.save(tmp_path)
    assert load_curves(tmp_path) == {
        "lower": {"step": [10.0, 20.0, 30.0], "reward/cost": [0.1, 0.2, 0.3]},
        "upper": {"step": [20.0, 40.0, 60.0], "upper/objective": [-10.0, -20.0, -30.0]},
    }


def test_where_a_metric_has_no_value_there_is_none(tmp_path: Path) -> None:
    curves = Curves()
    for step, values in enumerate([{"a": 1.0}, {"b": 2.0}, {"a": 3.0, "b": 4.0}]):
        curves.record("lower", values, step)
    curves.save(tmp_path)
    assert load_curves(tmp_path) == {"lower": {"step": [0.0, 1.0, 2.0], "a": [1.0, None, 3.0], "b": [None, 2.0, 4.0]}}


def test_a_folder_without_curves_has_none(tmp_path: Path) -> None:
    Curves().save(tmp_path)
    assert not list(tmp_path.iterdir())
    assert load_curves(tmp_path) == {}
