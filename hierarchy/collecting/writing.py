"""A dataset written as Minari has it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from hierarchy.datasets.dataset import (
    ARRAYS_NAME,
    COSTS,
    DATA_NAME,
    KEY,
    PROPENSITY,
    RANDOM,
    SCHEMA,
    TERMS,
    WORLD_NAME,
    Episode,
    Said,
    digest_of,
)
from hierarchy.datasets.requires import check_minari
from hierarchy.storage.files import whole_folder, write_json

VERSIONED = re.compile(r"[\w-]+-v\d+")
"""Names that Minari takes for those of datasets."""


def write_dataset(
    said: Said, batches: Iterable[list[Episode]], observed: spaces.Box, actions: spaces.Space[Any], to: Path
) -> int:
    """Write a dataset into a folder that is there whole or not at all.

    Parameters
    ----------
    batches
        Episodes as they come.
    observed, actions
        Spaces of both.
    to
        The folder.

    Returns
    -------
    Actions in all episodes.

    Raises
    ------
    SettingError
        There is something already, or Minari is not installed.
    """
    check_minari("to", to)
    import minari
    from minari.dataset.minari_storage import MinariStorage

    with whole_folder(to) as folder:
        data = folder / DATA_NAME
        data.mkdir(parents=True)
        storage = MinariStorage.new(data, observed, actions)
        for episodes in batches:
            storage.update_episodes(map(_buffer, episodes))
        plain = said.to_json()
        storage.update_metadata(
            {
                "dataset_id": _name_of(to),
                "minari_version": minari.__version__,
                "algorithm_name": said.behaviour,
                KEY: {"schema": SCHEMA, "said": plain, "sha256": digest_of(plain, data / ARRAYS_NAME)},
            }
        )
        write_json({"env": plain["env"]}, folder / WORLD_NAME)
        return int(storage.total_steps)


def _name_of(to: Path) -> str:
    """Of the folder, as Minari names datasets."""
    name = to.resolve().name
    return name if VERSIONED.fullmatch(name) else re.sub(r"[^\w-]", "-", name) + "-v0"


def _buffer(episode: Episode) -> Any:
    from minari.data_collector import EpisodeBuffer

    of_costs = {COSTS: dict(episode.costs)} if episode.costs else {}
    return EpisodeBuffer(
        seed=episode.seed,
        options={"env_id": episode.env_id, "agent": episode.agent},
        observations=episode.observations,
        actions=episode.actions,
        rewards=episode.rewards,
        terminations=episode.terminations,
        truncations=episode.truncations,
        infos={
            PROPENSITY: episode.propensity,
            RANDOM: np.asarray(episode.random),
            TERMS: dict(episode.terms),
            **of_costs,
        },
    )
