"""What every world keeps to, in every example of its family: one entry in `worlds.EXAMPLES` adds a world to all of this."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from mo_gymnasium.wrappers import LinearReward
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

from envs.core.action_sets import choice_sizes
from envs.faces.registration import make_multi_objective, make_single
from tests.envs.worlds import EXAMPLES, any_actions, batch_of, every_world, outcomes, same

pytestmark = pytest.mark.slow

N_STEPS = 30


@pytest.mark.filterwarnings("ignore:We recommend you to use a symmetric and normalized:UserWarning")
@every_world
def test_the_checkers_of_gymnasium_and_stable_baselines3_pass(name: str) -> None:
    check_env(make_single(EXAMPLES[name], render_mode="ansi"))
    check_env_for_sb3(make_single(EXAMPLES[name]))


class OwnWeights(LinearReward):
    """MO-Gymnasium 1.3 hands out one array of weights with every info, which Gymnasium 1.4's checker refuses."""

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, float(reward), terminated, truncated, {**info, "reward_weights": self.w.copy()}


@every_world
def test_the_reward_vector_is_a_multi_objective_env(name: str) -> None:
    weights = np.array([0.2, 0.5, 0.3], np.float32)
    vector, scalar = (make_multi_objective(EXAMPLES[name], seed=2, render_mode="ansi") for _ in range(2))
    linear = OwnWeights(scalar, weight=weights)
    check_env(linear)
    vector.reset(seed=1)
    linear.reset(seed=1)
    for action in any_actions(vector.action_space, (10,)):
        reward, mixed = vector.step(action)[1], linear.step(action)[1]
        assert vector.reward_space.contains(reward)
        assert mixed == pytest.approx(reward @ weights)


@every_world
def test_the_same_seed_gives_the_same_bits_and_another_one_others(name: str) -> None:
    batch = batch_of(name)
    actions = any_actions(batch.action_space, (N_STEPS, 3))
    runs = []
    for seed in (1, 1, 2):
        first = batch.reset(seed)
        runs.append([(first,), *outcomes(batch, actions)])
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


@every_world
def test_an_env_does_the_same_whatever_the_batch(name: str) -> None:
    many, one = batch_of(name, 4), batch_of(name, 1, env_ids=[2])
    actions = any_actions(many.action_space, (N_STEPS, 4))
    assert np.array_equal(many.reset()[2], one.reset()[0])
    many.reset(mask=np.array([True, False, False, True]))  # what others do is nothing to it
    for action in actions:
        found, alone = many.step(action), one.step(action[2:3])
        assert all(np.array_equal(x[2], y[0]) for x, y in zip(found[:4], alone[:4], strict=True))


@every_world
def test_the_valid_actions_are_shown_and_kept_to(name: str) -> None:
    batch = batch_of(name)
    batch.reset()
    sizes = choice_sizes(batch.action_space)
    for action in any_actions(batch.action_space, (N_STEPS, 3)):
        valid, running = batch.simulation.dynamics.action_set, ~batch.simulation.ended
        if valid is None:
            assert batch.reset_info()["action_set"] is None
            return
        assert valid.shape == (3, sum(sizes))
        start = np.cumsum([0, *sizes[:-1]])
        chosen = action.reshape(3, -1)
        allowed = np.take_along_axis(valid, start + chosen, axis=1).all(-1)
        info = batch.step(action)[-1]
        assert np.array_equal(info["action_set"], batch.simulation.dynamics.action_set)
        assert info["projected"][~allowed & running].all()
        assert not info["projected"][allowed | ~running].any()


@every_world
def test_a_mask_is_in_the_observation_unless_that_tells_it_already(name: str) -> None:
    batch = batch_of(name)
    observation = batch.reset()
    valid = batch.simulation.dynamics.action_set
    shown = valid is not None and not batch.world.observation_function.carries_action_set
    assert batch.layout.n_masked == (valid.shape[1] if shown else 0)
    if shown:
        assert np.array_equal(observation[:, -batch.n_terms - valid.shape[1] : -batch.n_terms], valid)


@every_world
def test_the_reset_has_the_reward_of_where_it_leads(name: str) -> None:
    batch = batch_of(name)
    batch.reset()
    info = batch.reset_info()
    assert tuple(info["reward_terms"]) == batch.term_names
    assert np.allclose(info["reward"], (batch.context * info["reward_vector"]).sum(-1))
    assert isinstance(make_single(EXAMPLES[name]).reset(seed=0)[1]["reward"], float)


@every_world
def test_a_final_state_absorbs_with_reward_zero(name: str) -> None:
    batch = batch_of(name, episode_steps=7)
    actions = any_actions(batch.action_space, (20, 3))
    batch.reset()
    outcomes(batch, actions[:3])
    batch.reset(mask=np.array([False, True, False]))
    outcomes(batch, actions[3:7])
    ended = batch.simulation.ended
    assert ended[[0, 2]].all()
    before, last = batch.simulation.statistics(), batch.observe()
    ends, elapsed = outcomes(batch, actions[7:9])[-1], batch.simulation.elapsed
    assert np.array_equal(ends[0][ended], last[ended])
    assert (ends[1][ended] == 0).all()
    assert np.array_equal((ends[2] | ends[3])[ended], ended[ended])
    after = batch.simulation.statistics()
    assert all(np.array_equal(before[key][ended], after[key][ended], equal_nan=True) for key in before)
    assert elapsed[1] == 6 or batch.simulation.terminated[1]
    assert (elapsed[ended] <= 7).all()


@every_world
def test_a_world_steps_inside_its_spaces(name: str) -> None:
    batch = batch_of(name, 2)
    assert all(batch.observation_space.contains(row) for row in batch.reset())
    for action in any_actions(batch.action_space, (N_STEPS, 2)):
        observation, reward, _, _, info = batch.step(action)
        assert all(batch.observation_space.contains(row) for row in observation)
        assert np.isfinite(reward).all()
        assert tuple(info["reward_terms"]) == batch.term_names
    statistics, figures = batch.world.statistics, batch.simulation.statistics()
    assert statistics.observed(figures).shape == (2, len(statistics.observed_names))
    assert np.isfinite(batch.simulation.objective(figures)).all()


@every_world
def test_a_world_has_what_pictures_and_strategies_need(name: str) -> None:
    batch = batch_of(name, 2)
    world = batch.world
    batch.reset()
    action = any_actions(batch.action_space, ())[()] if world.nominal_action is None else world.nominal_action
    assert batch.action_space.contains(action)
    outcomes(batch, np.array([[action] * 2] * 40))
    assert batch.setting.shape[0] == 2
    assert batch.setting.dtype == np.float64
    assert world.oracle.regime.shape == (2,)
    spread = getattr(world.statistics, "spread", None)
    if spread is not None:
        told = spread(batch.simulation.measurements)
        assert told.label
        assert len(told.edges) == len(told.counts) + 1
        assert (np.diff(told.edges) > 0).all()
        assert told.counts.sum() > 0
