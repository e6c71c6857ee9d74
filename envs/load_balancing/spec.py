"""The specification of a load-balancing world, from its settings alone."""

from __future__ import annotations

from envs.core.spec import WorldSpec, described
from envs.load_balancing import error_budget
from envs.load_balancing.actions import action_space
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.observation import backend_names, feature_names, shared_names
from envs.load_balancing.oracle import regime_names
from envs.load_balancing.rewards import TERMS
from envs.load_balancing.statistics import METRICS, OBSERVED, TIMELINE


def setting_names(config: LoadBalancingConfig) -> tuple[str, ...]:
    """Names of the weights as they are recorded, backend by backend."""
    servers = [f"server {server}" for server in range(config.pool.n_servers)]
    of_one = [f"{name} on {server}" if name else server for name in backend_names(config) for server in servers]
    n = config.balancers.n
    return tuple(of_one) if n == 1 else tuple(f"balancer {i}, {name}" for i in range(n) for name in of_one)


def describe(config: LoadBalancingConfig) -> WorldSpec:
    """Names, numbers and labels."""
    budget = config.error_budget is not None
    return WorldSpec(
        family=config.family,
        dt_s=config.dt_s,
        terms=tuple(TERMS),
        n_parts=config.pool.n_servers,
        features=feature_names(config),
        shared=shared_names(config),
        shows_action_set=False,
        action_space=described(action_space(config)),
        levels=tuple(config.actions.levels) if config.actions.mode == "levels" else (),
        observed=(*OBSERVED, *(error_budget.OBSERVED if budget else ())),
        metrics=(*(error_budget.METRICS if budget else ()), *METRICS),
        timeline=(*TIMELINE, *(error_budget.TIMELINE if budget else ())),
        regimes=regime_names(config),
        setting="weight of server",
        setting_names=setting_names(config),
        objective=config.objective.name,
        objective_unit=config.objective.unit,
        n_agents=config.balancers.n,
    )
