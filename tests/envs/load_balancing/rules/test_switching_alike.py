"""Switching rules do the same for servers of other names, rows of other batches and states that are put back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.load_balancing.config import Randomisation
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.rules import RULES
from tests.envs.load_balancing.pools import PROPERTY, servers
from tests.envs.load_balancing.rules.demands import (
    CORES,
    DEMANDS,
    PRICE,
    SPEED,
    SWITCHING,
    bands,
    config_of,
    controller_of,
    demand,
    measured,
    numbers,
    on,
)


@settings(PROPERTY, max_examples=30)
@given(st.sampled_from(SWITCHING), st.permutations(range(4)), st.data())
def test_renaming_servers_renames_weights(name: str, order: list[int], data: st.DataObject) -> None:
    drawn, levels = data.draw(numbers(name)), data.draw(DEMANDS)
    here = RULES[name].configured(config_of())
    pool = servers([CORES[i] for i in order], [SPEED[i] for i in order], [PRICE[i] for i in order], boot_s=5.0)
    there = replace(here, pool=pool)
    pairs = [(controller_of(name, config, 1, [drawn]), measured(config)) for config in (here, there)]
    for level in levels:
        weights, renamed = (controller.decide(demand(measurements, *level)) for controller, measurements in pairs)
        assert np.array_equal(weights[..., order], renamed)


@settings(PROPERTY, max_examples=30)
@given(st.sampled_from(SWITCHING), st.data())
def test_every_row_is_as_it_would_be_alone(name: str, data: st.DataObject) -> None:
    values = [data.draw(numbers(name)) for _ in range(3)]
    levels = [data.draw(DEMANDS) for _ in range(3)]
    config = RULES[name].configured(config_of())
    together, all_rows = controller_of(name, config, 3, values), measured(config, 3)
    alone = [(controller_of(name, config, 1, [values[row]]), measured(config)) for row in range(3)]
    for row, (_, measurements) in enumerate(alone):
        measurements.time_of_day[:] = all_rows.time_of_day[row]
    for step in range(min(map(len, levels))):
        now = np.array([row[step] for row in levels])
        weights = together.decide(demand(all_rows, *now.T))
        for row, (controller, measurements) in enumerate(alone):
            assert np.array_equal(weights[row], controller.decide(demand(measurements, *now[row]))[0])


@settings(PROPERTY, max_examples=30)
@given(st.sampled_from(SWITCHING), st.data())
def test_a_state_that_is_put_back_goes_on_as_before(name: str, data: st.DataObject) -> None:
    drawn, before, after = data.draw(numbers(name)), data.draw(DEMANDS), data.draw(DEMANDS)
    config = RULES[name].configured(config_of())
    controller, measurements = controller_of(name, config, 1, [drawn]), measured(config)
    other = controller_of(name, config, 1, [drawn])
    other.set_state(controller.get_state())  # at the beginning too
    play(controller, measurements, before)
    kept = controller.get_state()
    first = play(controller, measurements, after)
    other.set_state(kept)
    controller.set_state(kept)
    assert np.array_equal(first, play(other, measurements, after))
    assert np.array_equal(first, play(controller, measurements, after))


def play(controller: Any, measurements: Measurements, levels: Any) -> np.ndarray:
    return np.array([controller.decide(demand(measurements, *level)) for level in levels])


def test_absent_servers_are_never_on() -> None:
    config = config_of(randomise=Randomisation(n_servers=[1, 3]))
    for name in SWITCHING:
        here = RULES[name].configured(config)
        controller, measurements = controller_of(name, here, 8), measured(here, 8)
        for level in (0.0, 100.0, 0.0):
            for _ in range(5):
                weights = controller.decide(demand(measurements, level, level))
                assert not on(weights)[~measurements.present].any()
                assert (weights > 0).any(-1).all()


def test_one_mapping_is_for_all_rows() -> None:
    config = config_of()
    one, each = (controller_of("autoscale", config, 3, [bands("autoscale", least=2)] * n) for n in (1, 3))
    assert np.array_equal(one.decide(measured(config, 3)), each.decide(measured(config, 3)))
