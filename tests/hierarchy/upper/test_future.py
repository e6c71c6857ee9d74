"""What comes is in no observation: equal pasts are observed alike, to the bit, whatever their futures hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import envs
from envs import LoadBalancingConfig
from envs.core.arrays import FloatArray32
from envs.core.futures import branch
from envs.core.rng import ARRIVALS, REGIME, RETRY
from envs.core.simulation import Simulation
from envs.load_balancing.config import MMPP, Diurnal, Telemetry
from envs.load_balancing.kernel.accounts import ARRIVED, LATENCY_S
from envs.load_balancing.world import LoadBalancing
from hierarchy.pair import meta_observation
from tests.conftest import TINY

PERIOD, N_BEFORE, N_AFTER = 4, 23, 12
N_FUTURES = 64
Observe = Callable[[Simulation, Any], FloatArray32]
"""What an agent observes ``(n_envs, n_features)``, given the totals when the window began."""


def observed_below(simulation: Simulation, totals: Any) -> FloatArray32:
    """By the lower agent."""
    everyone = np.ones(simulation.n_envs, np.bool_)
    return simulation.world.observation_function.extract(simulation.measurements, everyone)


def observed_above(simulation: Simulation, totals: Any) -> FloatArray32:
    """By the upper agent."""
    context = np.full((simulation.n_envs, 3), 1 / 3)
    return meta_observation(simulation.world, simulation.statistics(totals), context)


def run(simulation: Simulation, n_steps: int) -> None:
    """All servers on."""
    config = simulation.dynamics.config  # type: ignore[attr-defined]
    weights = np.ones((simulation.n_envs, config.n_backends, config.pool.n_servers))
    for _ in range(n_steps):
        simulation.advance(weights)


def branched(config: LoadBalancingConfig) -> tuple[Simulation, Any]:
    """One past in every env with as many futures, a step before its window ends; and the totals when the window began.

    Streams that say nothing of the future go on as they were.
    """
    past, into = envs.simulate(config, 2, 3), envs.simulate(config, N_FUTURES, 3)
    past.reset(5)
    run(past, N_BEFORE)
    totals = past.totals()
    run(past, PERIOD - 1)
    rows = np.ones(N_FUTURES, np.int64)
    branch(past, into, rows, range(N_FUTURES), seed=9)
    untold = np.setdiff1d(np.arange(into.dynamics.streams.shape[1]), [ARRIVALS, REGIME, RETRY])
    into.dynamics.streams[:, untold] = past.dynamics.streams[rows][:, untold]
    return into, type(totals)(*(part[rows] for part in totals))


def source_of(simulation: Simulation) -> Any:
    return simulation.dynamics.state.source  # type: ignore[attr-defined]


def happened(simulation: Simulation) -> np.ndarray:
    """What has come of the future ``(n_envs, n)``: requests and faults."""
    servers = simulation.dynamics.state.servers  # type: ignore[attr-defined]
    arrived = simulation.measurements.counts[..., ARRIVED]
    return np.concatenate([arrived, servers.status, servers.slow], axis=1)


def check_the_future_is_not_observed(config: LoadBalancingConfig, observe: Observe) -> None:
    """At the instant of branching; a step later by all to whom nothing happened in it; and later observations differ."""
    simulation, totals = branched(config)
    before = happened(simulation)
    assert len(np.unique(source_of(simulation).time_s)) > N_FUTURES // 2, "futures must differ for this to be a test"
    observed = observe(simulation, totals)
    assert_array_equal(observed, np.broadcast_to(observed[0], observed.shape))
    run(simulation, 1)
    alike = (happened(simulation) == before).all(-1)
    assert 1 < alike.sum() < N_FUTURES
    assert len(np.unique(source_of(simulation).time_s[alike])) > 1
    observed = observe(simulation, totals)
    assert_array_equal(observed[alike], np.broadcast_to(observed[alike][0], observed[alike].shape))
    run(simulation, N_AFTER)
    assert len(np.unique(observe(simulation, totals), axis=0)) > N_FUTURES // 2


def world(**settings: Any) -> LoadBalancingConfig:
    """Tiny, in episodes that do not end here; few requests come in a step."""
    assert isinstance(TINY.env, LoadBalancingConfig)
    workload = replace(TINY.env.workload, arrivals=settings.pop("arrivals", TINY.env.workload.arrivals))
    return replace(TINY.env, workload=workload, episode_steps=1000, **settings)


FAULTY = replace(
    TINY.env.pool, max_flows=2, failure_rate_hz=0.05, repair_s=3.0, detection_s=0.5, slowdown_rate_hz=0.1, slowdown_s=3.0
)
"""Servers that fail, slow down, and are so small that requests are turned away and come back."""
WORLDS = {
    "poisson": world(),
    "bursts": world(arrivals=MMPP(burst_s=1.0, calm_s=2.0)),
    "days": world(arrivals=Diurnal(period_s=20.0)),
    "joint": world(backends="joint"),
    "faults": world(pool=FAULTY),
    "telemetry": world(telemetry=Telemetry(delay_steps=2, noise=0.1, loss=0.1, ground_truth=True)),
}
AGENTS = {"lower": observed_below, "upper": observed_above}


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("name", WORLDS)
def test_the_future_is_not_observed(name: str, agent: str) -> None:
    check_the_future_is_not_observed(WORLDS[name], AGENTS[agent])


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("told", ["stage_until_s", "time_s", "work_s"])
def test_a_feature_that_tells_the_future_is_found_out(told: str, agent: str) -> None:
    """When the regime changes, when the next request comes, how much work it is."""

    def telling(simulation: Simulation, totals: Any) -> FloatArray32:
        honest, future = AGENTS[agent](simulation, totals), getattr(source_of(simulation), told)
        return np.concatenate([honest, future[:, None].astype(np.float32)], axis=1)

    with pytest.raises(AssertionError, match="Arrays are not equal"):
        check_the_future_is_not_observed(WORLDS["poisson"], telling)


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize(("part", "told"), [("servers", "fault_s"), ("servers", "slow_s"), ("retries", "due_s")])
def test_a_feature_that_tells_of_faults_or_retries_to_come_is_found_out(part: str, told: str, agent: str) -> None:
    """When a server fails or is repaired, when its speed changes, when a request comes back."""

    def telling(simulation: Simulation, totals: Any) -> FloatArray32:
        honest = AGENTS[agent](simulation, totals)
        future = getattr(getattr(simulation.dynamics.state, part), told)  # type: ignore[attr-defined]
        return np.concatenate([honest, future[:, :1].astype(np.float32)], axis=1)

    with pytest.raises(AssertionError, match="Arrays are not equal"):
        check_the_future_is_not_observed(WORLDS["faults"], telling)


@pytest.mark.parametrize("agent", AGENTS)
def test_a_feature_that_is_filled_with_the_future_in_a_step_is_found_out(
    agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Branching copies what was measured before; what is measured a step later tells."""
    step = LoadBalancing.step_dynamics

    def telling(self: LoadBalancing, action: Any, running: Any) -> Any:
        transition = step(self, action, running)
        left_s = self.state.source.stage_until_s - self.state.clock_s
        self.state.time_of_day[:] = left_s
        self.state.times[..., LATENCY_S] += 1.0 / (1.0 + left_s[:, None])
        return transition

    monkeypatch.setattr(LoadBalancing, "step_dynamics", telling)
    with pytest.raises(AssertionError, match="Arrays are not equal"):
        check_the_future_is_not_observed(WORLDS["poisson"], AGENTS[agent])
