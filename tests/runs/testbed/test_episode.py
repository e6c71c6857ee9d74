"""An episode on the test bed is measured as one of a simulation is."""

from __future__ import annotations

from typing import Any

import numpy as np

import envs
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.objectives import Budget
from runs.testbed.episode import Counting


def test_what_is_missed_is_counted_before_anybody_decides() -> None:
    """Who decides knows of every window that has ended, as in a simulation."""
    budget = Budget(share=0.5, span_s=1.0, day_s=10.0)
    simulation = envs.simulate(LoadBalancingConfig(objective=budget, dt_s=0.5, episode_steps=20), 1)
    simulation.reset()
    record, known = simulation.world.statistics.record, []
    setting = np.ones_like(simulation.world.dynamics.state.servers.weight)  # type: ignore[attr-defined]

    class Steering:
        def decide(self, measurements: Any) -> np.ndarray:
            known.append(float(simulation.statistics()["day_left_share"][0]))
            return setting

    simulation.world.statistics.record = lambda *_: None  # type: ignore[method-assign]  # the test bed's world has no steps
    steers = Counting(Steering(), simulation)
    for _ in range(6):
        simulation.advance(setting)
        simulation.world.statistics.record = record  # type: ignore[method-assign]
        steers.decide(simulation.measurements)
        simulation.world.statistics.record = lambda *_: None  # type: ignore[method-assign]
    np.testing.assert_allclose(known, [1.0, 0.9, 0.9, 0.8, 0.8, 0.7])
