"""What each algorithm can learn and what it can't; the study of games tries those whose answers are known."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import nnls

from envs.core.team import TeamEnv
from envs.games import Climbing, Monotone
from hierarchy.team import TEAM_ALGORITHMS
from tests.hierarchy.team.worlds import Cue, Levels

pytestmark = pytest.mark.slow

N_ENVS = 32
CLIMBING, MONOTONE = (np.array(game.table) for game in (Climbing, Monotone))


def acted(name: str, env: TeamEnv, seed: int, **settings: Any) -> np.ndarray:
    """What a trained team does in a game of one step."""
    config = TEAM_ALGORITHMS[name](**settings)
    learner = config.build(env, seed)
    learner.learn(config.timesteps)
    return learner.actor.start(env.n_envs).act(env.reset(1))[0]


def monotone_fit(table: np.ndarray, rows: tuple[int, ...], columns: tuple[int, ...]) -> tuple[float, np.ndarray]:
    """The squared error of the best fit to a table that rises along rows and columns in these orders, and the fit.

    What rises along both is a constant and a sum of steps, each of 0 or more, up to a set of entries that holds whatever is
    above what it holds.
    """
    n = len(table)
    stairs = [stair for stair in itertools.product(range(n + 1), repeat=n) if list(stair) == sorted(stair, reverse=True)]
    steps = [(np.arange(n)[None, :] >= np.array(stair)[:, None]).ravel().astype(float) for stair in stairs]
    ones = np.ones(n * n)
    basis = np.stack([ones, -ones, *steps], 1)
    weights, error = nnls(basis, table[np.ix_(rows, columns)].ravel())
    fit = np.empty_like(table)
    fit[np.ix_(rows, columns)] = (basis @ weights).reshape(n, n)
    return error**2, fit


def monotone_fits(table: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """One for every order of each agent's actions, the best first."""
    orders = list(itertools.permutations(range(len(table))))
    return sorted((monotone_fit(table, rows, columns) for rows in orders for columns in orders), key=lambda one: one[0])


def test_a_monotone_mixture_with_the_optimum_on_top_fits_the_climbing_game_worse() -> None:
    """All entries counting alike, as in uniform data, the best fit is greatest elsewhere. The monotone game is fitted."""
    fits = monotone_fits(CLIMBING)
    best_error, best = fits[0]
    assert np.unravel_index(best.argmax(), best.shape) == (2, 2)
    assert min(error for error, fit in fits if fit[0, 0] >= fit.max() - 1e-9) > 1.1 * best_error
    assert_allclose(monotone_fits(MONOTONE)[0][1], MONOTONE, atol=1e-6)


@pytest.mark.parametrize("name", ["qmix", "vdn", "joint_q", "mappo", "ippo"])
def test_actions_of_several_choices_are_learned_choice_by_choice(name: str) -> None:
    wanted = acted(name, Levels(N_ENVS), 0, timesteps=8_000, warm_up=512, learning_rate=3e-3)
    assert wanted.tolist() == Levels.wanted.tolist()


def remembered(name: str, memory: str) -> float:
    """What a trained team is paid in an episode of `Cue`, of at most 2; without memory nothing beats 1 on average."""
    config = TEAM_ALGORITHMS[name](memory=memory, memory_steps=3, timesteps=8_000, warm_up=512, learning_rate=5e-3)
    learner = config.build(Cue(N_ENVS), 0)
    learner.learn(config.timesteps)
    env = Cue(512)
    acting, paid = learner.actor.start(512), 0.0
    observation = env.reset(1)
    for _ in range(env.n_steps):
        led_to = env.step(acting.act(observation))
        observation, paid = led_to.observation, paid + led_to.reward.sum(1).mean()
    return paid


@pytest.mark.parametrize("name", ["qmix", "mappo"])
def test_a_memory_carries_what_was_shown(name: str) -> None:
    assert remembered(name, "gru") > 1.9


def test_without_memory_it_can_only_be_guessed() -> None:
    """Of 512 episodes with a standard deviation of 0.71 each, a mean of 1.13 is four standard errors above 1."""
    assert remembered("mappo", "none") < 1.13
