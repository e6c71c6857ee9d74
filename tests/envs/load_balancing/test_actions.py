"""From what the agent says to weights in force."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from envs.load_balancing.actions import DRAIN_BELOW, action_space, in_force, nominal_action, project, requested
from envs.load_balancing.config import ActionMode, Actions, LoadBalancingConfig
from envs.load_balancing.kernel.servers.state import OFF, ON
from tests.envs.load_balancing.pools import PROPERTY, WeightedPool, fail, same_bits, servers, steady

MODES: tuple[ActionMode, ...] = ("levels", "weights", "deltas")


LEVELS = [0.0, 1.0, 1.5, 2.0]


def config_of(mode: ActionMode, **fields: object) -> LoadBalancingConfig:
    pool = servers([2, 1, 1], speed=[1.0, 2.0, 0.5], max_flows=64, failure_rate_hz=1e-12, repair_s=1e12, detection_s=0.1)
    actions = Actions(mode=mode, **{"levels": LEVELS, **fields})  # type: ignore[arg-type]
    return LoadBalancingConfig(pool=pool, workload=steady(0.4), backends="joint", actions=actions)


def asked_of(config: LoadBalancingConfig, action: np.ndarray, last: np.ndarray) -> np.ndarray:
    """What is requested with one backend, ``(n_envs, n_servers)``."""
    return requested(config, action, last[:, None, :])[:, 0]


def projected(asked: np.ndarray, last: np.ndarray, known_down: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The projection with one backend."""
    weights, changed = project(asked[:, None, :], last[:, None, :], known_down)
    return weights[:, 0], changed


def dispatched(config: LoadBalancingConfig, relative: np.ndarray, capacity: np.ndarray) -> np.ndarray:
    """Weights in force with one backend."""
    return in_force(config, relative[:, None, :], capacity)[:, 0]


def act(pool: WeightedPool, action: Any) -> np.ndarray:
    """A step with one backend: its relative weights."""
    return pool.act(action)[:, 0]


LAST = np.array([[0.2, 0.5, 1.0]])


def test_levels_pick_weights_relative_to_the_highest() -> None:
    config = config_of("levels")
    assert asked_of(config, np.array([[0, 1, 3]]), LAST).tolist() == [[0.0, 0.5, 1.0]]
    assert asked_of(config, np.array([[2, 2, 2]]), LAST).tolist() == [[0.75, 0.75, 0.75]]


def test_weights_are_taken_as_they_are_and_held_between_zero_and_one() -> None:
    asked = asked_of(config_of("weights"), np.array([[-3.0, 0.4, 7.0]]), LAST)
    assert asked.tolist() == [[0.0, 0.4, 1.0]]


def test_deltas_move_the_last_weights_by_up_to_their_limit() -> None:
    asked = asked_of(config_of("deltas", max_delta=0.25), np.array([[1.0, -0.5, 9.0]]), LAST)
    assert asked == pytest.approx(np.array([[0.45, 0.375, 1.0]]))
    assert asked_of(config_of("deltas", max_delta=0.25), np.array([[-9.0, 0.0, -1.0]]), LAST).tolist() == [[0.0, 0.5, 0.75]]


@pytest.mark.parametrize("mode", ["weights", "deltas"])
@PROPERTY
@given(arrays(np.float64, (2, 3), elements=st.floats(-2, 2)), arrays(np.float64, (2, 3), elements=st.floats(0, 1)))
def test_direct_weights_are_zero_or_at_least_the_drain_limit(mode: ActionMode, action: np.ndarray, last: np.ndarray) -> None:
    asked = asked_of(config_of(mode), action, last)
    assert ((asked == 0) | ((asked >= DRAIN_BELOW) & (asked <= 1))).all()


@pytest.mark.parametrize("mode", MODES)
def test_whatever_the_mode_a_drained_server_can_come_back(mode: ActionMode) -> None:
    config = config_of(mode)
    strongest = np.full((1, 3), 3 if mode == "levels" else 1.0)
    assert (asked_of(config, strongest, np.zeros((1, 3))) > 0).all()


@pytest.mark.parametrize("action", [[[0, 1, 4]], [[-1, 0, 0]]])
def test_a_level_that_does_not_exist_is_refused(action: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=r"actions must be levels 0 to 3, got "):
        asked_of(config_of("levels"), np.array(action), LAST)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(1, 2), (2, 3), (3,), (1, 3, 1)])
