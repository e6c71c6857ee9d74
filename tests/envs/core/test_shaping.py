from __future__ import annotations

import numpy as np
import pytest

from envs.core.shaping import shaping

GAMMA = 0.9
N_STATES, N_ACTIONS = 8, 3


def random_mdp(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transitions ``(s, a, s')``, rewards of the same shape, and which states end an episode."""
    rng = np.random.default_rng(seed)
    transition = rng.dirichlet(np.full(N_STATES, 0.3), (N_STATES, N_ACTIONS))
    terminal = np.zeros(N_STATES, np.bool_)
    terminal[-2:] = True
    return transition, rng.normal(size=(N_STATES, N_ACTIONS, N_STATES)), terminal


def action_values(transition: np.ndarray, reward: np.ndarray, terminal: np.ndarray) -> np.ndarray:
    """Value iteration: ``(s, a)``; nothing follows a terminal state."""
    value = np.zeros(N_STATES)
    for _ in range(2000):
        q = (transition * (reward + GAMMA * np.where(terminal, 0.0, value))).sum(-1)
        value = q.max(-1)
    return q


def shaped(reward: np.ndarray, potential: np.ndarray, terminal: np.ndarray) -> np.ndarray:
    before = np.broadcast_to(potential[:, None, None], reward.shape)
    after = np.broadcast_to(potential, reward.shape)
    return reward + shaping(before, after, GAMMA, np.broadcast_to(terminal, reward.shape))


@pytest.mark.parametrize("seed", range(5))
def test_no_potential_changes_the_best_policy(seed: int) -> None:
    transition, reward, terminal = random_mdp(seed)
    potential = np.random.default_rng(100 + seed).normal(scale=20.0, size=N_STATES)
    plain = action_values(transition, reward, terminal)
    with_potential = action_values(transition, shaped(reward, potential, terminal), terminal)
    assert np.array_equal(plain.argmax(-1), with_potential.argmax(-1))
    assert np.allclose(with_potential, plain - potential[:, None], atol=1e-9)


def test_a_bonus_that_is_no_difference_of_potentials_would_change_it() -> None:
    transition, reward, terminal = random_mdp(0)
    bonus = np.random.default_rng(100).normal(scale=20.0, size=N_STATES)
    plain = action_values(transition, reward, terminal)
    assert not np.array_equal(plain.argmax(-1), action_values(transition, reward + bonus, terminal).argmax(-1))


def test_shaping_telescopes_over_an_episode() -> None:
    potential = np.random.default_rng(0).normal(size=11)
    steps = shaping(potential[:-1], potential[1:], GAMMA, np.zeros(10, np.bool_))
    discounted = (GAMMA ** np.arange(10) * steps).sum()
    assert discounted == pytest.approx(GAMMA**10 * potential[-1] - potential[0])


def test_a_terminal_state_has_no_potential() -> None:
    assert shaping(np.array([2.0]), np.array([5.0]), GAMMA, np.array([True])) == pytest.approx(-2.0)
