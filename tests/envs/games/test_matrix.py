from __future__ import annotations

import itertools

import numpy as np
import pytest

from envs import games
from envs.games import Climbing, Monotone, always
from envs.games.matrix import MatrixGame

every_table = pytest.mark.parametrize("game", [Climbing(), Monotone()], ids=lambda game: game.game)


def is_monotone(table: np.ndarray) -> bool:
    """Whether each agent has an order of its actions that holds, ties apart, whatever the other one does."""
    return all(
        (side[a] >= side[b]).all() or (side[a] <= side[b]).all()
        for side in (table, table.T)
        for a, b in itertools.combinations(range(len(side)), 2)
    )


@every_table
def test_each_agent_gets_half_of_the_entry(game: MatrixGame) -> None:
    size = len(game.table)
    actions = np.array(list(itertools.product(range(size), repeat=2)))
    batch = games.make(game, size * size)  # type: ignore[arg-type]
    batch.reset()
    reward = batch.step(actions).reward
    assert reward.sum(-1).tolist() == [game.table[row][column] for row, column in actions]
    assert np.array_equal(reward[:, 0], reward[:, 1])


def test_the_tables_are_the_published_ones() -> None:
    assert np.array_equal(Climbing.table, [[11, -30, 0], [-30, 7, 6], [0, 0, 5]])
    assert np.array_equal(Monotone.table, [[0, 1], [1, 8]])


def test_answers_of_the_climbing_game() -> None:
    game = Climbing()
    assert game.joint_action(game.optimum().policy).tolist() == [0, 0]
    assert [(game.joint_action(one.policy).tolist(), one.team_reward) for one in game.nash()] == [([0, 0], 11), ([1, 1], 7)]


def test_answers_of_the_monotone_game() -> None:
    game = Monotone()
    assert game.joint_action(game.optimum().policy).tolist() == [1, 1]
    assert [(game.joint_action(one.policy).tolist(), one.team_reward) for one in game.nash()] == [([1, 1], 8)]


def test_one_table_is_monotone_and_the_other_one_is_not() -> None:
    assert is_monotone(np.array(Monotone.table))
    assert not is_monotone(np.array(Climbing.table))


def test_the_monotone_table_is_no_sum() -> None:
    (a, b), (c, d) = Monotone.table
    assert a + d != b + c


@every_table
def test_the_gap_is_what_brute_force_finds(game: MatrixGame) -> None:
    size = range(len(game.table))
    for row, column in itertools.product(size, repeat=2):
        now = game.table[row][column]
        gains = [game.table[other][column] - now for other in size] + [game.table[row][other] - now for other in size]
        assert game.nash_gap(always(np.array([row, column]))) == max(gains) / 2
