"""Whatever a policy asks for, what is written keeps every rule of safety."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.core.arrays import FloatArray
from envs.core.validation import SettingError
from hierarchy.live.safety import Safety, Standing, held

N_SERVERS = 4
FREE = Safety(largest_change=256)
weights = st.lists(st.lists(st.integers(0, 256), min_size=N_SERVERS, max_size=N_SERVERS), min_size=1, max_size=2)
flags = st.lists(st.booleans(), min_size=N_SERVERS, max_size=N_SERVERS)
rules = st.builds(
    Safety,
    highest=st.integers(16, 256),
    floor=st.integers(1, 16),
    may_drain=st.booleans(),
    least_in_service=st.integers(1, 6),
    largest_change=st.integers(1, 256),
    dead_band=st.integers(0, 20),
)


def standing(last: list[list[int]], healthy: list[bool] | None = None, out: list[bool] | None = None) -> Standing:
    n = len(last[0])
    return Standing(np.array(last), np.array(healthy or [True] * n), np.array(out or [False] * n))


def asked_for(last: list[list[int]], data: Any) -> FloatArray:
    n = len(last) * N_SERVERS
    return np.array(data.draw(st.lists(st.floats(0, 1), min_size=n, max_size=n))).reshape(len(last), N_SERVERS)


@given(rules, weights, flags, flags, st.data())
def test_no_rule_is_broken(rules: Safety, last: list[list[int]], healthy: list[bool], out: list[bool], data: Any) -> None:
    stands, asked = standing(last, healthy, out), asked_for(last, data)
    given_weights, interventions = held(rules, asked, stands)
    before = stands.last
    assert np.array_equal(given_weights[:, stands.untouchable], before[:, stands.untouchable])
    assert (np.abs(given_weights - before) <= rules.largest_change).all()
    assert (given_weights >= 0).all()
    assert (given_weights <= np.maximum(before, rules.highest)).all()
    usable = stands.healthy & ~stands.untouchable
    for row, row_before in zip(given_weights, before, strict=True):
        least = min(rules.least_in_service, int(usable.sum()), max(int((row_before[usable] > 0).sum()), 1))
        assert (row[usable] > 0).sum() >= min(least, int(usable.sum()))
        if not rules.may_drain:
            assert (row[usable] >= np.minimum(row_before[usable], rules.floor)).all()
    assert all(one.asked != one.given for one in interventions)


@given(rules, weights, flags, st.data())
def test_what_is_asked_for_again_is_reached(rules: Safety, last: list[list[int]], healthy: list[bool], data: Any) -> None:
    """However small the steps are, within the dead band of what the other rules let be."""
    stands, asked = standing(last, healthy), asked_for(last, data)
    for _ in range(600):
        following, _ = held(rules, asked, stands)
        if np.array_equal(following, stands.last):
            break
        stands = stands._replace(last=following)
    else:
        pytest.fail("it never settles")
    at_once = held(replace(rules, largest_change=256, dead_band=0), asked, stands).weights
    assert (np.abs(stands.last - at_once) <= rules.dead_band).all()


def test_weights_are_scaled_and_written_as_they_are() -> None:
    written, interventions = held(FREE, np.array([[1.0, 0.5, 0.0, 1e-9]]), standing([[1, 1, 1, 1]]))
    assert (written.tolist(), interventions) == ([[256, 128, 0, 1]], ())


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -0.1, 1.1])
def test_what_is_no_weight_holds_all(wrong: float) -> None:
    written, interventions = held(FREE, np.array([[0.5, wrong, 0.2]]), standing([[7, 8, 9]]))
    assert written.tolist() == [[7, 8, 9]]
    assert [(one.rule, one.server, one.given) for one in interventions] == [("not a weight", 1, 8)]


CASES: dict[str, tuple[dict[str, Any], list[float], list[int], list[int]]] = {
    "floor": ({"floor": 8}, [0.01, 0.0, 1.0], [100, 100, 100], [8, 0, 256]),
    "no draining": ({"floor": 8, "may_drain": False}, [0.01, 0.0, 1.0], [100, 100, 100], [8, 8, 256]),
    "in service": ({"least_in_service": 2}, [0.0, 0.0, 1.0], [10, 50, 100], [0, 50, 256]),
    "largest change": ({"largest_change": 30}, [0.0, 1.0, 0.5], [100, 100, 128], [70, 130, 128]),
    "dead band": ({"dead_band": 5}, [0.5, 0.52, 0.0], [125, 125, 4], [125, 133, 0]),
}


@pytest.mark.parametrize("name", CASES)
def test_each_rule(name: str) -> None:
    settings, asked, last, expected = CASES[name]
    assert held(replace(FREE, **settings), np.array([asked]), standing([last])).weights.tolist() == [expected]


def test_servers_that_are_down_or_taken_out_do_not_count_as_in_service() -> None:
    stands = standing([[0, 0, 5, 0]], [False, True, True, True], [False, False, True, False])
    assert held(FREE, np.array([[1.0, 0.0, 1.0, 0.0]]), stands).weights.tolist() == [[256, 1, 5, 0]]


def test_a_server_that_is_not_switched_on_has_no_weight_whatever_the_rules() -> None:
    stands = standing([[0, 9, 9, 0]], [False, True, True, False])._replace(unready=np.array([True, False, False, True]))
    rules = replace(FREE, may_drain=False, floor=8, least_in_service=4)
    given_weights, interventions = held(rules, np.array([[1.0, 1.0, 0.0, 0.0]]), stands)
    assert given_weights.tolist() == [[0, 256, 8, 0]]
    assert [(one.rule, one.server) for one in interventions] == [("power", 0), ("floor", 2)]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"highest": 257}, "highest must be >= 1 and <= 256, got 257"),
        ({"floor": 20, "highest": 10}, "floor must be <= highest (10), got 20"),
        ({"least_in_service": 0}, "least_in_service must be >= 1"),
        ({"largest_change": 0}, "largest_change must be >= 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, int], said: str) -> None:
    with pytest.raises(SettingError) as raised:
        Safety(**settings)
    assert said in str(raised.value)
