"""A trained pair before a real HAProxy, if it was trained for such a one."""

from __future__ import annotations

from envs.core.validation import SettingError
from envs.haproxy.balancer import Balancer
from envs.load_balancing.config import LoadBalancingConfig
from hierarchy.pair import Pair
from hierarchy.storage.trained import Trained

RULE = "leastconn"
"""The dispatch rule that HAProxy and the simulator share."""


def world_of(trained: Trained) -> LoadBalancingConfig:
    """The world that a pair was trained for, if it may be a HAProxy.

    Raises
    ------
    SettingError
        It is another kind of world, or its requests find servers by another rule.
    """
    config = trained.config.env
    if not isinstance(config, LoadBalancingConfig):
        raise SettingError("env.family", "load_balancing, for a pair that steers HAProxy", config.family)
    if config.dispatch.rule != RULE:
        allowed = f"{RULE}, the rule that HAProxy has, too (train with --env.dispatch {RULE})"
        raise SettingError("env.dispatch.rule", allowed, config.dispatch.rule)
    return config


def pair_on(trained: Trained, balancer: Balancer) -> Pair:
    """The pair before a balancer that was looked at.

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
    return trained.pair(balancer.world)
