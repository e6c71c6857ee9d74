"""What the stream world draws has the published distributions: means within four standard errors."""

from __future__ import annotations

import numpy as np
import pytest

import envs
from envs.spark.config import SparkConfig
from tests.envs.load_balancing.pools import standard_errors

N_ENVS = 4000
DRAWN = ("workload", "volume", "shuffle", "temperature", "announced", "burst")


def seen(form: str, n_steps: int) -> dict[str, np.ndarray]:
    """What is in force after the reset and every step, ``(n_steps + 1, n_envs)``."""
    simulation = envs.simulate(SparkConfig(form=form), N_ENVS)  # type: ignore[arg-type]
    simulation.reset()
    steps = [[getattr(simulation.measurements, name).copy() for name in DRAWN]]
    for _ in range(n_steps):
        simulation.advance(np.full(N_ENVS, 5))
        steps.append([getattr(simulation.measurements, name).copy() for name in DRAWN])
    return dict(zip(DRAWN, np.moveaxis(np.array(steps), 1, 0), strict=True))


def assert_uniform(values: np.ndarray, low: float, high: float) -> None:
    assert low <= values.min()
    assert values.max() < high
    assert standard_errors(values, (low + high) / 2) < 4
    assert standard_errors((values - low) ** 2, (high - low) ** 2 / 3) < 4


def test_the_base_form_redraws_workload_and_volume_with_probability_a_tenth() -> None:
    found = seen("base", 20)
    workload, volume = found["workload"], found["volume"]
    for values in (workload[0], volume[0], workload[-1], volume[-1]):
        assert_uniform(values, 10.0, 500.0)
    changed = workload[1:] != workload[:-1]
    assert standard_errors(changed.mean(0), 0.1) < 4
    assert np.array_equal(changed, volume[1:] != volume[:-1])
    fresh = workload[1:][changed]
    assert_uniform(fresh, 10.0, 500.0)
    assert abs(np.corrcoef(fresh, volume[1:][changed])[0, 1]) < 4 / np.sqrt(len(fresh))


def test_the_extended_form_draws_volume_shuffle_and_temperature_every_step() -> None:
    found = seen("extended", 20)
    assert_uniform(found["workload"][0], 10.0, 200.0)
    for step in (0, 1, 20):
        assert_uniform(found["volume"][step], 10.0, 500.0)
        assert_uniform(found["shuffle"][step] / found["volume"][step], 0.1, 0.5)
        assert_uniform(found["temperature"][step], 0.0, 1.0)
    assert standard_errors(found["burst"].mean(0), 0.2) < 4
    for name in ("volume", "temperature"):
        assert (found[name][1:] != found[name][:-1]).all()


def test_the_next_workload_is_a_burst_or_near_the_present_one() -> None:
    """A first workload of at most 200 times 4 meets no ceiling, one of at least 12.5 times 0.8 no floor."""
    found = seen("extended", 0)
    clear = found["workload"][0] > 12.5
    factor, burst = (found["announced"] / found["workload"])[0][clear], found["burst"][0][clear] == 1
    assert_uniform(factor[burst], 2.0, 4.0)
    assert_uniform(factor[~burst], 0.8, 1.2)


def test_the_extended_load_drifts_up_to_its_ceiling() -> None:
    """A factor of `0.2 * 3 + 0.8 * 1 = 1.4` a step in the mean: nothing but the ceiling brings the load down."""
    workload = seen("extended", 100)["workload"]
    assert workload.min() >= 10.0
    assert workload.max() == 900.0
    assert workload[0].mean() == pytest.approx(105.0, rel=0.05)
    assert workload[100].mean() > 6 * workload[0].mean()
