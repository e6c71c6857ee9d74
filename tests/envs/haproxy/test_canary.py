"""What a share of requests that is steered gains, told with an interval that holds."""

from __future__ import annotations

import numpy as np
import pytest

from envs.haproxy.canary import Canary
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel.metering import ANSWERED, TURNED_AWAY, UNANSWERED, Ended

CONFIG = LoadBalancingConfig()
INTERACTIVE = CONFIG.workload.interactive


def ended(flow_class: list[int], outcome: list[int], latency_s: list[float]) -> Ended:
    n = len(flow_class)
    latency = np.array(latency_s)
    return Ended(np.arange(n) * 1.0, np.array(flow_class), np.zeros(n, np.int64), np.array(outcome), latency, latency)


def test_figures_are_means_over_requests() -> None:
    canary = Canary(CONFIG)
    late_s = INTERACTIVE.deadline_s + 0.1
    canary.take_in(ended([0, 0, 0, 1], [ANSWERED, ANSWERED, UNANSWERED, TURNED_AWAY], [0.1, late_s, 9.0, 9.0]), True)
    canary.take_in(ended([0, 1], [ANSWERED, ANSWERED], [0.1, 0.1]), False)
    canary.end_window()
    found = canary.differences()
    assert found is not None
    assert canary.n_requests.tolist() == [4, 2]
    assert found["late_share"][:3] == (0.75, 0.0, 0.75)
    assert found["unanswered_share"][:3] == (0.5, 0.0, 0.5)
    assert found["latency_ms"].steered == pytest.approx(1e3 * (0.1 + late_s) / 2)
    batch = CONFIG.workload.batch
    worth = INTERACTIVE.value_usd - INTERACTIVE.penalty_usd - INTERACTIVE.price_of_loss_usd - batch.price_of_loss_usd
    assert found["value_usd_per_1000"].steered == pytest.approx(1e3 * worth / 4)
    assert found["value_usd_per_1000"].control == pytest.approx(1e3 * (INTERACTIVE.value_usd + batch.value_usd) / 2)
    assert found["late_share"].ci95 is None


def test_nothing_is_told_of_one_kind_alone() -> None:
    canary = Canary(CONFIG)
    assert canary.differences() is None
    canary.take_in(ended([0], [ANSWERED], [0.1]), True)
    canary.end_window()
    assert canary.differences() is None


def test_intervals_hold_the_true_difference_as_often_as_they_say() -> None:
    """Loads differ between windows, for both kinds alike, and requests are steered with a gain of a tenth."""
    rng, held, n_trials = np.random.default_rng(0), 0, 400
    for _ in range(n_trials):
        canary = Canary(CONFIG)
        for _ in range(12):
            mean_s = rng.uniform(0.05, 0.15)
            for is_steered, n, gain in ((True, 20, 0.9), (False, 180, 1.0)):
                latency_s = rng.exponential(gain * mean_s, rng.poisson(n) + 1)
                answered = [ANSWERED] * len(latency_s)
                canary.take_in(ended([0] * len(latency_s), answered, latency_s.tolist()), is_steered)
            canary.end_window()
        found = canary.differences()
        assert found is not None
        low, high = found["latency_ms"].ci95 or (0.0, 0.0)
        held += low <= -10.0 <= high
    assert 0.92 <= held / n_trials <= 0.98
