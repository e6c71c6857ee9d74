"""What is asked for does not depend on who asks, and only the best third goes on after a rung."""

from __future__ import annotations

from pathlib import Path

import pytest

from hierarchy.stopping import PrunedError
from hierarchy.sweeping.space import Choices, Range
from hierarchy.sweeping.storage import REDUCTION, Ended, Storage
from hierarchy.sweeping.summary import best_of, importances, summary

SPACE = {"x": Range(0.0, 1.0), "n": Range(1, 9), "word": Choices(["a", "b"])}
FIRST = {"x": 0.5, "n": 3, "word": "b"}
N = 14
"""More than are drawn at random before the sampler models anything."""


def worth(values: dict[str, float]) -> float:
    return -((values["x"] - 0.3) ** 2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    """As many trials by one process."""
    storage = Storage(tmp_path_factory.mktemp("whole"), SPACE, 7)
    for _ in range(N):
        asked = storage.ask(FIRST)
        storage.tell(asked.number, Ended(worth(asked.values)))
    return storage


def test_the_first_trial_is_what_the_settings_are(whole: Storage) -> None:
    assert summary(whole)["trials"][0]["values"] == FIRST


def test_settings_that_are_outside_begin_nothing(tmp_path: Path) -> None:
    asked = Storage(tmp_path, SPACE, 7).ask({**FIRST, "n": 10})
    assert asked.number == 0
    assert all(one.kept(asked.values[name]) is not None for name, one in SPACE.items())


def test_who_goes_on_asks_for_the_same_and_for_none_twice(whole: Storage, tmp_path: Path) -> None:
    """Every trial is asked for by a process of its own, as far as the storage can tell, and dies once before its end."""
    for number in range(N):
        assert Storage(tmp_path, SPACE, 7).ask(FIRST).number == number
        storage = Storage(tmp_path, SPACE, 7)
        [left] = storage.unfinished()
        assert left.number == number
        storage.tell(number, Ended(worth(left.values)))
    assert Storage(tmp_path, SPACE, 7).unfinished() == []
    found, expected = summary(Storage(tmp_path, SPACE, 7)), summary(whole)
    assert found == expected
    assert len({one["values"]["x"] for one in found["trials"]}) == N


def test_a_trial_that_has_but_some_of_its_settings_gets_the_rest(tmp_path: Path) -> None:
    storage = Storage(tmp_path, SPACE, 7)
    begun = storage.study.ask()
    x = SPACE["x"].suggest(begun, "x")
    [left] = Storage(tmp_path, SPACE, 7).unfinished()
    assert left.values["x"] == x
    assert left.values.keys() == SPACE.keys()


def test_of_those_at_a_rung_the_best_third_goes_on(tmp_path: Path) -> None:
    storage = Storage(tmp_path, SPACE, 7)
    numbers = [storage.ask(FIRST).number for _ in range(2 * REDUCTION)]
    gone_on = []
    for number in numbers:
        try:
            storage.judge(number, 1, -number)  # every one is worse than those before
        except PrunedError:
            storage.tell(number, Ended())
        else:
            gone_on.append(number)
    assert gone_on == [0]
    better = storage.ask(FIRST).number
    storage.judge(better, 1, 1.0)
    states = [one["state"] for one in summary(storage)["trials"]]
    assert states == ["running", *["pruned"] * (2 * REDUCTION - 1), "running"]


def test_a_rung_that_was_come_to_before_a_kill_stays_as_it_was(tmp_path: Path) -> None:
    storage = Storage(tmp_path, SPACE, 7)
    number = storage.ask(FIRST).number
    storage.judge(number, 1, 0.25)
    Storage(tmp_path, SPACE, 7).judge(number, 1, 0.25)
    Storage(tmp_path, SPACE, 7).judge(number, 2, 0.5)
    assert summary(storage)["trials"][0]["rungs"] == {"1": 0.25, "2": 0.5}


def test_the_best_keeps_its_bounds(tmp_path: Path) -> None:
    storage = Storage(tmp_path, SPACE, 7)
    for ended in (Ended(5.0, beyond=0.1), Ended(1.0), Ended(why="it diverged"), Ended(), Ended(1.0), Ended(0.5)):
        storage.tell(storage.ask(FIRST).number, ended)
    found = summary(storage)["trials"]
    assert best_of(found) == 1
    assert [one["state"] for one in found] == ["complete", "complete", "failed", "pruned", "complete", "complete"]
    assert (found[2]["why"], found[0]["beyond"]) == ("it diverged", 0.1)


def test_importance_goes_to_what_the_objective_depends_on(whole: Storage) -> None:
    found = importances(whole, summary(whole)["trials"])
    assert max(found, key=lambda name: found[name]) == "x"
    assert found["x"] > 0.8
    assert sum(found.values()) == pytest.approx(1.0)


def test_importances_need_trials_that_differ(tmp_path: Path) -> None:
    storage = Storage(tmp_path, SPACE, 7)
    for _ in range(6):
        storage.tell(storage.ask(FIRST).number, Ended(1.0))
    assert importances(storage, summary(storage)["trials"]) == {}
