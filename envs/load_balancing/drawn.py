"""One world out of those that `randomise` draws from, as a config of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from envs.core.rng import Role, streams
from envs.core.validation import SettingError
from envs.load_balancing.config import LoadBalancingConfig, Randomisation
from envs.load_balancing.params import new_state
from envs.load_balancing.randomisation import draw, ranges


def drawn(config: LoadBalancingConfig, seed: int, role: Role, number: int) -> LoadBalancingConfig:
    """The world that an env of that ``number`` would begin with, for good: nothing in it is drawn any more.

    Its pool has the servers that are present, and no others.

    Raises
    ------
    SettingError
        There is nothing to draw from.
    """
    if config.randomise == Randomisation():
        raise SettingError("env.randomise", "ranges that worlds are drawn from", "none")
    state = new_state(config, streams(seed, role, [number]))
    draw(config, ranges(config), state, np.ones(1, np.bool_))
    servers, source = state.servers, state.source
    there = servers.present[0]
    pool = replace(
        config.pool,
        cores=servers.cores[0, there].tolist(),
        speed=servers.speed[0, there].tolist(),
        price_usd_per_h=servers.price_usd_per_h[0, there].tolist(),
        memory_gb=np.asarray(config.pool.memory_gb)[there].tolist(),
    )
    workload, regimes = config.workload, config.workload.regimes
    n_mixes = len(regimes.interactive_shares)
    interactive, batch = (
        replace(one, mean_work_s=float(source.mean_work_s[0, at]), deadline_s=float(state.deadline_s[0, at]))
        for at, one in enumerate(workload.classes)
    )
    shares = source.interactive_share[0, :n_mixes].tolist()
    regimes = replace(regimes, loads=source.load[0, ::n_mixes].tolist(), interactive_shares=shares)
    workload = replace(workload, regimes=regimes, interactive=interactive, batch=batch)
    return replace(config, pool=pool, workload=workload, randomise=Randomisation())
