"""The list of rejected requests that wait to come back: how many, when, in which order, as what."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from envs.core.arrays import new_arrays
from envs.core.rng import streams
from envs.load_balancing.kernel.retries import (
    Retries,
    RetryNumbers,
    clear_retries,
    next_retry_s,
    perhaps_come_back,
    pop_retry,
)
from tests.envs.load_balancing.pools import standard_errors


class Queue:
    """Requests of one env that were rejected at 0, and wait to come back."""

    def __init__(self, seed: int = 0, n_waiting: int = 4096) -> None:
        self.retries = new_arrays(Retries, {"n_envs": 1, "n_waiting": n_waiting})
        clear_retries(self.retries, streams(seed, "train", [0]), 0)

    def reject(self, number: int, attempt: int = 0, probability: float = 0.5, pause_s: float = 5.0) -> None:
        numbers = RetryNumbers(probability, pause_s)
        perhaps_come_back(numbers, self.retries, 0, 0.0, 1.0 + number, number % 2, number, attempt)

    def pop_all(self) -> list[tuple[float, int, int, float]]:
        """Due time, number, class and work, in the order in which they come back."""
        retries, out = self.retries, []
        while retries.n[0]:
            due_s, slot = float(next_retry_s(retries, 0)), int(pop_retry(retries, 0))
            out.append((due_s, int(retries.number[0, slot]), int(retries.lane[0, slot]), float(retries.work_s[0, slot])))
        return out


@pytest.mark.parametrize("attempt", [0, 3])
def test_they_come_back_with_their_probability_after_an_exponential_pause(attempt: int) -> None:
    queue = Queue()
    for number in range(4000):
        queue.reject(number, attempt, probability=0.3)
    due_s = np.array([row[0] for row in queue.pop_all()])
    assert standard_errors(np.arange(4000) < len(due_s), 0.3) < 4
    assert stats.kstest(due_s, stats.expon(scale=5.0).cdf).pvalue > 1e-4


def test_they_come_back_in_order_of_time_as_what_they_were() -> None:
    queue = Queue()
    for number in range(500):
        queue.reject(number)
    rows = queue.pop_all()
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert len({row[1] for row in rows}) == len(rows)
    assert all((flow_class, work_s) == (number % 2, 1.0 + number) for _, number, flow_class, work_s in rows)
    assert next_retry_s(queue.retries, 0) == np.inf


def test_the_order_of_rejections_does_not_matter() -> None:
    forward, backward = Queue(), Queue()
    for number in range(300):
        forward.reject(number)
        backward.reject(299 - number)
    assert forward.pop_all() == backward.pop_all()


def test_every_attempt_and_every_episode_decides_anew() -> None:
    decided = []
    for seed, attempt in ((0, 0), (0, 1), (0, 2), (1, 0)):
        queue = Queue(seed)
        for number in range(2000):
            queue.reject(number, attempt)
        decided.append(np.isin(np.arange(2000), [row[1] for row in queue.pop_all()]))
    correlation = np.corrcoef(np.array(decided))[np.triu_indices(4, 1)]
    assert np.abs(correlation).max() < 4 / np.sqrt(2000)


def test_a_slot_that_was_given_back_is_used_again() -> None:
    queue = Queue(n_waiting=8)
    for number in range(1000):
        queue.reject(number, probability=1.0)
        if number >= 5:
            pop_retry(queue.retries, 0)
    assert len({row[1] for row in queue.pop_all()}) == 5


def test_where_as_many_wait_as_there_is_room_for_a_request_gives_up() -> None:
    queue = Queue(n_waiting=8)
    for number in range(20):
        queue.reject(number, probability=1.0)
    assert sorted(row[1] for row in queue.pop_all()) == list(range(8))
