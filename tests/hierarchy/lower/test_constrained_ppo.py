"""A constrained process with a known solution is solved: the policy, and what its bound is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from numpy.testing import assert_array_equal
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from envs.core.state import flatten, nested
from envs.core.validation import SettingError
from envs.load_balancing.config import Constraints
from hierarchy.building import lower
from hierarchy.config import ExperimentConfig
from hierarchy.lower.constrained_agent import ConstrainedPPO
from hierarchy.lower.constrained_ppo import ConstrainedPPOConfig
from hierarchy.lower.multipliers import MultiplierConfig
from hierarchy.lower.ppo_learner import networks, ppo_settings
from hierarchy.phases.checks import check_experiment
from hierarchy.protocols import Learner, Observer
from hierarchy.vec_env import ArrayVecEnv

GAMMA = 0.98
BOUND = 0.2
CALM, BUSY = 0, 1
REWARD = np.array([[1.0, 2.0], [0.0, 3.0]])  # by state and action
TO_BUSY = np.array([0.3, 0.6])  # by action
SHARE_OF_BUSY = 5.0 / 9.0
MULTIPLIER = 3.0 - 0.3 * GAMMA


class Errands(ArrayVecEnv):
    """Two states, and one action of two that costs 1: the bound lets it be taken in a fifth of the steps.

    With a probability ``b`` of being busy, and ``d`` of acting while busy alone, ``b = 0.3 + 0.3 d``. The bound holds where
    ``d = 0.2``: ``b = 0.36``, and acting while busy has a probability of ``0.2 / 0.36 = 5 / 9``. The mean reward is
    ``(1 - b) + 3 d``, so a unit of the bound is worth ``3 - 0.3``, and ``3 - 0.3 gamma`` if what follows is discounted. At
    that price acting while calm gains 1 for a cost of 2.7: it is never done.
    """

    def __init__(self, n_envs: int, seed: int) -> None:
        super().__init__(n_envs, spaces.Box(0.0, 1.0, (3,), np.float32), spaces.MultiDiscrete([2]))
        self._rng = np.random.default_rng(seed)
        self._state = np.zeros(n_envs, np.int64)
        self.costs = np.zeros((n_envs, 1))
        self.taken, self.n = np.zeros(2), np.zeros(2)  # steps with the action that costs, and all, by state

    def _observe(self) -> np.ndarray:
        observed: np.ndarray = np.eye(2, dtype=np.float32)[self._state]
        return np.append(observed, np.ones((self.num_envs, 1), np.float32), axis=1)  # the context

    def reset(self) -> VecEnvObs:
        return self._observe()

    def step_wait(self) -> VecEnvStepReturn:
        action = self._actions[:, 0]
        np.add.at(self.taken, self._state, action)
        np.add.at(self.n, self._state, 1)
        reward = REWARD[self._state, action].astype(np.float32)
        self.costs[:, 0] = action
        self._state = (self._rng.random(self.num_envs) < TO_BUSY[action]).astype(np.int64)
        return self._observe(), reward, np.zeros(self.num_envs, np.bool_), [{} for _ in range(self.num_envs)]


def agent_in(env: ArrayVecEnv, seed: int, bound: float = BOUND, **settings: Any) -> ConstrainedPPO:
    gains = MultiplierConfig(proportional=2.0, integral=0.05, keep=0.3)
    given = {"n_steps": 16, "n_epochs": 4, "gamma": GAMMA, "ent_coef": 0.003, "learning_rate": 3e-3, "final_share": 0.0}
    config = ConstrainedPPOConfig(n_envs=env.num_envs, hidden_size=16, multipliers=gains, **{**given, **settings})
    arguments = networks(config, 1, 0, 0) | ppo_settings(config, seed)
    return ConstrainedPPO(n_terms=1, bounds={"errands": bound}, multipliers=gains, env=env, **arguments)


class LastQuarter(BaseCallback):
    """Multipliers of the rollouts in the last quarter of training, while the env counts."""

    def __init__(self, env: Errands, n_steps: int) -> None:
        super().__init__()
        self._env, self._from, self.multipliers = env, 3 * n_steps // 4, []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.num_timesteps < self._from:
            self._env.taken[:], self._env.n[:] = 0.0, 0.0
        else:
            assert isinstance(self.model, ConstrainedPPO)
            self.multipliers.append(self.model.multipliers.values[0, 0])


def solved(seed: int, n_steps: int = 800_000) -> tuple[np.ndarray, float]:
    """Share of the steps in either state in which the action is taken, and the multiplier, over the last quarter."""
    env = Errands(128, seed)
    agent, watched = agent_in(env, seed), LastQuarter(env, n_steps)
    agent.learn(n_steps, callback=watched)
    return env.taken / env.n, float(np.mean(watched.multipliers))


@pytest.mark.slow
def test_policy_and_multiplier_are_those_of_the_solution() -> None:
    shares, multiplier = solved(0)
    assert shares[CALM] < 0.002
    assert shares[BUSY] == pytest.approx(SHARE_OF_BUSY, rel=0.04)
    assert multiplier == pytest.approx(MULTIPLIER, rel=0.04)


@pytest.mark.long
def test_in_the_mean_over_five_seeds_they_are_closer() -> None:
    shares, multipliers = map(np.array, zip(*map(solved, range(5)), strict=True))
    assert shares[:, CALM].max() < 0.002
    for found, solution in ((shares[:, BUSY], SHARE_OF_BUSY), (multipliers, MULTIPLIER)):
        assert found.mean() == pytest.approx(solution, rel=0.02), found
        assert found == pytest.approx(np.full(5, solution), rel=0.04), found


class Paying(ArrayVecEnv):
    """Every step costs 1, whatever is done; a time limit cuts episodes off, or never does."""

    def __init__(self, length: int) -> None:
        super().__init__(8, spaces.Box(0.0, 1.0, (2,), np.float32), spaces.MultiDiscrete([2]))
        self._length, self._step = length, np.zeros(8, np.int64)
        self.costs = np.ones((8, 1))

    def reset(self) -> VecEnvObs:
        return np.ones((8, 2), np.float32)

    def step_wait(self) -> VecEnvStepReturn:
        self._step += 1
        over = self._step % self._length == 0
        infos = [
            {"terminal_observation": np.ones(2, np.float32), "TimeLimit.truncated": True} if one else {} for one in over
        ]
        return self.reset(), np.zeros(8, np.float32), over, infos


@pytest.mark.parametrize("length", [5, 10**9])
def test_what_is_still_to_come_of_a_cost_does_not_end_with_a_rollout_or_a_time_limit(length: int) -> None:
    """What costs 1 in every step, with a bound of 1, is at that bound."""
    agent = agent_in(Paying(length), 0, bound=1.0, gamma=0.8, batch_size=128)
    agent.learn(128 * 80)
    remembered, observed = (rollout_part(agent, name) for name in ("memory", "observations"))
    assert agent.critics.values(remembered, observed) == pytest.approx(np.ones((128, 1)), rel=0.05)


def rollout_part(agent: ConstrainedPPO, name: str) -> th.Tensor:
    """What the critics see of the last rollout, ``(128, n)``."""
    rollout = agent.rollout_buffer
    part = rollout.memory[2] * (1.0 - rollout.starts[..., None]) if name == "memory" else rollout.observations
    return th.from_numpy(part.reshape(128, -1))


def test_a_bound_that_does_not_bind_changes_no_advantage() -> None:
    agent = agent_in(Errands(32, 0), 0, bound=1.0, batch_size=128)
    agent.learn(32 * 16)
    assert agent.multipliers.values[0, 0] == 0
    assert np.abs(agent._cost_advantages).max() > 0.1
    assert_array_equal(agent.estimates(agent.rollout_buffer), agent.rollout_buffer.estimates)


def test_what_costs_more_than_is_expected_is_held_against_an_action_by_its_multiplier() -> None:
    agent = agent_in(Errands(32, 0), 0, bound=0.01, batch_size=128)
    agent.learn(32 * 16 * 4)
    weight = agent.multipliers.values[0, 0]
    rollout, of_costs = agent.rollout_buffer, agent._cost_advantages[..., 0]
    assert weight > 0
    assert np.corrcoef(of_costs.ravel(), rollout.actions[..., 0].ravel())[0, 1] > 0.4
    expected = (rollout.estimates - weight * of_costs) / (1.0 + weight)
    assert agent.estimates(rollout) == pytest.approx(expected, abs=1e-5)


def bounded(config: ExperimentConfig, **settings: Any) -> ExperimentConfig:
    """The tiny world with bounds, for an agent that keeps them."""
    env = replace(config.env, constraints=Constraints(late=0.05, spend_usd_per_h=0.01))
    given = {name: getattr(config.lower, name) for name in ("timesteps", "n_envs", "n_steps", "batch_size", "hidden_size")}
    return replace(config, env=env, lower=ConstrainedPPOConfig(**{**given, **settings}))


OF = "of late, spend_usd_per_h"
VALUES, BIAS = f"multipliers {OF}: values", f"cost critics {OF}: 3.bias"


def test_training_goes_on_from_a_state_to_the_last_bit(untracked_config: ExperimentConfig) -> None:
    config = bounded(untracked_config)
    whole, rest = lower.build(config), lower.build(config)
    midway = Midway(whole)
    whole.learn(128, midway)
    rest.set_state(nested(flatten(midway.state)))
    rest.learn(64)
    ours, theirs = (one.saved("lower").arrays for one in (whole, rest))
    assert {VALUES, BIAS} <= ours.keys()
    assert (ours[VALUES] > 0).any()
    for name, array in ours.items():
        assert_array_equal(array, theirs[name], err_msg=name)


def test_an_agent_begun_from_another_one_knows_what_costs_are_worth(untracked_config: ExperimentConfig) -> None:
    learned, fresh = (lower.build(bounded(untracked_config)) for _ in range(2))
    learned.learn(64)
    fresh.begin_from(learned.saved("lower"))
    ours, theirs = (one.saved("lower").arrays for one in (learned, fresh))
    for name in (VALUES, BIAS):
        assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_what_one_thing_costs_is_not_taken_for_another(untracked_config: ExperimentConfig) -> None:
    config = bounded(untracked_config)
    learned = lower.build(config).saved("lower")
    for others in (Constraints(late=0.05, lost=0.01), Constraints(late=0.05)):
        fresh = lower.build(replace(config, env=replace(config.env, constraints=others)))
        with pytest.raises(SettingError, match=r"^lower must be .*got without cost critics of late"):
            fresh.begin_from(learned)


def test_penalties_set_by_hand_stay_in_an_agent_that_begins_as_another(untracked_config: ExperimentConfig) -> None:
    fixed = {"late": 3.0, "spend_usd_per_h": 0.5}
    learned = lower.build(bounded(untracked_config))
    fresh = lower.build(bounded(untracked_config, multipliers=MultiplierConfig(fixed=fixed)))
    learned.learn(64)
    fresh.begin_from(learned.saved("lower"))
    fresh.learn(64)
    assert_array_equal(fresh.saved("lower").arrays[VALUES], [[3.0, 0.5]] * len(fresh.agent.kinds))  # type: ignore[attr-defined]


def test_the_curves_have_costs_and_multipliers(untracked_config: ExperimentConfig) -> None:
    learner, told = lower.build(bounded(untracked_config)), Told()
    learner.learn(64, told)
    assert {"lower/cost/late", "lower/multiplier/spend_usd_per_h"} <= told.names


class Midway(Observer):
    """Keeps the state of a learner after 64 steps."""

    def __init__(self, learner: Learner) -> None:
        self._learner, self.state = learner, {}

    def on_rollout(self, n_steps: int) -> None:
        if n_steps == 64:
            self.state = self._learner.get_state()


class Told(Observer):
    """Names of all metrics."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def on_metrics(self, values: Mapping[str, float], n_steps: int) -> None:
        self.names |= values.keys()


@pytest.mark.parametrize(
    ("env", "settings", "message"),
    [
        ({"constraints": Constraints()}, {}, "lower.algorithm must be another in a world without constraints"),
        (
            {},
            {"fixed": {"late": 1.0}},
            "fixed must be a number for each of late, spend_usd_per_h, or none",
        ),
    ],
)
def test_what_does_not_fit_the_world_is_refused(
    untracked_config: ExperimentConfig, env: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    config = bounded(untracked_config, multipliers=MultiplierConfig(**settings))
    with pytest.raises(SettingError, match=message):
        check_experiment(replace(config, env=replace(config.env, **env)))
