"""Episodes that were recorded apart are put together seed by seed."""

from __future__ import annotations

import dataclasses

import numpy as np

from hierarchy.evidence.episodes import BY_WINDOW, Episodes, joined
from tests.hierarchy.episodes import episodes

ONE, OTHER = episodes([1.0, 2.0], [0.5, 0.3, 0.2]), episodes([3.0, 4.0, 5.0], [0.1, 0.1, 0.8])


def test_seeds_follow_each_other_in_everything_that_has_seeds() -> None:
    both = joined([ONE, OTHER])
    assert both.objective.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    for name, values in both.statistics.items():
        assert values.tolist() == [*ONE.statistics[name], *OTHER.statistics[name]]
    assert both.costs["load"].tolist() == [*ONE.costs["load"], *OTHER.costs["load"]]
    for name in BY_WINDOW:
        parts = getattr(ONE, name), getattr(OTHER, name)
        assert (getattr(both, name) is None) == (parts[0] is None)
        if parts[0] is not None:
            np.testing.assert_array_equal(getattr(both, name), np.concatenate(parts, axis=1))


def test_answers_are_counted_together_and_the_first_seed_stays_the_first() -> None:
    both = joined([ONE, OTHER])
    assert both.spread is not None
    assert ONE.spread is not None
    assert OTHER.spread is not None
    np.testing.assert_array_equal(both.spread.counts, ONE.spread.counts + OTHER.spread.counts)
    assert both.timeline == ONE.timeline
    assert both.settings is ONE.settings
    assert both.bounds == ONE.bounds


def test_every_field_is_put_together_or_that_of_the_first() -> None:
    known = {"objective", "statistics", "costs", "bounds", "spread", "timeline", "settings", *BY_WINDOW}
    assert {field.name for field in dataclasses.fields(Episodes)} == known
