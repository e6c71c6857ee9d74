"""The lower agent learns to do what its context asks for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from envs import LoadBalancingConfig
from envs.load_balancing.config import Poisson, Regimes, ServerPool, Workload, WorkloadClass
from hierarchy.building import lower, upper
from hierarchy.config import ExperimentConfig
from hierarchy.lower.recurrent_ppo import RecurrentPPOConfig
from hierarchy.pair import Held, Pair
from hierarchy.protocols import Actor
from hierarchy.upper.meta_env import run_window

N_SEEDS, N_STEPS = 8, 400
CONTEXTS = {"latency": [0.0, 1.0, 0.0], "cost": [0.0, 0.0, 1.0]}
AT_ONE_LOAD = ExperimentConfig(
    env=LoadBalancingConfig(
        pool=ServerPool(price_usd_per_h=[3.0, 0.24, 0.12, 0.08], boot_s=0.5, min_billed_s=1.0, max_flows=64),
        workload=Workload(
            arrivals=Poisson(),
            regimes=Regimes(loads=[0.4]),
            batch=WorkloadClass(mean_work_s=0.2, deadline_s=1.0, value_usd=8e-6, penalty_usd=0.0),
        ),
    ),
    lower=RecurrentPPOConfig(timesteps=49_152),
    threads=1,
)


def figures(policy: Actor) -> dict[str, dict[str, float]]:
    """Cost and latency of one policy under each context, on the same seeds."""
    config = dataclasses.replace(AT_ONE_LOAD, upper=dataclasses.replace(AT_ONE_LOAD.upper, meta_period=N_STEPS))
    env_ids = list(range(N_SEEDS)) * len(CONTEXTS)
    simulation = upper.simulation(config, "select", env_ids, 1)
    held = Held(np.repeat(list(CONTEXTS.values()), N_SEEDS, axis=0))
    pair = Pair(simulation.world, policy.start(len(env_ids)), held, N_STEPS)
    simulation.reset()
    pair.reset()
    statistics = run_window(simulation, pair, N_STEPS)
    rows = {name: statistics[name].reshape(-1, N_SEEDS).mean(-1) for name in ("cost_usd_per_h", "latency_mean_ms")}
    return {context: {name: row[i] for name, row in rows.items()} for i, context in enumerate(CONTEXTS)}


@pytest.mark.slow
def test_cost_first_costs_less_and_latency_first_is_faster() -> None:
    agent = lower.build(AT_ONE_LOAD)
    agent.learn(AT_ONE_LOAD.lower.timesteps)
    found = figures(agent.actor)
    assert found["cost"]["cost_usd_per_h"] <= 0.8 * found["latency"]["cost_usd_per_h"], found
    assert found["latency"]["latency_mean_ms"] < found["cost"]["latency_mean_ms"], found
