"""A troubled world that is drawn anew for every episode, and actions for it, for the tests of drawn worlds."""

from __future__ import annotations

import numpy as np

from envs.load_balancing import rewards
from envs.load_balancing.config import (
    Actions,
    LoadBalancingConfig,
    Poisson,
    Randomisation,
    Regimes,
    Reward,
    ServerPool,
    Telemetry,
    Workload,
)

N_SERVERS = 6
EVERYTHING = Randomisation(
    n_servers=[2, 5],
    cores=[1, 4],
    speed=[0.5, 2.0],
    price_per_capacity=[0.05, 0.4],
    load=[0.5, 1.5],
    interactive_share=[-0.3, 0.3],
    work=[0.5, 2.0],
    deadline=[0.25, 4.0],
)
POOL = ServerPool(
    cores=[4, 4, 2, 4, 1, 3],
    speed=[2.0, 1.0, 1.0, 0.5, 1.5, 0.7],
    price_usd_per_h=[3.0, 0.24, 0.12, 0.08, 0.3, 0.1],
    memory_gb=[16.0, 8.0, 4.0, 8.0, 2.0, 1.0],
    max_flows=16,
    boot_s=0.5,
    min_billed_s=1.0,
    failure_rate_hz=0.05,
    repair_s=2.0,
    detection_s=0.5,
    slowdown_rate_hz=0.1,
    slowdown_s=1.0,
)
TROUBLED = LoadBalancingConfig(
    pool=POOL,
    workload=Workload(
        arrivals=Poisson(), regimes=Regimes(loads=[0.3, 0.9], interactive_shares=[0.9, 0.5, 0.1], mean_dwell_s=3.0)
    ),
    telemetry=Telemetry(ground_truth=True),
    reward=Reward(late_limit=0.1, switching_cost=0.3, shaping=True),
    randomise=EVERYTHING,
)
ACTIONS = {
    "levels": Actions(),
    "weights": Actions(mode="weights", scale_by_capacity=False),
    "deltas": Actions(mode="deltas", delay_steps=2),
}
TERMS = tuple(rewards.TERMS)


def any_actions(config: LoadBalancingConfig, n_envs: int, n_steps: int) -> np.ndarray:
    rng = np.random.default_rng(4)
    shape = (n_steps, n_envs, config.pool.n_servers * config.n_backends)
    return rng.integers(0, 5, shape) if config.actions.mode == "levels" else rng.uniform(-1.0, 1.0, shape)
