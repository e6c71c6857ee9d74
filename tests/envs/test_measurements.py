"""Observations, terms, statistics and pictures are functions of what is measured: a copy of it gives the same."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from envs.core.batch import BatchEnv
from envs.core.terms import reward_term
from tests.envs.worlds import EXAMPLES, any_actions, batch_of, every_world, outcomes

ALL = np.ones(3, np.bool_)


def walked(name: str) -> BatchEnv:
    batch = batch_of(name)
    batch.reset()
    outcomes(batch, any_actions(batch.action_space, (15, 3)))
    return batch


def functions_of(batch: BatchEnv, measurements: Any) -> dict[str, np.ndarray]:
    """What every function of a world makes of measurements, by name."""
    setting = np.ones_like(batch.setting)
    world = batch.world
    terms = {name: reward_term(copy.deepcopy(term)) for name, term in world.reward_terms.items()}
    for term in terms.values():
        term.before_reset(measurements, ALL)
    values = {name: term.extract(measurements, ALL) for name, term in terms.items()}
    values["observation"] = world.observation_function.extract(measurements, ALL)
    figures = world.statistics.since(measurements, None)
    values |= {f"statistic {name}": figure for name, figure in figures.items()}
    values["observed"] = world.statistics.observed(figures)
    values["information"] = np.array([np.sum(one) for one in world.information_function.extract(measurements, ALL).values()])
    if world.scene is not None:
        values["scene"] = np.array([gauge.share for gauge in world.scene(measurements, setting, 0).gauges])
    return {name: np.copy(value) for name, value in values.items()}


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@every_world
def test_functions_of_a_copy_are_those_of_the_live_measurements(name: str) -> None:
    batch = walked(name)
    measurements = batch.simulation.measurements
    assert same(functions_of(batch, measurements), functions_of(batch, copy.deepcopy(measurements)))


@pytest.mark.parametrize("name", [name for name, config in EXAMPLES.items() if config.family != "composed"])
def test_functions_of_a_copy_stay_what_they_were_as_the_world_goes_on(name: str) -> None:
    """Nothing behind the copy is read: dynamics that have moved on make no difference to it."""
    batch = walked(name)
    kept = copy.deepcopy(batch.simulation.measurements)
    before = functions_of(batch, kept)
    dynamics = batch.world.dynamics
    dynamics.reseed(99)
    dynamics.reset_dynamics(ALL)
    assert same(before, functions_of(batch, kept))
    assert not same(before, functions_of(batch, batch.simulation.measurements))


@pytest.mark.parametrize("name", [name for name, config in EXAMPLES.items() if config.family != "composed"])
def test_measurements_are_arrays_and_no_random_streams(name: str) -> None:
    batch = batch_of(name)
    batch.reset()

    def arrays(value: Any) -> list[np.ndarray]:
        return [value] if isinstance(value, np.ndarray) else [part for one in value for part in arrays(one)]

    measured = arrays(batch.simulation.measurements)
    assert all(isinstance(array, np.ndarray) and len(array) == 3 for array in measured)
    assert not any(np.shares_memory(array, batch.world.dynamics.streams) for array in measured)
