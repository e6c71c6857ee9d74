"""The study of games: figures are what they say, of policies that are known to be right or wrong by so much."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from envs.games import Climbing, Fulfilment, Inventory, Pricing, always
from runs.cli import main
from runs.studies import games
from runs.studies.games import Asked, best_shipped, level_error, missed, outcome_of, price_error, trials, tried

QUICK = {"pricing": (0,), "climbing": (0, 1), "monotone": (0,)}
"""Games that are learned in seconds, and seeds to try."""


def test_figures_of_known_answers_are_perfect() -> None:
    pricing, inventory, fulfilment = Pricing(), Inventory(), Fulfilment()
    assert price_error(pricing, pricing.nash_price)(pricing.nash()[0].policy) == 0.0
    assert price_error(pricing, pricing.joint_price)(pricing.optimum().policy) == 0.0
    assert level_error(inventory)(inventory.optimum().policy) == 0.0
    assert best_shipped(fulfilment)(fulfilment.optimum().policy) == 1.0
    assert missed(Climbing())(Climbing().optimum().policy) == 0.0


def test_figures_say_how_far_others_are_off() -> None:
    pricing, inventory, fulfilment = Pricing(), Inventory(), Fulfilment()
    prices = always(np.array([[50.0], [55.0], [48.0]]))
    assert price_error(pricing, 50.0)(prices) == pytest.approx(0.1)
    levels = always(np.array([inventory.best_level, inventory.best_level + 2, inventory.best_level - 1]))
    assert level_error(inventory)(levels) == 2.0
    assert missed(Climbing())(always(np.array([2, 2]))) == 6.0
    first = np.zeros(fulfilment.n_stores, np.int64)
    first[0] = fulfilment.n_bids - 1
    share = best_shipped(fulfilment)(always(first))
    spread = np.sqrt(0.1 * 0.9 / games.N_ORDERS)
    assert share == pytest.approx(0.1, abs=4 * spread), "one store of ten is the cheapest in one of ten orders"


def test_a_bound_is_held_from_its_own_side() -> None:
    most, least = Asked("", "<=", 1.0), Asked("", ">=", 1.0)
    assert (most.holds(1.0), most.holds(1.1), least.holds(1.0), least.holds(0.9)) == (True, False, True, False)
    assert (most.worst([0.5, 2.0]), least.worst([0.5, 2.0])) == (2.0, 0.5)


def test_every_game_and_every_asked_algorithm_is_tried() -> None:
    found = trials()
    assert {trial.game.game for trial in found.values()} == {"pricing", "inventory", "fulfilment", "climbing", "monotone"}
    assert {"pricing-iddpg-own", "pricing-maddpg-own", "pricing-iddpg-team", "pricing-maddpg-team"} <= found.keys()
    assert {trial.reward for name, trial in found.items() if name.endswith("own")} == {"own"}


def test_what_is_reached_is_counted_over_seeds() -> None:
    trial = trials()["climbing-joint_q"]
    found = outcome_of(trial, [{"figure": 0.0, "nash_gap": 0.0}, {"figure": 4.0, "nash_gap": 0.5}])
    assert (found["n_reached"], found["worst"], found["nash_gaps"]) == (1, 4.0, [0.0, 0.5])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seed"),
    [(name, seed) for name, trial in trials().items() for seed in QUICK.get(trial.game.game, ())],
)
def test_a_team_finds_what_is_asked(name: str, seed: int) -> None:
    """With the settings of the study; games that take minutes are left to it."""
    trial = trials()[name]
    found = tried(trial, seed)
    assert trial.asked.holds(found["figure"]), found


@pytest.mark.slow
def test_the_study_runs_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of its trials, one seed, in this process."""
    kept = {"climbing-joint_q": trials()["climbing-joint_q"]}
    monkeypatch.setattr(games, "trials", lambda: kept)
    assert main(["study", "games", str(tmp_path), "--seeds", "1", "--executor", "inline"]) == 0
    found = json.loads((tmp_path / "games.json").read_text())
    assert list(found) == list(kept)
    assert (found["climbing-joint_q"]["n_reached"], found["climbing-joint_q"]["figures"]) == (1, [0.0])
    assert found["climbing-joint_q"]["nash_gaps"] == [0.0]
    assert "Games with known answers" in capsys.readouterr().out
