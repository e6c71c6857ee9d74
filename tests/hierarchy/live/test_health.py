"""A loop lives while steps end, and steers while they are good and HAProxy answers."""

from __future__ import annotations

import json

import pytest

from hierarchy.live.health import N_RECENT, Health
from tests.hierarchy.live.told import DRAINED, SUBJECT, WINDOW, Source, report


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def health(source: Source) -> Health:
    return Health(SUBJECT, source, looks=5)  # type: ignore[arg-type]


def test_before_the_first_step_it_lives_and_does_not_steer(health: Health, source: Source) -> None:
    assert (health.stopped_because, health.unready_because) == ("", "no step has ended yet")
    source.now_s += 11.0
    assert health.stopped_because == "the last step ended 11.0 s ago"


def test_a_step_that_was_good_is_ready(health: Health) -> None:
    health.observe(report(1))
    assert (health.stopped_because, health.unready_because) == ("", "")


def test_a_step_that_was_held_lives_and_is_not_ready_until_a_good_one(health: Health) -> None:
    health.observe(report(1, held_because="HAProxy can't be reached"))
    assert (health.stopped_because, health.unready_because) == ("", "weights are held: HAProxy can't be reached")
    health.observe(report(2))
    assert health.unready_because == ""


def test_old_telemetry_is_not_ready(health: Health, source: Source) -> None:
    health.observe(report(1))
    source.look_age_s = 4.1  # three steps, and a second to answer
    assert (health.stopped_because, health.unready_because) == ("", "HAProxy has not answered for 4.1 s")


def test_a_loop_without_steps_has_stopped(health: Health, source: Source) -> None:
    health.observe(report(1))
    source.now_s += 9.9  # three steps, and all looks at a HAProxy that does not answer
    assert health.stopped_because == ""
    source.now_s += 0.2
    assert health.stopped_because == health.unready_because == "the last step ended 10.1 s ago"


def test_the_state_is_what_was_reported(health: Health, source: Source) -> None:
    health.observe(report(1))
    health.observe(report(2, WINDOW, interventions=(DRAINED,)))
    health.observe(report(3, WINDOW, held_because="no answer"))
    state = json.loads(json.dumps(health.state(), allow_nan=False))
    assert (state["servers"], state["backends"], state["objective"]) == (
        ["s1", "s2"],
        ["web_interactive", "web_batch"],
        "profit",
    )
    assert (state["n_flows"], state["up"], state["untouchable"]) == ([[3, 0], [1, 2]], [True, False], [False, True])
    assert state["last"]["weights"] == [[256, 128], [64, 0]]
    assert state["window"]["on_time"] == {"interactive": 0.75, "batch": 1.0}
    assert state["objectives"] == [1.5], "a window is there once"
    assert [one["rules"] for one in state["recent"]] == [{}, {"in service": 1}, {}]
    assert [one["level"] for one in state["recent"]] == ["info", "warning", "error"]
    assert state["log_age_s"] is None
    assert state["unready_because"] == "weights are held: no answer"


def test_what_is_remembered_has_an_end(health: Health) -> None:
    for number in range(N_RECENT + 5):
        health.observe(report(number))
    assert [one["step"] for one in health.state()["recent"]] == list(range(5, N_RECENT + 5))
