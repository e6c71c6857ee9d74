"""A report has the window that the pair has, and a digest of all that was measured; a simulation stands for the balancer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import envs
from envs.core.simulation import Simulation
from envs.haproxy.log import Counts
from envs.load_balancing.config import LoadBalancingConfig
from hierarchy.live.reports import Reporter, digest
from tests.hierarchy.live.test_controller import CONFIG
from tests.hierarchy.live.told import decision

PERIOD = 3


@pytest.fixture
def simulation() -> Simulation:
    simulation = envs.simulate(CONFIG, 1, 3)
    simulation.reset()
    return simulation


def measuring(simulation: Simulation) -> type[SimpleNamespace]:
    """What is steered measures what a simulation does."""

    class Balancer(SimpleNamespace):
        @property
        def measurements(self) -> Any:
            return simulation.dynamics.measurements

    return Balancer


def reporter(simulation: Simulation) -> Reporter:
    config: LoadBalancingConfig = CONFIG
    shape = config.n_backends, config.pool.n_servers
    seen = SimpleNamespace(
        look=SimpleNamespace(n_flows=np.zeros(shape), down=np.array([False, True])),
        untouchable=np.zeros(shape[1], np.bool_),
        weights=np.full(shape, 100),
    )
    balancer: Any = measuring(simulation)(
        config=config,
        settings=SimpleNamespace(backends=["a", "b"], servers=["s1", "s2"]),
        world=simulation.world,
        seen=seen,
        canary=None,
        listener=SimpleNamespace(heard_s=None, counts=Counts(1, 2, 3, 4)),
        look_age_s=0.5,
        n_restarts=0,
    )
    mix: Any = SimpleNamespace(decide=lambda measurements: np.ones((1, *shape)), context=np.array([[0.2, 0.5, 0.3]]))
    return Reporter(balancer, mix, PERIOD, now=lambda: 12.0, clock=lambda: 1.7e9)


def test_a_window_is_what_happened_between_the_steps_at_which_the_mix_is_set(simulation: Simulation) -> None:
    watched, totals, expected, found = reporter(simulation), None, [], []
    for step in range(10):
        setting = watched.decide(simulation.measurements)
        if step % PERIOD == 0:
            if totals is not None:
                statistics = simulation.statistics(totals)
                expected.append((float(simulation.objective(statistics)[0]), float(statistics["arrival_rate_hz"][0])))
            totals = simulation.totals()
        window = watched.report(decision(step), {}).window
        found.append(None if window is None else (window.number, window.objective, window.statistics["arrival_rate_hz"]))
        simulation.advance(setting)
    assert len(set(expected)) == 3, "requests came"
    assert found == [None] * 3 + [(at // 3 + 1, *expected[at // 3]) for at in range(7)]


def test_a_step_without_measurements_has_no_digest_and_no_part_in_a_window(simulation: Simulation) -> None:
    watched = reporter(simulation)
    watched.decide(simulation.measurements)
    assert watched.report(decision(1), {}).measured == digest(simulation.measurements)
    for number in range(2, 8):
        told = watched.report(decision(number, held_because="no answer"), {"audit": 1})
        assert (told.measured, told.window, told.failures) == (None, None, {"audit": 1})


def test_a_report_says_how_things_stand(simulation: Simulation) -> None:
    watched = reporter(simulation)
    told = watched.report(decision(1), {})
    assert told.context == {"fairness": 0.2, "latency": 0.5, "cost": 0.3}
    assert told.up.tolist() == [True, False]
    assert (told.at, told.ended_s) == ("2023-11-14T22:13:20.000+00:00", 12.0)
    assert (watched.look_age_s, watched.log_age_s, watched.log_lines["foreign"]) == (0.5, None, 3)
    subject = watched.subject("here", True)
    assert (subject.backends, subject.servers, subject.objective) == (("a", "b"), ("s1", "s2"), CONFIG.objective.name)


def test_a_digest_is_of_every_array(simulation: Simulation) -> None:
    before = simulation.measurements
    assert digest(before) == digest(before)
    for name, value in before._asdict().items():
        array = value.late if name == "step" else value
        kept = array.copy()
        array[...] = ~kept if kept.dtype == np.bool_ else kept + 1
        changed = digest(before)
        array[...] = kept
        assert changed != digest(before), name
