"""The table of results: who stands first, and what of every arm."""

from __future__ import annotations

from typing import Any

import pytest

from hierarchy.evidence import results, tables
from tests.hierarchy.episodes import episodes, figures


def test_the_table_is_headed_by_the_best_rule_and_the_others_stand_best_first(trained: Any) -> None:
    rows = [line.split("|")[1].strip() for line in tables.markdown(trained.results).splitlines()[2:]]
    scores = {name: arm["objective"]["mean"] for name, arm in trained.results["arms"].items() if arm is not None}
    assert sorted(rows) == sorted(scores)
    assert rows[0] == trained.results["comparisons"]["learned_vs_best_rule"]["rival"]
    others = [scores[name] for name in rows[1:]]
    assert others == sorted(others, reverse=True)


def test_every_row_of_the_table_has_as_many_cells_as_its_head(trained: Any) -> None:
    assert len({line.count("|") for line in tables.markdown(trained.results).splitlines()}) == 1


def test_the_table_tells_loss_and_lateness_of_each_class_in_percent(trained: Any) -> None:
    headings, *rows = tables.table(trained.results)
    metrics = trained.results["arms"]["learned"]["metrics"]
    (ours,) = (row for row in rows if row[0] == "learned")
    for what in ("late", "lost"):
        for of in ("interactive", "batch"):
            cell = ours[headings.index(f"{what} % {of[:5]}")]
            assert float(cell) == pytest.approx(100.0 * metrics[f"{what}_share_{of}"], abs=0.005)


def test_the_table_has_a_column_of_every_bound() -> None:
    headings, row = tables.rows_of(list(figures(sed=episodes([1.0, 2.0, 6.0])).items()))
    assert row[headings.index("load <= 0.02")] == "0.03"
    assert (headings[-2:], row[-1]) == (["mix", "knows"], "measurements")


def test_what_was_found_is_told_with_the_steps_that_it_took(trained: Any) -> None:
    headings, *rows = tables.found_table(trained.results)
    by_name = {row[0]: dict(zip(headings, row, strict=True)) for row in rows}
    kept = {name: one for name, one in trained.results["found"].items() if "numbers" in one and name != "gate"}
    assert by_name.keys() == kept.keys() >= {"fixed_best", "autoscale", "autoscale_forecast"}
    for name, one in kept.items():
        row = by_name[name]
        assert row["lower steps"] == f"{one['n_lower_steps']:,}"
        assert (row["tried"], row["cut short"]) == (f"{one['n_trials']:,}", f"{one['n_cut_short']:,}")
        assert all(number in row["numbers"] for number in one["numbers"])


def test_what_was_found_is_told_for_each_training_seed(trained: Any) -> None:
    both = results.combined([trained.results, {**trained.results, "training_seeds": [1]}])
    rows = tables.found_table(both)[1:]
    assert [row[:2] for row in rows[:2]] == [["fixed_best", "0"], ["fixed_best", "1"]]
    assert len(rows) == 2 * len(tables.found_table(trained.results)[1:])


def test_a_table_of_nothing_found_is_empty(trained: Any) -> None:
    assert tables.found_table({**trained.results, "found": {}}) == []
