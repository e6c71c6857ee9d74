"""The table of results: who stands first, and what of every arm."""

from __future__ import annotations

from typing import Any

import pytest

from hierarchy.evidence import tables


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
