"""An agent that follows a rule: what the rule would do unless an offset is moved, and then as many servers more or fewer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import envs
from envs.core.batch import BatchEnv
from envs.core.state import flatten
from envs.core.validation import SettingError
from envs.load_balancing.config import Actions, LoadBalancingConfig, Trace, Workload
from envs.load_balancing.following import Following, moved
from envs.load_balancing.observation import expected_names, feature_names, offset_names, shared_names
from envs.load_balancing.rules.base import base_rule, numbers_of

FEWER, SAME, MORE = 0, 1, 2
N_ENVS, N_STEPS = 3, 240
SWITCHING = [name for name in envs.rules(LoadBalancingConfig()) if name.startswith("autoscale")]


def config_of(rule: str = "autoscale_shifts", **actions: Any) -> LoadBalancingConfig:
    settings = Actions(**{"mode": "offsets", "rule": rule, "max_offset": 3, **actions})
    return LoadBalancingConfig(actions=settings, dt_s=1.0, episode_steps=N_STEPS)


def batch_of(config: LoadBalancingConfig, n_envs: int = N_ENVS) -> tuple[BatchEnv, Following]:
    batch = envs.make(config, n_envs, 7)
    batch.reset()
    weighting = batch.world.actuator
    assert isinstance(weighting, Following)
    return batch, weighting


def all_of(batch: BatchEnv, move: int) -> np.ndarray:
    return np.full((batch.n_envs, 2), move)


@pytest.mark.parametrize("rule", SWITCHING)
def test_who_moves_no_offset_does_what_the_rule_does(rule: str) -> None:
    """In every step of an episode and of the next, which begins in another env at another time."""
    config = config_of(rule)
    batch, weighting = batch_of(config)
    alone = envs.simulate(replace(config, actions=Actions()), N_ENVS, 7)
    alone.reset()
    controller = base_rule(config).start(config, N_ENVS, [numbers_of(config)])
    for step in range(N_STEPS):
        weights = controller.decide(alone.measurements)
        alone.advance(weights)
        batch.step(all_of(batch, SAME))
        assert_array_equal(weighting.relative > 0, weights > 0, err_msg=f"step {step}")
    assert_array_equal(batch.simulation.statistics()["server_cost_usd"], alone.statistics()["server_cost_usd"])


def test_a_reset_of_some_envs_leaves_the_rule_of_the_others_alone() -> None:
    batch, _ = batch_of(config_of())
    free, _ = batch_of(config_of())
    for _ in range(30):
        batch.step(all_of(batch, SAME))
        free.step(all_of(free, SAME))
    batch.reset(mask=np.array([True, False, False]))
    for _ in range(60):
        observation, *_ = batch.step(all_of(batch, SAME))
        expected, *_ = free.step(all_of(free, SAME))
        assert_array_equal(observation[1:], expected[1:])


@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize("rule", SWITCHING)
def test_an_env_that_begins_anew_has_a_fresh_rule(rule: str, others: bool) -> None:
    """All that it remembers is as at the beginning of the first episode, whether or not the others begin with it."""
    batch, weighting = batch_of(config_of(rule))
    first = flatten(weighting.get_state()["rule"])
    for _ in range(50):
        batch.step(all_of(batch, MORE))
    before = flatten(weighting.get_state()["rule"])
    batch.reset(mask=np.array([True, others, others]))
    again = flatten(weighting.get_state()["rule"])
    for name in first.keys() - {"order"}:
        assert_array_equal(again[name][0], first[name][0], err_msg=name)
    assert any((before[name][0] != first[name][0]).any() for name in first.keys() - {"order"})
    kept = [0, 0] if others else [3, 3]
    assert weighting.offset.tolist() == [[0, 0], kept, kept]


ON = np.array([[[True, True, False, False]]])
ORDER, ALL = np.array([[0, 1, 2, 3]]), np.ones((1, 4), np.bool_)


@pytest.mark.parametrize(("by", "n_on"), [(-3, 1), (-1, 1), (0, 2), (1, 3), (2, 4), (5, 4)])
def test_the_next_servers_in_order_of_price_come_and_the_dearest_go(by: int, n_on: int) -> None:
    on = moved(ON, np.array([[by]]), ORDER, ALL)
    assert on[0, 0].tolist() == [True] * n_on + [False] * (4 - n_on)


def test_order_is_that_of_prices_and_skipped_servers_stay_off() -> None:
    order, on = np.array([[3, 1, 0, 2]]), np.array([[[False, True, False, False]]])  # the rule skips server 3
    assert moved(on, np.array([[1]]), order, ALL)[0, 0].tolist() == [True, True, False, False]
    assert moved(on, np.array([[-2]]), order, ALL)[0, 0].tolist() == [False, True, False, False]


def test_absent_servers_never_come() -> None:
    present = np.array([[True, True, True, False]])
    assert moved(ON, np.array([[3]]), ORDER, present)[0, 0].tolist() == [True, True, True, False]


def test_offsets_move_by_one_and_stay_within_the_largest() -> None:
    batch, weighting = batch_of(config_of(max_offset=2))
    for expected in (1, 2, 2):
        batch.step(np.tile([MORE, FEWER], (N_ENVS, 1)))
        assert weighting.offset.tolist() == [[expected, -expected]] * N_ENVS
    batch.step(all_of(batch, SAME))
    assert weighting.offset.tolist() == [[2, -2]] * N_ENVS


def test_an_action_is_listened_to_once_in_so_many_steps() -> None:
    """While the rule goes on acting in every step."""
    batch, weighting = batch_of(config_of(every_steps=5))
    offsets = []
    for _ in range(11):
        batch.step(all_of(batch, MORE))
        offsets.append(int(weighting.offset[0, 0]))
    assert offsets == [1] * 5 + [2] * 5 + [3]


def test_what_is_shown_is_what_the_rule_would_do_and_what_it_expects() -> None:
    config = config_of()
    batch, weighting = batch_of(config)
    for _ in range(40):
        observation, *_ = batch.step(all_of(batch, MORE))
    n_servers, names, shared = config.pool.n_servers, feature_names(config), shared_names(config)
    of_servers = observation[:, : n_servers * len(names)].reshape(N_ENVS, n_servers, -1)
    of_all = dict(zip(shared, observation[:, n_servers * len(names) :].T, strict=False))
    advised = weighting.advised(batch.simulation.measurements)
    for backend, name in enumerate(("interactive", "batch")):
        assert_array_equal(of_servers[..., names.index(f"advised_{name}")], advised[:, backend])
        assert_array_equal(of_all[f"offset_{name}"], np.ones(N_ENVS))
    assert (of_all["expected_interactive_0s"] > 0).all()
    assert (of_all["expected_interactive_0s"] != of_all["expected_interactive_60s"]).all()


def test_a_rule_without_foresight_shows_none() -> None:
    assert expected_names(config_of("autoscale_pools")) == ()
    assert len(expected_names(config_of("autoscale_forecast"))) == 8
    assert offset_names(config_of("autoscale_pools")) == ("offset_interactive", "offset_batch")
    assert offset_names(LoadBalancingConfig()) == ()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (config_of("sed"), "actions.rule must be one of autoscale, .*got sed"),
        (
            replace(config_of(), workload=Workload(arrivals=Trace(path="any.csv"))),
            "actions.rule must be one of autoscale, autoscale_class, autoscale_pools, autoscale_forecast in this world",
        ),
        (config_of(numbers={"up_0": 1.0}), r"actions.numbers must be \{\} or the numbers of autoscale_shifts \(.*got up_0"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused(config: LoadBalancingConfig, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        numbers_of(config)


@pytest.mark.parametrize("action", [np.full((N_ENVS, 2), 3), np.full((N_ENVS, 2), -1), np.zeros((N_ENVS, 8))])
def test_other_actions_than_moves_are_refused(action: np.ndarray) -> None:
    batch, _ = batch_of(config_of())
    with pytest.raises(ValueError, match="actions must"):
        batch.step(action)


def test_the_first_guess_of_an_engineer_is_followed_until_others_are_found() -> None:
    config = config_of()
    assert envs.base_rule(config) == ("autoscale_shifts", {})
    found = envs.with_numbers(config, {**numbers_of(config), "up_0": 0.123})
    assert envs.base_rule(found).numbers["up_0"] == 0.123  # type: ignore[union-attr]  # there is one
    assert envs.describe(found) == envs.describe(config), "agents of one are agents of the other"
    assert envs.base_rule(LoadBalancingConfig()) is None
    assert envs.base_rule(envs.SparkConfig()) is None
