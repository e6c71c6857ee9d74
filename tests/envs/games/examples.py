"""Every game of the registry, and some with other settings, for the tests of what all games have in common."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from envs import games
from envs.core.team import TeamStep
from envs.games.demand import UniformDemand
from envs.games.game import Game, Policy

EXAMPLES: dict[str, Game] = {
    **{name: kind() for name, kind in games.GAMES.items()},
    "pricing, tight bounds": games.Pricing(price_min=1.0, price_max=10.0, episode_steps=4),
    "pricing, many stores": games.Pricing(n_stores=10, episode_steps=4),
    "inventory, uniform demand": games.Inventory(n_stores=2, demand=UniformDemand(low=2, high=9), episode_steps=7),
    "fulfilment, three stores": games.Fulfilment(n_stores=3, n_bids=3, distance_cost=0.2, episode_steps=7),
}
"""One entry puts a game under every test that games share."""

every_game = pytest.mark.parametrize("name", EXAMPLES)


def long(name: str, episode_steps: int) -> Game:
    """The example with episodes of so many steps."""
    game: Any = EXAMPLES[name]
    changed: Game = replace(game, episode_steps=episode_steps)
    return changed


def actions_of(game: Game, n_steps: int, n_envs: int, seed: int = 0) -> np.ndarray:
    """Random joint actions ``(n_steps, n_envs, n_agents, ...)``."""
    rng, shape, space = np.random.default_rng(seed), (n_steps, n_envs, game.spec.n_agents), game.spec.action_space
    if isinstance(space, spaces.Discrete):
        return rng.integers(0, space.n, shape)
    assert isinstance(space, spaces.Box)
    return rng.uniform(space.low, space.high, (*shape, *space.shape))


def at_random(game: Game, seed: int) -> Policy:
    """A policy that chooses at random, row by row."""
    return lambda observation: actions_of(game, 1, len(observation), seed)[0]


def same(a: TeamStep, b: TeamStep) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
