"""One loop runs whatever acts, and every window of an episode is recorded."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from envs.core.simulation import Simulation
from envs.load_balancing.config import Constraints
from hierarchy.arms import Agents, arms_of
from hierarchy.arms.random_mixes import start_random
from hierarchy.arms.running import Batch, Recorder, play, run_episodes
from hierarchy.arms.start import Start
from hierarchy.building import upper
from hierarchy.config import ExperimentConfig
from hierarchy.pair import Pair
from hierarchy.protocols import TrainedActor

N_WINDOWS, N_SEEDS = 30, 3


class Watching(Recorder):
    """Keeps what there was to record."""

    def __init__(self, simulation: Simulation, pair: Pair) -> None:
        super().__init__(simulation, pair)
        self.simulation, self.windows = simulation, []

    def begin_window(self) -> None:
        super().begin_window()
        self.windows.append([self.simulation.world.oracle.regime.copy()])

    def end_window(self, statistics: dict[str, np.ndarray]) -> None:  # type: ignore[override]
        super().end_window(statistics)
        self.windows[-1] += [statistics, self.simulation.world.actuator.setting[0].copy()]


@pytest.fixture
def simulation(tiny_config: ExperimentConfig) -> Simulation:
    below = upper.simulation(tiny_config, "evaluate", range(N_SEEDS), N_WINDOWS)
    below.reset()
    return below


def test_every_window_is_recorded_and_the_details_of_the_first_seed(
    tiny_config: ExperimentConfig, policy: TrainedActor, simulation: Simulation
) -> None:
    pair = start_random(Start(tiny_config, Agents(policy), {}, simulation))
    watching = Watching(simulation, pair)
    found = run_episodes(simulation, pair, tiny_config.upper.meta_period, watching)
    regimes, statistics, settings = zip(*watching.windows, strict=True)
    assert_array_equal(found.regimes, np.stack(regimes))
    assert len(np.unique(found.regimes)) > 1
    assert_array_equal(found.settings, np.stack(settings))
    assert len(np.unique(found.settings)) > 1
    assert tuple(found.timeline) == simulation.world.statistics.timeline_names
    for name, values in found.timeline.items():
        assert_array_equal(values, [one[name][0] for one in statistics], err_msg=name)
    assert_array_equal(found.window_objective, [simulation.objective(one) for one in statistics])
    assert found.contexts is not None
    assert found.contexts.shape == (N_WINDOWS, N_SEEDS, 3)
    assert len(np.unique(found.contexts[..., 0])) == N_WINDOWS * N_SEEDS
    assert found.recorded_position is None


def test_the_spread_is_that_of_all_answers_of_all_seeds(
    tiny_config: ExperimentConfig, policy: TrainedActor, simulation: Simulation
) -> None:
    pair = start_random(Start(tiny_config, Agents(policy), {}, simulation))
    spread = run_episodes(simulation, pair, tiny_config.upper.meta_period, Recorder(simulation)).spread
    assert spread is not None
    ended = simulation.measurements.histogram.sum((1, 2))
    assert spread.counts.sum() == ended.sum() > 100
    mean_s = (simulation.statistics()["latency_mean_ms"] * ended).sum() / ended.sum() / 1e3
    centres = np.sqrt(spread.edges[1:] * spread.edges[:-1])
    assert (spread.counts * centres).sum() / spread.counts.sum() == pytest.approx(mean_s, rel=0.01)


@pytest.mark.parametrize("name", ["sed", "telemetry_wrr"])
def test_a_rule_of_the_world_meets_the_same_regimes_and_sets_no_context(
    tiny_config: ExperimentConfig, policy: TrainedActor, name: str
) -> None:
    arms, run = arms_of(tiny_config.env), partial(play, tiny_config, Agents(policy), {})
    rule, other = (
        run(arms[one].start, Batch(arms[one].configured(tiny_config.env, {}), "evaluate", range(N_SEEDS), N_WINDOWS))
        for one in (name, "random")
    )
    assert_array_equal(rule.regimes, other.regimes)
    assert rule.contexts is None
    assert rule.settings.shape == (len(other.settings), 2), "one backend for all classes"
    assert_array_equal(rule.timeline["arrival_rate_hz"], other.timeline["arrival_rate_hz"])


def test_costs_of_an_episode_are_means_over_its_steps(tiny_config: ExperimentConfig, policy: TrainedActor) -> None:
    env = replace(tiny_config.env, constraints=Constraints(spend_usd_per_h=1.0, late=0.1))
    found = play(tiny_config, Agents(policy), {}, start_random, Batch(env, "evaluate", range(2), 3))
    assert found.bounds == {"late": 0.1, "spend_usd_per_h": 1.0}
    assert found.costs["spend_usd_per_h"] == pytest.approx(found.statistics["cost_usd_per_h"])
