"""What a guard leads to, window by window."""

from __future__ import annotations

import numpy as np
import pytest

from envs.core.state import restore, state_of
from hierarchy.online.guard import LONGEST, Guard
from hierarchy.online.promised import N_ERRORS, Promised

N = 5


def guard_of(margin: float) -> Guard:
    """Of an exact promise of 1."""
    return Guard(Promised(1.0, margin), N)


def events(guard: Guard, objectives: list[float]) -> list[str]:
    return [guard.observe(one) for one in objectives]


def test_what_keeps_the_promise_is_never_rolled_back() -> None:
    guard = guard_of(0.1)
    assert set(events(guard, [0.9] * 1_000)) == {""}
    assert guard.standing.is_learning


@pytest.mark.parametrize("n_good", [0, 1, 3, N, 50])
def test_what_falls_short_is_rolled_back_within_as_many_windows_as_the_mean_has(n_good: int) -> None:
    guard = guard_of(0.1)
    assert set(events(guard, [1.0] * n_good)) <= {""}
    found = events(guard, [0.0] * N)
    assert "rolled back" in found
    assert not guard.standing.is_learning


def test_one_bad_window_is_no_reason_where_the_mean_holds() -> None:
    guard = guard_of(0.25)
    assert set(events(guard, [1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0])) == {""}


def test_nothing_is_judged_by_fewer_windows_than_the_mean_has() -> None:
    assert events(guard_of(0.0), [-9.0] * N) == [""] * (N - 1) + ["rolled back"]


def test_the_deployed_agent_has_longer_after_every_time_but_not_for_ever() -> None:
    guard, lengths = guard_of(0.1), []
    for _ in range(9):
        while guard.observe(0.0) != "rolled back":
            pass
        length = 1
        while guard.observe(1.0) != "resumed":
            length += 1
        lengths.append(length)
    assert lengths == [N * min(2**i, LONGEST) for i in range(9)]


def test_a_world_in_which_nobody_keeps_the_promise_gets_another_one() -> None:
    guard = guard_of(0.1)
    events(guard, [0.4] * N)
    assert events(guard, [0.4] * N)[-1] == "resumed"
    assert guard.standing.promise == pytest.approx(0.4)
    assert set(events(guard, [0.35] * 100)) == {""}, "and is held to that"
    assert "rolled back" in events(guard, [0.2] * N)


def test_a_promise_of_few_windows_is_held_to_less_closely() -> None:
    """A difference of two means of as many windows each has twice the variance of one."""
    guard = guard_of(0.1)
    assert guard.standing.floor == pytest.approx(0.9)
    events(guard, [0.4] * N)
    events(guard, [0.4] * N)
    assert guard.standing.floor == pytest.approx(0.4 - 0.1 * 2**0.5)
    known = Guard(Promised(1.0, 0.1, 3 * N), N)
    assert known.standing.floor == pytest.approx(1.0 - 0.1 * (4 / 3) ** 0.5)


def test_a_stretch_that_kept_the_promise_halves_the_next_time_with_the_deployed_agent() -> None:
    def length_of(guard: Guard) -> int:
        while guard.observe(0.0) != "rolled back":
            pass
        n = 1
        while guard.observe(1.0) != "resumed":
            n += 1
        return n

    guard = guard_of(0.1)
    assert [length_of(guard) for _ in range(3)] == [N, 2 * N, 4 * N]
    events(guard, [1.0] * 4 * N)
    assert length_of(guard) == 4 * N
    events(guard, [1.0] * 100 * N)
    assert length_of(guard) == N


def test_luck_alone_does_not_roll_back_in_a_month() -> None:
    """Windows of ten seconds that keep the promise, in means of an hour."""
    n, month = 360, 30 * 24 * 360
    for seed in range(3):
        guard = Guard(Promised(0.0, N_ERRORS / n**0.5), n)
        assert set(events(guard, np.random.default_rng(seed).normal(size=month).tolist())) == {""}


def test_a_promise_never_rises_above_the_first_one() -> None:
    guard = guard_of(0.1)
    events(guard, [0.0] * N)
    events(guard, [5.0] * N)
    assert guard.standing.promise == 1.0


def test_windows_before_it_was_rolled_back_have_no_part_in_what_comes_after() -> None:
    guard = guard_of(0.1)
    events(guard, [-100.0] * N)
    events(guard, [1.0] * N)
    assert np.isnan(guard.standing.mean)
    assert set(events(guard, [1.0] * 3 * N)) == {""}


@pytest.mark.parametrize("n", [0, 3, N, N + 2, 3 * N])
def test_it_goes_on_from_its_state(n: int) -> None:
    objectives = np.random.default_rng(0).normal(0.8, 0.5, n + 40).tolist()
    guard, other = guard_of(0.1), guard_of(0.1)
    events(guard, objectives[:n])
    restore(other, state_of(guard))
    assert events(guard, objectives[n:]) == events(other, objectives[n:])
    assert guard.standing.n_rollbacks == other.standing.n_rollbacks