def test_actions_of_another_shape_are_refused(mode: ActionMode, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"actions must have shape \(1, 3\) \(n_envs, n_servers \* n_backends\), got "):
        act(WeightedPool(config_of(mode)), np.zeros(shape))


@pytest.mark.parametrize("mode", ["weights", "deltas"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_actions_that_are_no_numbers_are_refused(mode: ActionMode, value: float) -> None:
    with pytest.raises(ValueError, match="actions must be finite"):
        asked_of(config_of(mode), np.array([[0.5, value, 0.5]]), LAST)


def test_the_action_space_has_one_entry_per_server() -> None:
    assert action_space(config_of("levels", levels=[1.0, 1.5, 2.0])) == spaces.MultiDiscrete([3, 3, 3])
    assert action_space(config_of("weights")) == spaces.Box(0.0, 1.0, (3,), np.float32)
    assert action_space(config_of("deltas")) == spaces.Box(-1.0, 1.0, (3,), np.float32)


@pytest.mark.parametrize("mode", MODES)
def test_every_action_of_the_space_is_taken(mode: ActionMode) -> None:
    pool, space = WeightedPool(config_of(mode)), action_space(config_of(mode))
    space.seed(0)
    for _ in range(50):
        weights = act(pool, space.sample()[None])
        assert ((weights >= 0) & (weights <= 1)).all()
        assert (weights > 0).any()


@pytest.mark.parametrize(("levels", "level"), [(LEVELS, 1), ([2.0, 0.9, 0.0], 1), ([0.0, 0.25, 0.5, 1.0, 2.0], 3)], ids=str)
def test_the_nominal_action_is_the_level_nearest_to_one_for_all(levels: list[float], level: int) -> None:
    assert nominal_action(config_of("levels", levels=levels)).tolist() == [level] * 3


@pytest.mark.parametrize("mode", MODES)
def test_the_nominal_action_leaves_all_servers_the_same_weight_between_the_ends(mode: ActionMode) -> None:
    config = config_of(mode)
    action = nominal_action(config)
    assert action_space(config).contains(action.astype(action_space(config).dtype))
    (weights,) = asked_of(config, action[None], np.full((1, 3), 0.5))
    assert weights.tolist() == [0.5] * 3


# Projection

asked_rows = arrays(np.float64, (4, 5), elements=st.sampled_from([0.0, 0.0, 0.5, 1.0]))
flag_rows = arrays(np.bool_, (4, 5))


@PROPERTY
@given(asked_rows, arrays(np.float64, (4, 5), elements=st.floats(0, 1)), flag_rows)
def test_the_projection_keeps_a_healthy_server_whenever_there_is_one(
    asked: np.ndarray, last: np.ndarray, known_down: np.ndarray
) -> None:
    weights, changed = projected(asked, last, known_down)
    served = ((weights > 0) & ~known_down).any(-1)
    assert (served == (~known_down).any(-1)).all()
    assert np.array_equal(changed, (weights != asked).any(-1))


@PROPERTY
@given(asked_rows, arrays(np.float64, (4, 5), elements=st.floats(0, 1), unique=True), flag_rows)
def test_the_projection_is_the_request_with_the_strongest_healthy_server_kept(
    asked: np.ndarray, last: np.ndarray, known_down: np.ndarray
) -> None:
    weights, changed = projected(asked, last, known_down)
    for env in range(4):
        up = np.flatnonzero(~known_down[env])
        if not changed[env]:
            assert (asked[env, up] > 0).any() or len(up) == 0
            continue
        kept = up[last[env, up].argmax()]
        others = np.arange(5) != kept
        assert np.array_equal(weights[env, others], asked[env, others])
        assert weights[env, kept] == (last[env, kept] or 1.0)


def test_all_zero_keeps_the_server_with_the_highest_weight_on() -> None:
    pool = WeightedPool(config_of("weights"))
    act(pool, [[0.3, 0.9, 0.6]])
    assert act(pool, np.zeros((1, 3))).tolist() == [[0.0, 0.9, 0.0]]
    assert pool.projected.tolist() == [True]
    assert pool.state.servers.weight[0, 0].tolist() == [0.0, 0.9 * 2.0, 0.0]
    for _ in range(100):
        act(pool, np.zeros((1, 3)))
    assert pool.state.servers.status[0].tolist() == [OFF, ON, OFF]


def test_all_zero_does_not_keep_a_server_known_to_be_down() -> None:
    pool = WeightedPool(config_of("weights"))
    act(pool, [[0.3, 0.9, 0.6]])
    fail(pool.dynamics, 1)
    act(pool, [[0.3, 0.9, 0.6]])
    assert pool.state.servers.known_down[0, 0].tolist() == [False, True, False]
    assert act(pool, np.zeros((1, 3))).tolist() == [[0.0, 0.0, 0.6]]


def test_what_was_valid_is_not_called_projected() -> None:
    pool = WeightedPool(config_of("levels"))
    assert act(pool, [[0, 1, 0]]).tolist() == [[0.0, 0.5, 0.0]]
    assert pool.projected.tolist() == [False]


def test_weights_in_force_are_scaled_by_capacity_if_so_configured() -> None:
    relative, capacity = np.array([[1.0, 0.5, 0.5]]), np.array([[2.0, 2.0, 0.5]])
    assert dispatched(config_of("weights"), relative, capacity).tolist() == [[2.0, 1.0, 0.25]]
    assert dispatched(config_of("weights", scale_by_capacity=False), relative, capacity).tolist() == [[1.0, 0.5, 0.5]]
    pool = WeightedPool(config_of("weights"))
    act(pool, [[1.0, 0.5, 0.5]])
    assert pool.state.servers.weight[:, 0].tolist() == [[2.0, 1.0, 0.25]]


@pytest.mark.parametrize("delay", [1, 3])
def test_late_actions_are_the_same_actions_that_many_steps_later(delay: int) -> None:
    rng = np.random.default_rng(0)
    plan = rng.choice([0.0, 0.3, 0.7, 1.0], (30, 4, 3))
    late = WeightedPool(config_of("weights", delay_steps=delay), 4)
    prompt = WeightedPool(config_of("weights"), 4)
    for action in plan:
        act(late, action)
    for action in [*np.ones((delay, 4, 3)), *plan[:-delay]]:
        act(prompt, action)
    assert same_bits(late.state, prompt.state)


def test_late_actions_do_not_outlive_a_reset() -> None:
    pool = WeightedPool(config_of("weights", delay_steps=2), 2)
    for _ in range(4):
        act(pool, np.full((2, 3), 0.3))
    pool.reset(np.array([True, False]))
    weights = [act(pool, np.full((2, 3), 0.6))[:, 0].tolist() for _ in range(3)]
    assert weights == [[1.0, 0.3], [1.0, 0.3], [0.6, 0.6]]


# A backend for each class.


def of_classes(**fields: object) -> LoadBalancingConfig:
    return replace(config_of("levels", **fields), backends="class")


def test_an_action_lists_servers_and_of_each_the_backends() -> None:
    pool = WeightedPool(of_classes())
    interactive, batch = pool.act([[3, 0, 1, 2, 0, 3]])[0].tolist()
    assert interactive == [1.0, 0.5, 0.0]
    assert batch == [0.0, 0.75, 1.0]
    assert action_space(of_classes()) == spaces.MultiDiscrete([4] * 6)
    assert len(nominal_action(of_classes())) == 6


rows_of_backends = arrays(np.float64, (4, 2, 5), elements=st.sampled_from([0.0, 0.0, 0.0, 0.5, 1.0]))


@PROPERTY
@given(rows_of_backends, rows_of_backends, flag_rows)
def test_backends_are_projected_one_by_one(asked: np.ndarray, last: np.ndarray, known_down: np.ndarray) -> None:
    weights, changed = project(asked, last, known_down)
    first, second = (projected(asked[:, backend], last[:, backend], known_down) for backend in range(2))
    assert np.array_equal(weights, np.stack([first[0], second[0]], axis=1))
    assert np.array_equal(changed, first[1] | second[1])


def test_every_backend_keeps_a_server_of_its_own() -> None:
    pool = WeightedPool(of_classes())
    pool.act([[1, 3, 3, 1, 0, 0]])
    assert pool.act(np.zeros((1, 6), int))[0].tolist() == [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    assert pool.projected.tolist() == [True]
    assert pool.act([[0, 0, 3, 0, 0, 3]])[0].tolist() == [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    assert pool.projected.tolist() == [False]


def test_a_server_stops_once_no_backend_wants_it() -> None:
    pool = WeightedPool(replace(of_classes(), workload=steady(0.0)))
    pool.act([[3, 0, 0, 3, 0, 0]])
    assert pool.state.servers.status[0].tolist() == [ON, ON, OFF]
    pool.act([[3, 3, 0, 0, 0, 0]])
    assert pool.state.servers.status[0].tolist() == [ON, OFF, OFF]
