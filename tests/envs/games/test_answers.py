"""The answers of every game hold when they are played, and nobody gains by leaving an equilibrium."""

from __future__ import annotations

import numpy as np
import pytest

from envs import games
from envs.games.game import Game, Policy, always
from tests.envs.games.examples import EXAMPLES, actions_of, at_random, every_game, long
from tests.envs.load_balancing.pools import standard_errors

N_ENVS, N_STEPS = 300, 20


def played(game: Game, policy: Policy) -> np.ndarray:
    """Mean reward of the team a step, by env."""
    batch = games.make(game, N_ENVS, role="evaluate")
    observation = batch.reset()
    for _ in range(game.episode_steps):
        observation = batch.step(np.array(policy(observation))).observation
    return batch.statistics()["team_reward"]


@every_game
def test_a_solution_is_worth_what_it_says(name: str) -> None:
    game = long(name, N_STEPS)
    for solution in (game.optimum(), *game.nash()):
        found = played(game, solution.policy)
        if np.ptp(found) == 0:
            assert found[0] == pytest.approx(solution.team_reward, rel=1e-12)
        else:
            assert standard_errors(found, solution.team_reward) < 4


@every_game
def test_nothing_at_random_is_better_than_the_optimum(name: str) -> None:
    game = long(name, N_STEPS)
    best = game.optimum().team_reward
    assert all(solution.team_reward <= best for solution in game.nash())
    for seed in range(5):
        assert played(game, at_random(game, seed)).mean() < best


@every_game
def test_nobody_gains_by_leaving_an_equilibrium(name: str) -> None:
    game = EXAMPLES[name]
    assert game.nash()
    for solution in game.nash():
        assert game.nash_gap(solution.policy) == pytest.approx(0.0, abs=1e-9)
    values = [solution.team_reward for solution in game.nash()]
    assert values == sorted(values, reverse=True)


@every_game
def test_somebody_gains_by_leaving_anything_else(name: str) -> None:
    game = EXAMPLES[name]
    observation = games.make(game, 1).reset()
    equilibria = [np.asarray(one.policy(observation)) for one in game.nash()]
    for seed in range(20):
        action = actions_of(game, 1, 1, seed)[0]
        if name.startswith("fulfilment"):  # equal bids are Nash, too
            is_nash, policy = False, at_random(game, seed)
        else:
            is_nash, policy = any(np.array_equal(action, one) for one in equilibria), always(action[0])
        assert (game.nash_gap(policy) < 1e-9) == is_nash
