"""An episode on the test bed is measured as one of a simulation is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import envs
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.objectives import Budget
from runs.testbed.episode import Counting


@pytest.mark.parametrize("held", [(), (1,), (1, 2, 5)])
def test_what_is_missed_is_counted_before_anybody_decides(held: tuple[int, ...]) -> None:
    """Who decides knows of every window that has ended, as in a simulation, asked in every step or not."""
    budget = Budget(share=0.5, span_s=1.0, day_s=10.0)
    simulation = envs.simulate(LoadBalancingConfig(objective=budget, dt_s=0.5, episode_steps=20), 1)
    simulation.reset()
    known: dict[int, float] = {}
    setting = np.ones_like(simulation.world.dynamics.state.servers.weight)  # type: ignore[attr-defined]

    class Steering:
        def decide(self, measurements: Any) -> np.ndarray:
            known[step] = float(simulation.statistics()["day_left_share"][0])
            return setting

    steers = Counting(Steering(), simulation)
    for step in range(6):
        simulation.dynamics.step_dynamics(setting, np.ones(1, np.bool_))  # as a real balancer, which counts nothing
        if step not in held:
            steers.decide(simulation.measurements)
        steers.end_step()
    expected = {step: left for step, left in enumerate([1.0, 0.9, 0.9, 0.8, 0.8, 0.7]) if step not in held}
    assert known == pytest.approx(expected)
