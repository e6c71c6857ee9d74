"""What the stream world shows, tells, allows and draws."""

from __future__ import annotations

import re
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from numpy.testing import assert_allclose

import envs
from envs.core.batch import BatchEnv
from envs.core.context import ContextSampling
from envs.faces.multi_objective import MultiObjectiveEnv
from envs.faces.single import SingleEnv
from envs.spark.config import MIXES, SparkConfig

WORKLOAD, VOLUME, CPU, MEMORY, LATENCY, COST, SHUFFLE, TEMPERATURE, ANNOUNCED, BURST = range(10)
N_TERMS = 3
forms = pytest.mark.parametrize("form", ["base", "extended"])


def batch_of(n_envs: int = 2, sampling: ContextSampling | None = None, **settings: Any) -> BatchEnv:
    return envs.make(SparkConfig(**settings), n_envs, 1, sampling=sampling)


def state(batch: BatchEnv) -> Any:
    return batch.world.dynamics.state  # type: ignore[attr-defined]


def executors(batch: BatchEnv) -> np.ndarray:
    """In use ``(n_envs,)``."""
    return batch.setting[:, 0]


def run(batch: BatchEnv, n_steps: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Figures of every step ``(n_steps, n_envs)`` under random numbers of executors, by the name that statistics have."""
    told: dict[str, list[np.ndarray]] = {}
    for action in np.random.default_rng(seed).integers(0, 20, (n_steps, batch.n_envs)):
        told.setdefault("workload", []).append(state(batch).workload.copy())
        batch.step(action)
        for name in ("latency_ms", "cost_usd_per_h", "throughput"):
            told.setdefault(name, []).append(getattr(state(batch), name).copy())
        told.setdefault("executors", []).append(action + 1.0)
    return {name: np.array(values) for name, values in told.items()}


# What is seen.


@forms
def test_metrics_come_before_the_context(form: str) -> None:
    batch = batch_of(form=form)
    batch.set_context(np.array([0.2, 0.3, 0.5]))
    observation = batch.reset()
    assert observation.shape == (2, {"base": 6, "extended": 10}[form] + N_TERMS)
    assert_allclose(observation[:, -N_TERMS:], np.tile([0.2, 0.3, 0.5], (2, 1)), rtol=1e-6)
    assert batch.term_names == ("cost", "latency", "throughput")


@forms
def test_the_load_is_that_of_the_step_to_come_and_the_rest_that_of_the_last_one(form: str) -> None:
    batch = batch_of(4, form=form)
    before = batch.reset()
    assert (before[:, [CPU, MEMORY, LATENCY, COST]] == 0).all()
    for n in np.random.default_rng(0).integers(1, 21, 50):
        after = batch.step(np.full(4, n - 1))[0]
        moving_ms = 5 * before[:, SHUFFLE] / 100 if form == "extended" else 0.0
        assert_allclose(after[:, LATENCY], np.maximum(10, 100 * before[:, WORKLOAD] / (8 * n) + moving_ms), rtol=1e-5)
        assert_allclose(after[:, CPU], np.minimum(100, 100 * before[:, WORKLOAD] / (8 * n)), rtol=1e-5)
        assert_allclose(after[:, MEMORY], np.minimum(100, 100 * before[:, VOLUME] / (8 * n)), rtol=1e-5)
        price = before[:, SHUFFLE] / 1024 * 0.1 if form == "extended" else 0.1
        assert_allclose(after[:, COST], 0.5 * n + price, rtol=1e-5)
        before = after


def test_the_workload_that_is_announced_comes_next() -> None:
    batch = batch_of(8, form="extended")
    announced = batch.reset()[:, ANNOUNCED]
    for _ in range(50):
        observation = batch.step(np.full(8, 3))[0]
        assert np.array_equal(observation[:, WORKLOAD], announced)
        announced = observation[:, ANNOUNCED]


# What is told of a stretch.


@forms
def test_statistics_are_means_over_their_stretch(form: str) -> None:
    batch = batch_of(3, form=form)
    batch.reset()
    first = run(batch, 20)
    since = batch.simulation.totals()
    second = run(batch, 30, seed=1)
    whole = {name: np.concatenate([first[name], second[name]]) for name in first}
    for found, told in ((batch.simulation.statistics(since), second), (batch.simulation.statistics(), whole)):
        for name, key in (("latency_ms", "latency_mean_ms"), ("workload", "workload_mean")):
            assert_allclose(found[key], told[name].mean(0))
        for name in ("cost_usd_per_h", "throughput", "executors"):
            assert_allclose(found[name], told[name].mean(0))
        assert_allclose(found["workload_spread"], told["workload"].std(0), rtol=1e-6)
        assert np.array_equal(found["waiting_mean_ms"], found["latency_mean_ms"])


def test_windows_add_up_to_the_episode() -> None:
    batch = batch_of()
    batch.reset()
    lengths, windows = (5, 1, 14), []
    for n_steps in lengths:
        since = batch.simulation.totals()
        run(batch, n_steps, n_steps)
        windows.append(batch.simulation.statistics(since))
    for name, value in batch.simulation.statistics().items():
        if name != "workload_spread":
            assert_allclose(np.average([window[name] for window in windows], axis=0, weights=lengths), value)


def test_a_reset_forgets_only_what_its_env_did() -> None:
    batch = batch_of()
    batch.reset()
    run(batch, 100)
    before = batch.simulation.statistics()
    batch.reset(mask=np.array([True, False]))
    after = batch.simulation.statistics()
    assert all(after[name][0] == 0 and after[name][1] == before[name][1] != 0 for name in after)
    assert executors(batch)[0] == 10


def test_a_steady_workload_has_no_spread() -> None:
    batch = batch_of(20)
    batch.reset()
    told = run(batch, 3)
    spread = batch.simulation.statistics()["workload_spread"]
    steady = np.ptp(told["workload"], axis=0) == 0
    assert 0 < steady.sum() < 20
    assert (spread[steady] < 1e-3).all()
    assert (spread[~steady] > 1e-3).all()


def test_the_upper_agent_sees_the_load_and_the_latency() -> None:
    batch = batch_of()
    batch.reset()
    told = run(batch, 30)
    expected = [told["workload"].mean(0) / 500, told["workload"].std(0) / 500, told["latency_ms"].mean(0) / 1000]
    assert_allclose(batch.world.statistics.observed(batch.simulation.statistics()), np.transpose(expected), rtol=1e-5)


# Mixes.


@pytest.mark.parametrize(
    ("scenario", "mix"),
    [("smart_hospital", (0.05, 0.9, 0.05)), ("smart_metering", (0.9, 0.05, 0.05)), ("balanced", (1 / 3, 1 / 3, 1 / 3))],
)
def test_the_mix_of_a_scenario_holds_and_none_is_drawn(scenario: str, mix: tuple[float, ...]) -> None:
    batch = batch_of(sampling=ContextSampling(switch_probability=1.0), scenario=scenario)
    seen = [batch.reset(), *(batch.step(np.zeros(2, int))[0] for _ in range(20)), batch.reset()]
    assert_allclose(np.array(seen)[..., -N_TERMS:], np.broadcast_to(mix, (22, 2, N_TERMS)), rtol=1e-6)
    assert scenario in MIXES


def test_without_a_scenario_mixes_are_drawn() -> None:
    batch = batch_of(sampling=ContextSampling(switch_probability=1.0))
    seen = [batch.reset()[:, -N_TERMS:], *(batch.step(np.zeros(2, int))[0][:, -N_TERMS:] for _ in range(20))]
    assert len(np.unique(np.concatenate(seen), axis=0)) > 30


# Settings.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"form": "small"}, "form must be one of base, extended, got 'small'"),
        ({"actions": "tier"}, "actions must be one of executors, all, got 'tier'"),
        (
            {"scenario": "rural"},
            "scenario must be one of random, smart_hospital, smart_metering, balanced, got 'rural'",
        ),
        ({"max_change": 0}, "max_change must be >= 1, got 0"),
        ({"dt_s": -1.0}, "dt_s must be > 0, got -1.0"),
        ({"episode_steps": 0}, "episode_steps must be >= 1, got 0"),
    ],
)
def test_a_bad_setting_is_refused_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SparkConfig(**settings)


def test_the_worlds_are_registered() -> None:
    assert isinstance(gymnasium.make("metabalance/Spark-v0").unwrapped, SingleEnv)
    several = gymnasium.make("metabalance/SparkMO-v0").unwrapped
    assert isinstance(several, MultiObjectiveEnv)
    for env in (gymnasium.make("metabalance/Spark-v0"), several):
        assert env.observation_space.shape == (9,)
        assert env.action_space == spaces.Discrete(20)
    assert several.reward_dim == 3
