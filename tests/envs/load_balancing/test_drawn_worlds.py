"""A drawn world is the world configured like it: rates, traces and the rule for contexts go by what was drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import envs
from envs.core.batch import BatchEnv
from envs.core.simulation import Simulation
from envs.load_balancing.config import DISPATCH_RULES, LoadBalancingConfig, Randomisation, Trace
from envs.load_balancing.kernel.arrivals.traffic import draw_next
from envs.load_balancing.objectives import Budget
from envs.load_balancing.rules import RULES
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.numbers import numbers_of
from tests.envs.load_balancing.pools import same_bits, servers, started
from tests.envs.load_balancing.randomised import ACTIONS, EVERYTHING, POOL, TROUBLED, any_actions


def configured_like(world: LoadBalancing, env: int) -> LoadBalancingConfig:
    """The config of a world of the servers that are there and nothing drawn."""
    config, sv, source = world.config, world.state.servers, world.state.source
    here = np.flatnonzero(sv.present[env])
    pool = replace(
        config.pool,
        cores=sv.cores[env, here].tolist(),
        speed=sv.speed[env, here].tolist(),
        price_usd_per_h=sv.price_usd_per_h[env, here].tolist(),
        memory_gb=np.asarray(config.pool.memory_gb)[here].tolist(),
    )
    settings = config.workload.regimes
    n_mixes = len(settings.interactive_shares)
    loads, shares = source.load[env, ::n_mixes].tolist(), source.interactive_share[env, :n_mixes].tolist()
    kinds = [
        replace(kind, mean_work_s=float(work_s), deadline_s=float(deadline_s))
        for kind, work_s, deadline_s in zip(
            config.workload.classes, source.mean_work_s[env], world.measurements.deadline_s[env], strict=True
        )
    ]
    regimes = replace(settings, loads=loads, interactive_shares=shares)
    workload = replace(config.workload, regimes=regimes, interactive=kinds[0], batch=kinds[1])
    return replace(config, pool=pool, workload=workload, randomise=Randomisation())


def parts_of(observation: np.ndarray, batch: BatchEnv) -> tuple[np.ndarray, np.ndarray]:
    """The features of each server ``(n_servers, n_features)``, and those that they share ``(n_shared,)``, of env 0."""
    shown: Any = batch.world.observation_function
    n_of_servers = shown.n_parts * len(shown.feature_names)
    return observation[0, :n_of_servers].reshape(shown.n_parts, -1), observation[0, n_of_servers : -batch.n_terms]


def assert_the_same_trajectory(config: LoadBalancingConfig, env_id: int, n_steps: int = 150) -> None:
    """Step for step the same in the drawn world and in the one configured like it, whatever absent servers are told."""
    here = envs.make(config, 1, 3, env_ids=[env_id])
    observation = here.reset()
    world: Any = here.world.dynamics
    present = world.state.servers.present[0]
    there = envs.make(configured_like(world, 0), 1, 3, env_ids=[env_id])
    expected = there.reset()
    of_present = np.repeat(present, config.n_backends)
    for action in any_actions(config, 1, n_steps):
        rows, shared = parts_of(observation, here)
        expected_rows, expected_shared = parts_of(expected, there)
        assert np.array_equal(rows[present], expected_rows)
        assert np.array_equal(shared, expected_shared)
        assert not rows[~present].any()
        observation, reward, _, _, info = here.step(action)
        expected, expected_reward, _, _, expected_info = there.step(action[:, of_present])
        assert reward == pytest.approx(expected_reward, abs=1e-12)
        assert info["reward_vector"] == pytest.approx(expected_info["reward_vector"], abs=1e-12)
        of_absent = world.masks_actions and action[:, ~of_present].any()
        assert info["projected"] == expected_info["projected"] | of_absent
        assert np.array_equal(info["weights"][..., present], expected_info["weights"])
        assert not info["weights"][..., ~present].any()
    assert_the_same_figures(here.simulation, there.simulation)


def assert_the_same_figures(simulation: Simulation, other: Simulation) -> None:
    figures, expected = simulation.statistics(), other.statistics()
    for name in expected:
        assert figures[name] == pytest.approx(expected[name], rel=1e-9), name
    observed = simulation.world.statistics.observed
    assert observed(figures) == pytest.approx(other.world.statistics.observed(expected), rel=1e-6)
    assert figures["arrival_rate_hz"].all()


@pytest.mark.parametrize("rule", DISPATCH_RULES)
def test_a_drawn_world_is_the_world_configured_like_it(rule: str) -> None:
    for env_id in range(3):
        assert_the_same_trajectory(replace(TROUBLED, dispatch=DISPATCH_RULES[rule]()), env_id)


@pytest.mark.parametrize("mode", ACTIONS)
@pytest.mark.parametrize("service", ["ps", "fcfs"])
def test_so_it_is_with_every_mode_of_actions_and_service(mode: str, service: Any) -> None:
    config = replace(TROUBLED, actions=ACTIONS[mode], pool=replace(POOL, service=service))
    for env_id in range(3):
        assert_the_same_trajectory(config, env_id)


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.knows != "timetable"])
def test_so_it_is_under_every_rule_that_goes_by_measurements(name: str) -> None:
    """The others go by the rates of shifts as they are configured."""
    drawn = ruled(name, TROUBLED)
    world: Any = drawn.dynamics
    expected = ruled(name, configured_like(world, 0))
    rule, like_it = RULES[name], expected.dynamics.config  # type: ignore[attr-defined]
    values = [numbers_of(rule, like_it)] if rule.has_numbers else []
    for simulation in (drawn, expected):
        controller = rule.start(simulation.dynamics.config, 1, values)  # type: ignore[attr-defined]
        for _ in range(200):
            simulation.advance(controller.decide(simulation.measurements))
        assert simulation.ended.all()
    assert_the_same_figures(drawn, expected)
    assert not world.state.answered[~world.state.servers.present].any()


def ruled(name: str, config: LoadBalancingConfig) -> Simulation:
    """An episode of 200 steps in the world that a rule runs in, about to begin."""
    budgeted = replace(config, episode_steps=200, objective=Budget(share=0.5, day_s=30.0))
    simulation = envs.simulate(RULES[name].configured(budgeted), 1, 3, env_ids=[2])
    simulation.reset()
    return simulation


def test_ranges_of_one_point_at_what_is_configured_change_no_bit() -> None:
    points = Randomisation(
        n_servers=[3, 3],
        cores=[2, 2],
        speed=[1.5, 1.5],
        price_per_capacity=[0.25, 0.25],
        load=[1.0, 1.0],
        interactive_share=[0.0, 0.0],
        work=[1.0, 1.0],
        deadline=[1.0, 1.0],
    )
    pool = servers([2] * 3, [1.5] * 3, [0.75] * 3, max_flows=16, failure_rate_hz=0.05, repair_s=2.0)
    plain = replace(TROUBLED, pool=pool, randomise=Randomisation())
    one, other = envs.make(plain, 4, 5), envs.make(replace(plain, randomise=points), 4, 5)
    assert np.array_equal(one.reset(), other.reset())
    for action in any_actions(plain, 4, 80):
        assert np.array_equal(one.step(action)[0], other.step(action)[0])
    states: list[Any] = [batch.world.dynamics for batch in (one, other)]
    assert same_bits(states[0].state, states[1].state)


def test_the_offered_work_is_the_load_times_the_capacity_present() -> None:
    world = started(TROUBLED, 20)
    source = world.state.source
    share, work_s = source.interactive_share, source.mean_work_s
    offered = source.regime_rate_hz * (share * work_s[:, :1] + (1 - share) * work_s[:, 1:])
    factor = source.load / TROUBLED.workload.regimes.load
    assert np.allclose(factor, factor[:, :1])
    assert np.allclose(offered / world.state.servers.capacity.sum(-1, keepdims=True), source.load)
    assert len(np.unique(world.state.servers.capacity.sum(-1))) == 20


def test_a_given_rate_is_the_mean_over_regimes_of_every_drawn_world() -> None:
    workload = replace(TROUBLED.workload, rate_hz=30.0)
    world = started(replace(TROUBLED, workload=workload, randomise=replace(EVERYTHING, load=[])), 20)
    assert world.state.source.regime_rate_hz.mean(-1) == pytest.approx(30.0)
    assert world.state.source.mean_rate_hz == pytest.approx(30.0)
    assert world.measurements.step.arrivals_per_step == pytest.approx(30.0 * TROUBLED.dt_s)


def trace_of(folder: Path, **fields: Any) -> LoadBalancingConfig:
    path = folder / "queries.tsv"
    times = np.cumsum(np.random.default_rng(0).exponential(0.05, 400))
    path.write_text("\n".join(["time\tquery", *(f"{t:.6f}\t/?n={n % 97 + 1}" for n, t in enumerate(times))]))
    workload = replace(TROUBLED.workload, arrivals=Trace(path=str(path)), **fields)
    load = [] if "rate_hz" in fields else EVERYTHING.load
    return replace(TROUBLED, workload=workload, randomise=replace(EVERYTHING, work=[], interactive_share=[], load=load))


def test_a_trace_is_replayed_as_fast_as_load_and_capacity_want(tmp_path: Path) -> None:
    world = started(trace_of(tmp_path), 10)
    source, params = world.state.source, world.params.traffic
    trace, place = params.sources[params.source], source.memories[params.source]
    load = source.load[:, 0] / TROUBLED.workload.regimes.load[0] * world.state.servers.capacity.sum(-1)
    assert source.stretch == pytest.approx(POOL.capacity.sum() / load)
    assert source.time_s == pytest.approx(0.0)
    for env in range(10):
        for _ in range(len(trace.time_s)):  # once around
            index, before_s = int(place.next[env]), source.time_s[env]
            draw_next(params, source, world.state.streams, env, 0.0)
            since_s = trace.time_s[index] - trace.time_s[index - 1] + (trace.period_s if index == 0 else 0.0)
            assert source.time_s[env] - before_s == pytest.approx(since_s * source.stretch[env], abs=1e-9)


def test_a_trace_with_a_rate_of_its_own_keeps_it(tmp_path: Path) -> None:
    source = started(trace_of(tmp_path, rate_hz=20.0), 5).state.source
    assert source.stretch.tolist() == [1.0] * 5
