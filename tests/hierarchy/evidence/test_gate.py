"""What was taken is told as it was, and the gated arm is neither a rule nor told regimes."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from hierarchy.arms.gated import Taken
from hierarchy.evidence import results
from hierarchy.evidence.arms import Facts, above_oracle, best_rule, comparisons
from hierarchy.evidence.gate import gate_table, gate_text
from hierarchy.evidence.tables import compared_once
from tests.hierarchy.episodes import FACTS, SPEC, episodes

GIVEN = {"learned": [1.0, 2.0], "gated": [3.0, 5.0], "sed": [3.0, 4.0], "delayed_oracle": [2.0, 2.0]}
KINDS = {**FACTS, "gated": Facts("gated", knows="as what it took"), "sed": Facts("rule"), "learned": Facts("learned")}


def taken(name: str, learned: float, sed: float, error: float | None = 0.25) -> dict[str, Any]:
    return dataclasses.asdict(Taken(name, {}, {"learned": learned, "sed": sed}, {"learned": error, "sed": error}, 6, 9))


@pytest.fixture
def whole() -> Any:
    return results.of_arms({name: episodes(scores) for name, scores in GIVEN.items()}, KINDS, SPEC)


def test_the_gated_arm_is_no_rule_and_is_held_against_the_best_one(whole: Any) -> None:
    arms = [whole["arms"]]
    assert best_rule(arms) == "sed"
    assert comparisons(arms)["gated_vs_best_rule"]["difference"] == 0.5
    assert comparisons(arms)["gated_vs_best_rule"]["rival"] == "sed"
    assert "gated_vs_best_rule" not in comparisons([{**whole["arms"], "sed": None}])
    assert [one["rival"] for _, one in compared_once(whole)] == ["sed", "delayed_oracle", "gated"]


def test_the_gated_arm_is_told_no_regime(whole: Any) -> None:
    assert above_oracle([whole["arms"]]) == ["gated", "sed"]


def test_who_knows_what_a_rule_knows_is_told_no_regime(whole: Any) -> None:
    arms = {**whole["arms"], "sed": {**whole["arms"]["sed"], "knows": "timetable"}}
    for known, above in (("timetable", ["gated", "sed", "learned"]), ("the regime now", ["gated", "sed"])):
        ours = {**arms["learned"], "knows": known, "objective": {**arms["sed"]["objective"], "per_seed": [3.0, 3.0]}}
        assert above_oracle([{**arms, "learned": ours}]) == above


def test_it_is_told_what_was_taken(whole: Any) -> None:
    assert gate_text(whole) == ""
    assert gate_text({**whole, "found": {"gate": taken("sed", 1.0, 2.0)}}) == "gated: took sed"
    several = [taken("sed", 1.0, 2.0), taken("learned", 3.0, 2.5), taken("sed", 1.0, 4.5)]
    both = results.combined([{**whole, "found": {"gate": one}} for one in several])
    assert gate_text(both) == "gated: took sed on 2 and learned on 1 of 3 training seeds"
    headings, *rows = gate_table(both)
    assert len(headings) == len(rows[0])
    means = [f"{np.mean(values):.3f}" for values in ([2.0, 2.5, 4.5], [1.0, 3.0, 1.0])]
    assert rows == [["sed", means[0], "0.250", "2"], ["learned", means[1], "0.250", "1"]]


def test_an_arm_beyond_the_bounds_comes_last_and_says_how_far(whole: Any) -> None:
    one = {**taken("sed", 2.0, 1.0), "beyond": {"learned": 0.25, "sed": 0.0}}
    headings, first, second = gate_table({**whole, "found": {"gate": one}})
    assert headings[3] == "beyond bounds"
    assert (first[0], first[3]) == ("sed", "0%")
    assert (second[0], second[3]) == ("learned", "25%")


def test_one_selection_seed_has_no_standard_error(whole: Any) -> None:
    assert gate_table(whole) == []
    _, first, second = gate_table({**whole, "found": {"gate": taken("learned", 2.0, 1.0, None)}})
    assert first == ["learned", "2.000", "-", "1"]
    assert second == ["sed", "1.000", "-", "0"]
