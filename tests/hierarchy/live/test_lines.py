"""A line of JSON says when, how grave, and all of the decision."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from hierarchy.live.lines import Lines, level_of
from hierarchy.live.safety import Intervention
from tests.hierarchy.live.told import DRAINED, WINDOW, decision, report


def line(**more: Any) -> dict[str, Any]:
    stream = io.StringIO()
    Lines(stream).observe(report(4, **more))
    assert stream.getvalue().count("\n") == 1
    return json.loads(stream.getvalue(), parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))  # type: ignore[no-any-return]


def test_it_says_when_and_all_of_the_decision() -> None:
    found = line(window=WINDOW, interventions=(DRAINED,), failures={"audit": 2, "metrics": 0})
    assert (found["at"], found["level"], found["step"]) == ("2023-11-14T22:13:24.000+00:00", "warning", 4)
    assert (found["weights"], found["took_ms"]) == ([[256, 128], [64, 0]], 4.0)
    assert found["interventions"] == [{"rule": "in service", "backend": 0, "server": 1, "asked": 0, "given": 100}]
    assert (found["context"], found["window"]) == ([0.2, 0.5, 0.3], {"number": 1, "objective": 1.5})
    assert found["failures"] == {"audit": 2}


def test_what_is_no_number_is_null() -> None:
    asked = np.array([[np.nan, np.inf], [0.5, -np.inf]])
    assert line(asked=asked, window=WINDOW._replace(objective=np.nan))["asked"] == [[None, None], [0.5, None]]


LEVELS = {
    "nothing": ({}, "info"),
    "slowed": ({"interventions": (DRAINED._replace(rule="largest change"), DRAINED._replace(rule="dead band"))}, "info"),
    "against": ({"interventions": (DRAINED,)}, "warning"),
    "no number": ({"interventions": (Intervention("not a weight", 0, 0, -1, 3),)}, "error"),
    "held": ({"held_because": "no answer"}, "error"),
}


@pytest.mark.parametrize("name", LEVELS)
def test_levels(name: str) -> None:
    more, level = LEVELS[name]
    assert level_of(decision(**more)) == level
