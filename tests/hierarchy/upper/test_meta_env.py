"""One meta step is one window of lower steps under one context, seen through measurements only."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs import ComposedConfig
from envs.core.simplex import to_simplex
from envs.core.simulation import Simulation
from envs.load_balancing.kernel import accounts
from envs.load_balancing.objectives import OBJECTIVES
from hierarchy.building import upper
from hierarchy.config import ExperimentConfig
from hierarchy.pair import Held, Pair, meta_observation
from hierarchy.protocols import Actor
from hierarchy.upper.meta_env import MetaEnv, run_window
from tests.conftest import TINY

PERIOD, N_WINDOWS = 4, 4  # of the tiny settings
N_STEPS = PERIOD * N_WINDOWS
DT_S = TINY.env.dt_s
EQUAL = np.full((2, 3), 1 / 3)
MakeSimulation = Callable[..., Simulation]
MakeLower = Callable[[int], Any]
ACTIONS = np.random.default_rng(0).uniform(-1.0, 1.0, (3 * N_WINDOWS, 2, 3)).astype(np.float32)


@pytest.fixture
def simulate(tiny_config: ExperimentConfig) -> MakeSimulation:
    """Makes a simulation whose episodes end after `n_steps`; equal arguments, equal simulations."""

    def make(n_steps: int = N_STEPS, n_envs: int = 2, **settings: Any) -> Simulation:
        return envs.simulate(dataclasses.replace(tiny_config.env, episode_steps=n_steps), n_envs, 3, **settings)

    return make


def begun(simulation: Simulation, lower: Any, context: np.ndarray = EQUAL, period: int = PERIOD) -> tuple[Pair, Held]:
    """A pair at the beginning of an episode, and what holds its context."""
    held = Held(context)
    pair = Pair(simulation.world, lower, held, period)
    simulation.reset(5)
    pair.reset()
    return pair, held


def meta_env(simulation: Simulation, lower: Any, period: int = PERIOD, n_windows: int = N_WINDOWS, **settings: Any) -> Any:
    """Just reset."""
    env = MetaEnv(simulation, lower, period, n_windows, **settings)
    env.seed(5)
    env.reset()
    return env


# Windows of the running simulation.


def test_figures_of_a_window_are_sums_over_its_steps(simulate: MakeSimulation, scripted_lower: MakeLower) -> None:
    simulation, plain = simulate(), simulate()
    pair, _ = begun(simulation, scripted_lower(2))
    again, _ = begun(plain, scripted_lower(2))
    for _ in range(N_WINDOWS):
        before = plain.measurements.counts.astype(float)
        cost_usd = np.zeros(2)
        for _ in range(PERIOD):
            plain.advance(again.decide(plain.measurements))
            cost_usd += plain.measurements.step.cost_usd
        counts = plain.measurements.counts - before
        found = run_window(simulation, pair, PERIOD)
        hours = PERIOD * DT_S / 3600
        assert_allclose(found["duration_h"], hours)
        assert_allclose(found["server_cost_usd"], cost_usd)
        assert_allclose(found["arrival_rate_hz"] * hours * 3600, counts[..., accounts.ARRIVED].sum(-1))
        assert_allclose(found["throughput_hz"] * hours * 3600, counts[..., accounts.COMPLETED].sum(-1))
        assert found["server_cost_usd"].all()


def test_sums_of_all_windows_are_those_of_the_episode(simulate: MakeSimulation, scripted_lower: MakeLower) -> None:
    simulation = simulate()
    pair, _ = begun(simulation, scripted_lower(2))
    found = [run_window(simulation, pair, PERIOD) for _ in range(N_WINDOWS)]
    assert simulation.ended.all()
    whole = simulation.statistics()
    assert (whole["revenue_usd"] > 0).all()
    for name in ("duration_h", "revenue_usd", "penalty_usd", "server_cost_usd"):
        assert_allclose(np.sum([one[name] for one in found], axis=0), whole[name], rtol=1e-9)
    for rate in ("arrival_rate_hz", "throughput_hz", "cost_usd_per_h", "utilisation", "servers_on"):
        assert_allclose(np.mean([one[rate] for one in found], axis=0), whole[rate], rtol=1e-9)


def test_a_window_ends_with_the_episode(simulate: MakeSimulation, scripted_lower: MakeLower) -> None:
    simulation, lower = simulate(n_steps=PERIOD + 1), scripted_lower(2)
    pair, _ = begun(simulation, lower)
    for n_steps in (PERIOD, 1):
        found = run_window(simulation, pair, PERIOD)
        assert_allclose(found["duration_h"] * 3600, n_steps * DT_S)
    assert len(lower.seen) == PERIOD + 1


def test_a_reset_clears_memory_and_context(simulate: MakeSimulation, scripted_lower: MakeLower) -> None:
    lower = scripted_lower(2)
    env = meta_env(simulate(), lower)
    env.step(ACTIONS[0])
    n_resets = lower.n_resets
    assert_allclose(env.reset()[:, -3:], 1 / 3)
    assert lower.n_resets == n_resets + 1


# What the upper agent does and sees.


def test_the_very_next_lower_step_sees_the_new_context(simulate: MakeSimulation, scripted_lower: MakeLower) -> None:
    lower = scripted_lower(2)
    env = meta_env(simulate(), lower)
    for window, action in enumerate(ACTIONS[:N_WINDOWS]):
        env.step(action)
        for observation in lower.seen[window * PERIOD : (window + 1) * PERIOD]:
            assert_array_equal(observation[:, -3:], to_simplex(action).astype(np.float32))
    assert len(lower.seen) == N_STEPS


def test_the_meta_observation_ends_with_the_context_in_force(simulate: MakeSimulation, scripted_lower: MakeLower) -> None:
    observation, *_ = meta_env(simulate(), scripted_lower(2)).step(ACTIONS[0])
    assert_array_equal(observation[:, -3:], to_simplex(ACTIONS[0]).astype(np.float32))


def test_the_meta_observation_fits_its_space(simulate: MakeSimulation, scripted_lower: MakeLower) -> None:
    env = meta_env(simulate(), scripted_lower(2))
    rows = [env.reset(), *(env.step(action)[0] for action in ACTIONS)]
    assert all(env.observation_space.contains(row) for batch in rows for row in batch)
    assert env.action_space.shape == (3,)
    assert not rows[0][:, :-3].any(), "before the first window nothing is known"
    assert rows[1][:, :-3].any()


def test_reward_is_the_objective_of_the_window(simulate: MakeSimulation, scripted_lower: MakeLower) -> None:
    env, alone = meta_env(simulate(), scripted_lower(2)), simulate()
    pair, held = begun(alone, scripted_lower(2))
    for action in ACTIONS[:N_WINDOWS]:
        held.context = to_simplex(action)
        statistics = run_window(alone, pair, PERIOD)
        _, reward, _, _ = env.step(action)
        expected = (statistics["revenue_usd"] - statistics["penalty_usd"] - statistics["server_cost_usd"]) / (
            statistics["duration_h"]
        )
        assert_allclose(reward, expected, rtol=1e-5)
        assert_array_equal(reward, env.objective.astype(np.float32))


@pytest.mark.parametrize("name", ["profit", "satisfaction", "slo"])
def test_the_objective_of_the_world_is_paid(tiny_config: ExperimentConfig, scripted_lower: MakeLower, name: str) -> None:
    settings = dataclasses.replace(tiny_config.env, objective=OBJECTIVES[name](), episode_steps=N_STEPS)
    simulation = envs.simulate(settings, 2, 3)
    _, reward, _, _ = meta_env(simulation, scripted_lower(2)).step(ACTIONS[0])
    assert_allclose(reward, OBJECTIVES[name]()(simulation.statistics()), rtol=1e-5)


def test_an_episode_is_truncated_after_its_windows(simulate: MakeSimulation, scripted_lower: MakeLower) -> None:
    env = meta_env(simulate(), scripted_lower(2))
    alone = simulate()
    pair, held = begun(alone, scripted_lower(2))
    for window, action in enumerate(ACTIONS[:N_WINDOWS]):
        observation, _, done, infos = env.step(action)
        held.context = to_simplex(action)
        last = meta_observation(alone.world, run_window(alone, pair, PERIOD), pair.context)
        assert done.tolist() == [window == N_WINDOWS - 1] * 2
        if not done.any():
            assert infos == [{}, {}]
            assert_array_equal(observation, last)
    assert_array_equal([info["terminal_observation"] for info in infos], last)
    assert [info["TimeLimit.truncated"] for info in infos] == [True, True]
    assert_array_equal(observation, np.concatenate([np.zeros_like(last[:, :-3]), EQUAL.astype(np.float32)], axis=1))


def test_episodes_follow_each_other_with_the_same_length(simulate: MakeSimulation, scripted_lower: MakeLower) -> None:
    env = meta_env(simulate(), scripted_lower(2))
    done = [bool(env.step(action)[2].all()) for action in ACTIONS]
    assert done == ([False] * (N_WINDOWS - 1) + [True]) * 3


class Rightwards:
    """Stands for the lower agent of a walk: keeps going to its end."""

    def reset(self, mask: np.ndarray | None = None) -> None:
        """Nothing is remembered."""

    def act(self, observation: np.ndarray) -> np.ndarray:
        return np.full(len(observation), 2)


def test_a_world_that_terminates_ends_the_meta_episode_of_that_env_alone() -> None:
    """A walk of three steps to the end against a wind: envs arrive at times of their own."""
    n_envs, period, n_windows = 8, 2, 6
    walk = ComposedConfig(factory="tests.envs.walks:make_ending", episode_steps=period * n_windows)
    simulation = envs.simulate(walk, n_envs, 3)
    env = meta_env(simulation, Rightwards(), period, n_windows)
    mixes = ACTIONS[0, 0] * np.ones((n_envs, 1), np.float32)
    seen = []
    for _ in range(3 * n_windows):
        elapsed = simulation.elapsed.copy()
        observation, _, done, infos = env.step(mixes)
        seen.append(done)
        assert_array_equal(simulation.elapsed == 0, done, err_msg="those that ended have begun anew, the others go on")
        assert (simulation.elapsed[~done] == elapsed[~done] + period).all()
        assert [info.get("TimeLimit.truncated") for info in infos] == [False if over else None for over in done]
        assert_allclose(observation[done, -3:], 1 / 3)
        assert_allclose(observation[~done, -3:], to_simplex(mixes)[~done], rtol=1e-6)
    assert any(0 < done.sum() < n_envs for done in seen), "ends must differ for this to be a test"


def test_seed_then_reset_reproduces(tiny_config: ExperimentConfig, policy: Actor, simulate: MakeSimulation) -> None:
    env = meta_env(simulate(), policy.start(2))

    def trajectory(seed: int) -> np.ndarray:
        env.seed(seed)
        return np.stack([env.reset(), *(env.step(action)[0] for action in ACTIONS[: N_WINDOWS - 1])])

    first = trajectory(8)
    assert not np.array_equal(trajectory(9), first)
    assert_array_equal(trajectory(8), first)


def test_an_env_does_not_depend_on_its_neighbours(policy: Actor, simulate: MakeSimulation) -> None:
    one, other = (meta_env(simulate(env_ids=ids), policy.start(2)) for ids in ([4, 1], [4, 2]))
    for action in ACTIONS[: N_WINDOWS - 1]:
        changed = np.stack([action[0], -action[1]])
        (observation, reward, *_), (expected, expected_reward, *_) = one.step(action), other.step(changed)
        assert_array_equal(observation[0], expected[0])
        assert reward[0] == expected_reward[0]
        assert not np.array_equal(observation[1], expected[1])


# Meta steps that are whole episodes.


def test_a_meta_step_may_be_a_whole_episode(simulate: MakeSimulation, scripted_lower: MakeLower) -> None:
    lower = scripted_lower(2)
    env = meta_env(simulate(n_steps=10), lower, period=10, n_windows=2, whole_episodes=True)
    rewards = []
    for n_episodes, action in enumerate(ACTIONS[:4], start=1):
        _, reward, done, _ = env.step(action)
        rewards.append(reward)
        assert len(lower.seen) == 10 * n_episodes
        assert_array_equal(lower.seen[-1][:, -3:], to_simplex(action).astype(np.float32))
        assert done.tolist() == [n_episodes % 2 == 0] * 2
    assert not np.array_equal(rewards[0], rewards[1]), "every episode has its own arrivals"


def test_reward_of_an_episode_is_the_objective_of_that_episode_alone(
    simulate: MakeSimulation, scripted_lower: MakeLower
) -> None:
    simulation = simulate(n_steps=10)
    env = meta_env(simulation, scripted_lower(2), period=10, n_windows=3, whole_episodes=True)
    for action in ACTIONS[:2]:
        _, reward, _, _ = env.step(action)
        statistics = simulation.statistics()
        assert_allclose(statistics["duration_h"] * 3600, 10 * DT_S)
        assert_allclose(reward, simulation.objective(statistics), rtol=1e-5)


@pytest.mark.parametrize(("meta_step", "n_steps"), [("window", 3 * PERIOD), ("episode", 16)])
def test_a_simulation_for_windows_ends_with_the_last_of_them(
    tiny_config: ExperimentConfig, meta_step: Any, n_steps: int
) -> None:
    config = dataclasses.replace(tiny_config, upper=dataclasses.replace(tiny_config.upper, meta_step=meta_step))
    simulation = upper.simulation(config, "evaluate", [0, 1, 2], 3)
    assert simulation.episode_steps == n_steps
    assert (simulation.n_envs, simulation.dynamics.role) == (3, "evaluate")


# Rewards above those of a twin.


def rewards_of(config: ExperimentConfig, lower: Actor, paired: bool, actions: np.ndarray) -> np.ndarray:
    settings = dataclasses.replace(config, upper=dataclasses.replace(config.upper, paired=paired))
    env = upper.vec_env(settings, lower)
    env.seed(3)
    env.reset()
    return np.stack([env.step(action)[1] for action in actions])


def test_a_twin_has_the_same_requests_under_the_equal_mix(tiny_config: ExperimentConfig, policy: Actor) -> None:
    """Over several episodes: who sets equal mixes gets nothing, and what is taken off does not depend on who acts."""
    n_envs, rng = tiny_config.upper.n_envs, np.random.default_rng(1)
    equal, any_mix = np.zeros((9, n_envs, 3), np.float32), rng.uniform(-1, 1, (9, n_envs, 3)).astype(np.float32)
    assert_array_equal(rewards_of(tiny_config, policy, True, equal), 0.0)
    alone, above = (rewards_of(tiny_config, policy, paired, any_mix) for paired in (False, True))
    assert_allclose(alone - above, rewards_of(tiny_config, policy, False, equal), rtol=1e-4)
    assert (above != 0).any()
