"""A balancing rule in the place of an agent has requests go where the rule itself has them go."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs import SparkConfig
from envs.core.validation import SettingError
from envs.load_balancing.actions import expressed, requested
from envs.load_balancing.config import Actions, BalancersConfig, LoadBalancingConfig
from tests.conftest import TINY
from tests.envs.load_balancing.pools import PROPERTY

ENV = replace(TINY.env, episode_steps=40)
LEVELS = [0.0, 0.5, 1.0, 2.0]


def with_actions(env: Any = ENV, **settings: Any) -> LoadBalancingConfig:
    config: LoadBalancingConfig = replace(env, actions=replace(env.actions, **settings))
    return config


def ratios(relative: np.ndarray) -> np.ndarray:
    """Weights as shares of the largest of a backend."""
    return relative / relative.max(-1, keepdims=True)


@PROPERTY
@given(st.data())
def test_what_is_asked_for_has_the_ratios_of_the_weights(data: Any) -> None:
    """Of any action that gives every backend some weight, whichever way it is expressed."""
    config = with_actions(levels=LEVELS)
    chosen = np.array(data.draw(st.lists(st.integers(1, 3), min_size=4, max_size=4)))[None]
    relative = requested(config, chosen, np.ones((1, 2, 2)))
    actions, exact = expressed(config, relative)
    assert exact.all()
    assert_allclose(ratios(requested(config, actions, np.ones((1, 2, 2)))), ratios(relative))


def test_equal_weights_are_the_nominal_action() -> None:
    actions, exact = expressed(with_actions(levels=LEVELS), np.full((3, 2, 2), 0.7))
    assert exact.all()
    assert_array_equal(actions, np.full((3, 4), 2))


def test_servers_come_before_backends() -> None:
    relative = np.array([[[1.0, 0.0], [0.5, 1.0]]])  # backends, then servers
    actions, exact = expressed(with_actions(levels=LEVELS), relative)
    assert exact.all()
    assert_array_equal(actions, [[2, 1, 0, 2]])  # a server in both backends, then the next one


def test_each_env_is_told_apart() -> None:
    relative = np.array([[[1.0, 0.5]] * 2, [[1.0, 0.3]] * 2, [[1.0, 0.25]] * 2])
    actions, exact = expressed(with_actions(levels=LEVELS), relative)
    assert exact.tolist() == [True, False, True]
    assert actions[[0, 2]].tolist() == [[2, 2, 1, 1], [3, 3, 1, 1]]


def test_numbers_have_any_ratio_but_that_which_drains() -> None:
    actions, exact = expressed(with_actions(mode="weights"), np.array([[[2.0, 0.6]] * 2, [[1.0, 0.01]] * 2]))
    assert exact.tolist() == [True, False]
    assert_allclose(actions[0], [1.0, 1.0, 0.3, 0.3])


def test_other_modes_set_no_weights() -> None:
    with pytest.raises(ValueError, match=r"actions\.mode must be levels or weights, got deltas"):
        expressed(with_actions(mode="deltas"), np.ones((1, 2, 2)))


@pytest.mark.parametrize(
    ("rule", "dispatch"), [("sed", "sed"), ("leastconn", "leastconn"), ("wrr", "wrr"), ("wcmp", "weighted_random")]
)
@pytest.mark.parametrize("mode", ["levels", "weights"])
def test_requests_go_where_the_rule_has_them_go(rule: str, dispatch: str, mode: Any) -> None:
    """In the world with joint backends, where the rule itself is an arm: to the bit, whatever the scale of weights."""
    from envs.core.validation import build
    from envs.load_balancing.config import DISPATCH_RULES

    config = replace(ENV, dispatch=build(DISPATCH_RULES[dispatch], {}), backends="joint", actions=Actions(mode=mode))
    ours, theirs = envs.make(config, 3, 7), envs.simulate(config, 3, 7)
    ours.reset()
    theirs.reset()
    acting, itself = envs.acting_rule(config, rule, 3), envs.rules(config)[rule].start(config, 3)
    for _ in range(40):
        ours.step(acting.decide(ours.simulation.measurements))
        theirs.advance(itself.decide(theirs.measurements))
        for name in ("counts", "in_flight", "answered"):
            if hasattr(theirs.measurements, name):
                assert_array_equal(getattr(ours.simulation.measurements, name), getattr(theirs.measurements, name))
    assert theirs.measurements.counts.sum() > 100


@pytest.mark.parametrize(
    ("config", "rule", "message"),
    [
        (ENV, "wrr", "rule must be one of nominal, lsq, sed where dispatch.rule is sed, got wrr"),
        (ENV, "autoscale", "rule must be one of nominal, lsq, sed where"),
        (with_actions(mode="guided"), "sed", "rule must be nominal unless actions.mode is levels or weights"),
        (with_actions(mode="deltas"), "sed", "rule must be nominal unless actions.mode is levels or weights"),
        (replace(ENV, balancers=BalancersConfig(n=2)), "sed", "rule must be nominal unless .* balancers.n 1"),
        (SparkConfig(), "sed", "rule must be none of a rule's in a world of family spark, got sed"),
    ],
)
def test_a_rule_that_can_not_act_is_refused(config: Any, rule: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        envs.acting_rule(config, rule, 1)


def test_weights_that_are_no_levels_are_refused() -> None:
    """Equal weights on unequal servers, where levels are shares of capacity."""
    batch = envs.make(with_actions(levels=[0.0, 1.0]), 2)
    batch.reset()
    acting = envs.acting_rule(with_actions(levels=[0.0, 1.0]), "lsq", 2)
    with pytest.raises(SettingError, match=r"rule must be one whose weights are among the world's levels \[0.0, 1.0\]"):
        acting.decide(batch.simulation.measurements)
