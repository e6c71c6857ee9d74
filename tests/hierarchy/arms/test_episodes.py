"""One arm over its seeds: what a strategy is told, and what is kept of an episode."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hierarchy.arms.episodes import run_heuristic, run_strategy
from hierarchy.arms.strategies import Random, Seen
from hierarchy.objectives import objective
from numpy.testing import assert_allclose, assert_array_equal

from hierarchy.building import upper
from hierarchy.config import ExperimentConfig
from hierarchy.protocols import TrainedActor
from hierarchy.upper.meta_env import UNKNOWN_REGIME


class Watching:
    """Sets the equal mix and keeps what it was told and what is true."""

    def __init__(self, windows: Any) -> None:
        self._windows = windows
        self.told: list[Seen] = []
        self.true: list[np.ndarray] = []

    def __call__(self, seen: Seen) -> np.ndarray:
        assert seen.suggested is not None
        self.told.append(Seen(*(part.copy() for part in seen)))
        self.true.append(self._windows.world.regime.copy())
        return np.full((len(seen.regime), 3), 1 / 3)


def test_strategies_are_told_the_regime_now_and_that_of_the_last_window(
    tiny_config: ExperimentConfig, policy: TrainedActor
) -> None:
    windows = upper.windows(tiny_config, policy, "evaluate", list(range(8)), 30)
    watching = Watching(windows)
    run_strategy(windows, watching, tiny_config)
    now = np.stack([seen.regime for seen in watching.told])
    assert len(now) == 30
    assert_array_equal(now, np.stack(watching.true))
    delayed = np.stack([seen.regime_of_window for seen in watching.told])
    unchanged = now[:-2] == now[1:-1]
    assert (delayed[0] == UNKNOWN_REGIME).all()
    assert (delayed[1:-1] == now[:-2])[unchanged].mean() > 0.8
    assert (delayed != now).any()


def test_before_the_first_window_measurements_know_nothing(tiny_config: ExperimentConfig, policy: TrainedActor) -> None:
    windows = upper.windows(tiny_config, policy, "evaluate", [0, 1], 2)
    watching = Watching(windows)
    run_strategy(windows, watching, tiny_config)
    assert not watching.told[0].meta_observation[:, :-3].any()
    assert watching.told[1].meta_observation[:, :-3].any()


def test_a_strategy_is_told_what_the_world_suggests_of_the_last_window(
    tiny_config: ExperimentConfig, policy: TrainedActor
) -> None:
    windows = upper.windows(tiny_config, policy, "evaluate", list(range(8)), 10)
    watching, run, suggested = Watching(windows), windows.run, []

    def watch(context: np.ndarray, n_steps: int) -> Any:
        statistics, ended = run(context, n_steps)
        suggested.append(windows.world.suggested_context(statistics, windows.batch.term_names))
        return statistics, ended

    windows.run = watch  # type: ignore[method-assign]
    run_strategy(windows, watching, tiny_config)
    told = np.stack([seen.suggested for seen in watching.told])
    assert_allclose(told[0], 1 / 3)
    assert_array_equal(told[1:], np.stack(suggested[:-1]))
    assert len(np.unique(told[1:], axis=0)) > 1


# What is kept of an episode.


N_WINDOWS = 30
N_SEEDS = 3


def test_an_episode_keeps_every_window_and_the_details_of_the_first_seed(
    tiny_config: ExperimentConfig, policy: TrainedActor
) -> None:
    windows = upper.windows(tiny_config, policy, "evaluate", list(range(N_SEEDS)), N_WINDOWS)
    run, seen = windows.run, []

    def watch(context: np.ndarray, n_steps: int) -> Any:
        regime = windows.world.regime.copy()
        statistics, ended = run(context, n_steps)
        seen.append((regime, statistics, windows.world.setting[0].copy()))
        return statistics, ended

    windows.run = watch  # type: ignore[method-assign]
    found = run_strategy(windows, Random(3, 0), tiny_config)
    regimes, statistics, settings = zip(*seen, strict=True)
    assert_array_equal(found.regimes, np.stack(regimes))
    assert len(np.unique(found.regimes)) > 1
    assert_array_equal(found.settings, np.stack(settings))
    assert len(np.unique(found.settings)) > 1
    assert tuple(found.timeline) == windows.world.timeline_names
    for name, values in found.timeline.items():
        assert_array_equal(values, [one[name][0] for one in statistics], err_msg=name)
    paid = [objective(one, tiny_config.upper, windows.world) for one in statistics]
    assert_array_equal(found.window_objective, paid)
    assert found.contexts is not None
    assert found.contexts.shape == (N_WINDOWS, N_SEEDS, 3)
    assert found.recorded_position is None


def test_the_spread_is_that_of_all_answers_of_all_seeds(tiny_config: ExperimentConfig, policy: TrainedActor) -> None:
    windows = upper.windows(tiny_config, policy, "evaluate", list(range(N_SEEDS)), N_WINDOWS)
    spread = run_strategy(windows, Random(3, 0), tiny_config).spread
    assert spread is not None
    ended = windows.batch.dynamics.state.histogram.sum((1, 2))  # type: ignore[attr-defined]
    assert spread.counts.sum() == ended.sum() > 100
    statistics = windows.world.statistics()
    mean_s = (statistics["latency_mean_ms"] * ended).sum() / ended.sum() / 1e3
    centres = np.sqrt(spread.edges[1:] * spread.edges[:-1])
    assert (spread.counts * centres).sum() / spread.counts.sum() == pytest.approx(mean_s, rel=0.01)


@pytest.mark.parametrize("name", ["sed", "telemetry_wrr"])
def test_a_rule_of_the_world_meets_the_same_regimes_and_sets_no_context(
    tiny_config: ExperimentConfig, policy: TrainedActor, name: str
) -> None:
    ids = list(range(N_SEEDS))
    found = run_heuristic(name, tiny_config, "evaluate", ids, N_WINDOWS)
    other = run_strategy(upper.windows(tiny_config, policy, "evaluate", ids, N_WINDOWS), Random(3, 0), tiny_config)
    assert_array_equal(found.regimes, other.regimes)
    assert found.contexts is None
    assert found.settings.shape == other.settings.shape
    assert found.timeline.keys() == other.timeline.keys()
    assert_array_equal(found.timeline["arrival_rate_hz"], other.timeline["arrival_rate_hz"])
