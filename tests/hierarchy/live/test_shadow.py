"""A shadow tells decisions that are others from those that are not."""

from __future__ import annotations

import numpy as np
import pytest

from hierarchy.live.shadow import Shadow, apart
from tests.hierarchy.live.told import report

IN_FORCE = np.array([[100, 100], [50, 150]])


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (IN_FORCE, [0.0, 0.0]),
        (2 * IN_FORCE, [0.0, 0.0]),
        ([[200, 0], [150, 50]], [0.5, 0.5]),
        ([[0, 0], [50, 150]], [1.0, 0.0]),
    ],
)
def test_it_is_the_share_of_weight_on_other_servers(weights: object, expected: list[float]) -> None:
    assert apart(np.array(weights), IN_FORCE) == pytest.approx(expected)
    assert apart(IN_FORCE, np.array(weights)) == pytest.approx(expected)


def test_steps_are_counted_unless_they_are_held() -> None:
    shadow = Shadow()
    same, other = (report(number)._replace(in_force=IN_FORCE) for number in (1, 2))
    same = same._replace(decision=same.decision._replace(weights=IN_FORCE))
    other = other._replace(decision=other.decision._replace(weights=IN_FORCE[:, ::-1]))
    held = other._replace(decision=other.decision._replace(held_because="no answer"))
    unknown = other._replace(decision=other.decision._replace(weights=None))
    for one in (same, other, held, unknown):
        shadow.observe(one)
    assert (shadow.n_steps, shadow.n_otherwise) == (2, 1)
    assert shadow.said().startswith("of 2 decisions 1 would have moved more than 5%")
    assert "25.0% of it" in shadow.said()
