"""A dataset made: episodes of what acts, explored, and written as they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from gymnasium import spaces

import envs
from envs.core.batch import BatchEnv
from envs.core.rng import ROLES
from hierarchy.collecting.behaviour import Exploring
from hierarchy.collecting.episodes import collect
from hierarchy.collecting.sources import Source
from hierarchy.collecting.writing import write_dataset
from hierarchy.datasets.dataset import Episode, Said, base_rule_of
from hierarchy.datasets.requires import check_minari
from hierarchy.storage.files import plain_settings

SIDE_BY_SIDE = 32
"""Envs at most; an episode is the same whatever their number."""
EXPLORES = len(ROLES)
"""Stands where a role does in the keys of streams: exploration shares none with a world."""


def make_dataset(source: Source, to: Path) -> int:
    """Write a dataset; the number of actions in it.

    Raises
    ------
    SettingError
        The world does not suit what is to act, there is something at ``to``, or Minari is not installed.
    """
    check_minari("to", to)
    observed, actions = _spaces(source)
    return write_dataset(_said(source, actions), episodes_of(source), observed, actions, to)


def _spaces(source: Source) -> tuple[spaces.Box, spaces.Space[np.generic]]:
    """Of observations and actions; what can't act there is refused."""
    batch = source.batch([0])
    observation = batch.reset()
    exploring(source, batch, [0]).act(observation)
    return batch.observation_space, batch.action_space


def _said(source: Source, actions: spaces.Space[np.generic]) -> Said:
    config = source.config
    return Said(
        spec=envs.describe(config.env),
        env=plain_settings(config.env),
        base_rule=base_rule_of(config.env),
        behaviour=source.name,
        random_share=source.conduct.random_share,
        propensity="density" if isinstance(actions, spaces.Box) else "probability",
        seed=config.seed,
        role="train",
    )


def exploring(source: Source, batch: BatchEnv, env_ids: Sequence[int]) -> Exploring:
    """What acts in a batch of those envs; what an agent of an env draws depends on the master seed, env and agent alone."""
    keys = [(EXPLORES, env_id, agent) for env_id in env_ids for agent in range(batch.n_agents)]
    generators = [np.random.default_rng(np.random.SeedSequence(source.config.seed, spawn_key=key)) for key in keys]
    return Exploring(source.behaviour(batch, generators), source.conduct.random_share, batch.action_space, generators)


def episodes_of(source: Source) -> Iterator[list[Episode]]:
    """All episodes, batch by batch."""
    n = source.conduct.episodes
    for first in range(0, n, SIDE_BY_SIDE):
        env_ids = range(first, min(first + SIDE_BY_SIDE, n))
        batch = source.batch(env_ids)
        yield collect(batch, exploring(source, batch, env_ids), source.config.seed, env_ids)
