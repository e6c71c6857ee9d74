"""Small games of several agents whose answers are known: what learners of teams are held against.

A game is a frozen config, and one entry in :data:`GAMES`; :func:`make` makes a batch of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from envs.core.rng import Role
from envs.games.batch import GameBatch
from envs.games.climbing import Climbing
from envs.games.fulfilment import Fulfilment
from envs.games.game import Game, Policy, Solution, always
from envs.games.inventory import Inventory
from envs.games.monotone import Monotone
from envs.games.pricing import Pricing

__all__ = [
    "GAMES",
    "Climbing",
    "Fulfilment",
    "Game",
    "GameBatch",
    "Inventory",
    "Monotone",
    "Policy",
    "Pricing",
    "Solution",
    "always",
    "make",
]

GAMES: dict[str, type[Game]] = {
    "pricing": Pricing,
    "inventory": Inventory,
    "fulfilment": Fulfilment,
    "climbing": Climbing,
    "monotone": Monotone,
}
"""Every game by name."""


def make(game: Game, n_envs: int, seed: int = 0, role: Role = "train", env_ids: Sequence[int] | None = None) -> GameBatch:
    """A batch of ``n_envs`` envs of a game.

    Env ``i`` is named ``env_ids[i]`` (``i`` by default); given the same actions it does the same whatever the batch.

    Raises
    ------
    ValueError
        There is no env, or not a name for each.
    """
    if n_envs < 1:
        raise ValueError(f"n_envs must be >= 1, got {n_envs}")
    ids = range(n_envs) if env_ids is None else env_ids
    if len(ids) != n_envs:
        raise ValueError(f"env_ids must name {n_envs} envs, got {len(ids)}")
    return GameBatch(game, ids, seed, role)
