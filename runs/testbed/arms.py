"""What can be compared on a test bed: arms of the simulator that a HAProxy can run, and what one has without any of this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from envs import EnvConfig
from envs.core.validation import SettingError
from envs.load_balancing.config import DispatchConfig, LoadBalancingConfig, RandomDraws
from envs.load_balancing.rules.balancing import BalancingRule, Equal
from hierarchy.arms import arms_of
from hierarchy.arms.arm import Arm
from hierarchy.arms.start import Start
from hierarchy.evidence.arms import Kind
from runs.testbed.proxy import Balance

STATIC_NAME = "static"
STATIC = BalancingRule("wrr", Equal)
"""Round robin over equal weights."""
SIMULATED: tuple[Kind, ...] = ("oracle", "unmixed")
"""Kinds of arms that stay in the simulator."""
BALANCE: Mapping[str, Balance] = {"leastconn": "leastconn", "wrr": "roundrobin", "weighted_random": "random(1)"}
"""What HAProxy calls the dispatch rules of the simulator that it has."""


def _start_static(start: Start) -> Any:
    assert isinstance(start.config.env, LoadBalancingConfig)
    return STATIC.start(start.config.env, start.simulation.n_envs)


def _configured_static(env: EnvConfig, found: Mapping[str, Any]) -> EnvConfig:
    assert isinstance(env, LoadBalancingConfig)
    return STATIC.configured(env)


def live_arms(env: LoadBalancingConfig) -> dict[str, Arm]:
    """Those by name that know no more than can be measured, and have no agent of their own."""
    simulated = {name: arm for name, arm in arms_of(env).items() if arm.kind not in SIMULATED}
    return {STATIC_NAME: Arm("rule", _start_static, configured=_configured_static), **simulated}


def chosen(env: LoadBalancingConfig, names: Sequence[str]) -> dict[str, Arm]:
    """Those of some names.

    Raises
    ------
    SettingError
        There is none of a name, or none is named.
    """
    there = live_arms(env)
    unknown = [name for name in names if name not in there]
    if unknown or not names:
        raise SettingError("compare", f"names of arms, separated by commas ({', '.join(there)})", ",".join(unknown))
    return {name: there[name] for name in dict.fromkeys(names)}


def balance_of(name: str, dispatch: DispatchConfig) -> Balance:
    """What HAProxy calls the dispatch rule of an arm.

    Raises
    ------
    SettingError
        It has none like it.
    """
    if isinstance(dispatch, RandomDraws) and dispatch.draws == 2:
        return "random(2)"
    if dispatch.rule not in BALANCE:
        allowed = f"arms whose dispatch rule HAProxy has ({', '.join([*BALANCE, 'random'])})"
        raise SettingError("compare", allowed, f"{name} with {dispatch.rule}")
    return BALANCE[dispatch.rule]
