"""Features are what the upper agent observes, in the units of their names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs.core.statistics import MeanStatistics
from hierarchy.building import upper
from hierarchy.config import ExperimentConfig
from hierarchy.explaining.features import feature_names, features_of
from hierarchy.pair import Window

MIXES = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])


def window_of(config: ExperimentConfig, first: bool = False) -> Window:
    """A window of four steps in two envs."""
    rule = envs.rules(config.env)["sed"]
    world = rule.configured(config.env)
    simulation, controller = upper.simulation(config, "select", range(2), 4, world), rule.start(world, 2)
    simulation.reset()
    totals = None if first else simulation.totals()
    for _ in range(4):
        simulation.advance(controller.decide(simulation.measurements))
    return Window(simulation.world, simulation.measurements, totals, MIXES)


def features_in(window: Window) -> np.ndarray:
    return features_of(window.world, window.statistics, window.context)


def test_features_are_statistics_in_their_units_and_the_context_in_force(tiny_config: ExperimentConfig) -> None:
    window = window_of(tiny_config)
    names, features = feature_names(envs.describe(tiny_config.env)), features_in(window)
    assert features.shape == (2, len(names)) == window.observation.shape
    assert window.statistics is not None
    for name in ("arrival_rate_hz", "latency_p95_ms_batch", "utilisation"):
        assert_array_equal(features[:, names.index(name)], window.statistics[name])
    rate = names.index("arrival_rate_hz")
    assert_allclose(window.observation[:, rate], np.log1p(features[:, rate] / 50.0), rtol=1e-6)
    assert features[:, rate].tolist() == [1.0, 5.0], "requests a second, not scaled"
    assert names[-3:] == ["context/fairness", "context/latency", "context/cost"]
    assert_array_equal(features[:, -3:], MIXES)


def test_before_the_first_window_nothing_is_known_but_the_context(tiny_config: ExperimentConfig) -> None:
    features = features_in(window_of(tiny_config, first=True))
    assert (features[:, :-3] == 0.0).all()
    assert_array_equal(features[:, -3:], MIXES)


class Named(MeanStatistics):
    """Observes something that is none of its statistics."""

    def __init__(self) -> None:
        super().__init__(2, {"size": lambda measurements: np.array([1.0, 3.0])})
        self.observed_names = ("size", "size_squared")

    def observed(self, statistics: Any) -> np.ndarray:
        return np.stack([statistics["size"] / 10.0, statistics["size"] ** 2], axis=-1).astype(np.float32)


class World:
    statistics = Named()


def test_what_is_no_statistic_is_taken_as_it_is_observed() -> None:
    statistics: Any = World.statistics
    before = statistics.totals(None)
    statistics.record(None, np.ones(2, np.bool_))
    window = Window(World(), None, before, MIXES)  # type: ignore[arg-type]
    assert_array_equal(features_in(window)[:, :2], [[1.0, 1.0], [3.0, 9.0]])
