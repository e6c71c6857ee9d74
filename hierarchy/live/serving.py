"""A trained pair before a real HAProxy, if it was trained for such a one."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

from envs.core.validation import SettingError
from envs.haproxy.addresses import is_path
from envs.haproxy.balancer import Balancer
from envs.haproxy.config import backends_of
from envs.load_balancing.config import LoadBalancingConfig
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.live.owning import alone_on
from hierarchy.live.pool import PoolConfig
from hierarchy.live.power import Power
from hierarchy.live.running import LiveConfig
from hierarchy.live.watchdog import Charge
from hierarchy.live.watched import Watched
from hierarchy.pair import ContextSetter, Pair
from hierarchy.storage.trained import Trained

RULE = "leastconn"
"""The dispatch rule that HAProxy and the simulator share."""
MOST_REHEARSED = 200


def world_of(trained: Trained, pool: PoolConfig) -> LoadBalancingConfig:
    """The world that a pair was trained for, with the servers that there are, if it may be a HAProxy.

    Raises
    ------
    SettingError
        It is another kind of world, its requests find servers by another rule, or the pool is none.
    """
    config = trained.config.env
    if not isinstance(config, LoadBalancingConfig):
        raise SettingError("env.family", "load_balancing, for a pair that steers HAProxy", config.family)
    if config.dispatch.rule != RULE:
        allowed = f"{RULE}, the rule that HAProxy has, too (train with --env.dispatch {RULE})"
        raise SettingError("env.dispatch.rule", allowed, config.dispatch.rule)
    return pool.onto(config)


def pair_on(trained: Trained, balancer: Balancer, setter: ContextSetter | None = None) -> Pair:
    """The pair before a balancer that was looked at; contexts are set by its upper agent, or by what is given.

    Raises
    ------
    SettingError
        A backend balances by another rule.
    NotTrainedError
        The pair was trained for another world; the field in which it differs is named.
    """
    assert balancer.seen is not None
    for backend, rule in zip(balancer.settings.backends, balancer.seen.rules, strict=True):
        if rule != RULE:
            raise SettingError(f"backend {backend}", f"one with balance {RULE}", f"balance {rule}")
    if balancer.seen.others:
        given = ", ".join(balancer.settings.servers)
        raise SettingError("haproxy.servers", f"all servers of the backends ({given})", ", ".join(balancer.seen.others))
    return rehearsed(trained.pair(balancer.world, setter=setter), balancer, lower_steps_per_window(trained.config) + 1)


def rehearsed(pair: Pair, balancer: Balancer, n_steps: int) -> Pair:
    """The pair, which has decided some steps for nobody: what is slow the first time is over, and nothing is remembered."""
    state = pair.get_state()
    for _ in range(min(n_steps, MOST_REHEARSED)):
        pair.decide(balancer.measurements)
    pair.set_state(state)
    return pair


def alone(world: LoadBalancingConfig, config: LiveConfig) -> AbstractContextManager[None]:
    """Keep other controllers away from the backends.

    Raises
    ------
    SettingError
        The backends are none of the world's, or another controller has one.
    """
    try:
        backends = backends_of(world, config.haproxy)
    except SettingError as error:
        raise error.under("haproxy") from None
    return alone_on(config.haproxy.socket, [*backends, *config.haproxy.control])


def watchdog_of(balancer: Balancer, config: LiveConfig) -> Watched:
    """A watchdog for all that a balancer has."""
    names, address = balancer.settings, balancer.settings.socket
    place = os.path.abspath(address) if is_path(address) else address
    power = config.power
    return Watched(Charge(place, names.backends, names.servers, config.ttl_s, power.command, power.timeout_s))


def check_ttl(world: LoadBalancingConfig, config: LiveConfig) -> None:
    """Hold the time without a decision against that of steps.

    Raises
    ------
    SettingError
        It is so short that a watchdog would not wait for the next decision.
    """
    if config.ttl_s < 2 * world.dt_s:
        raise SettingError("ttl_s", f">= {2 * world.dt_s:g}, two steps", config.ttl_s)


def power_of(balancer: Balancer, config: LiveConfig) -> Power:
    """What switches a balancer's servers."""
    return Power(config.power, balancer.settings.servers, config.safety.least_in_service)
