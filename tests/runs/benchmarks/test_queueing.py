"""Four simulators of one queueing model."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from runs.benchmarks import queueing


@pytest.mark.slow
def test_four_simulators_of_one_queueing_model_agree() -> None:
    outcomes = {name: simulate(12, 60.0, 5) for name, simulate in queueing.SIMULATORS.items()}
    expected_flows = 12 * 60.0 * queueing.RATE_HZ
    for name, outcome in outcomes.items():
        assert abs(outcome.n_flows - expected_flows) < 5 * np.sqrt(expected_flows), name
        difference = stats.ttest_ind(outcomes["metabalance"].mean_latency_s, outcome.mean_latency_s, equal_var=False)
        assert difference.pvalue > 0.01, name


@pytest.mark.parametrize("name", queueing.SIMULATORS)
def test_a_simulator_is_reproduced_by_its_seed(name: str) -> None:
    simulate = queueing.SIMULATORS[name]
    assert simulate(2, 2.0, 1) == simulate(2, 2.0, 1)
    assert simulate(2, 2.0, 1) != simulate(2, 2.0, 2)
