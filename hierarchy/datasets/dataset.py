"""What a dataset holds: episodes as arrays, and what is said of all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, NamedTuple

from envs import EnvConfig, base_rule
from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32
from envs.core.spec import WorldSpec

DATA_NAME = "data"
"""Folder of Minari's files, in that of a dataset."""
ARRAYS_NAME = "main_data.hdf5"
"""Minari's file of arrays."""
WORLD_NAME = "world.json"
"""Settings of the world, for ``--config``, in the folder of a dataset."""
KEY = "metabalance"
"""In Minari's metadata: what is said of a dataset of ours."""
SCHEMA = 1
PROPENSITY, RANDOM, TERMS, COSTS = "propensity", "random", "reward_terms", "costs"
"""Infos of an episode, by these names."""


class Episode(NamedTuple):
    """What one agent met in an episode of ``T`` actions."""

    seed: int  # master seed of the world's streams
    env_id: int  # which of them, see :func:`envs.make`
    agent: int  # in its env
    observations: FloatArray32  # (T + 1, n_observed) as a lower agent has them, the context last
    actions: Array  # (T, ...) in the action space of the world, as they were asked for
    rewards: FloatArray  # (T,) minus the terms under the context in force, minus penalties, over the steps of an action
    terminations: BoolArray  # (T,)
    truncations: BoolArray  # (T,)
    propensity: FloatArray  # (T,) see :attr:`Said.propensity`
    random: BoolArray  # (T,) whether the action was drawn from all there are
    terms: Mapping[str, FloatArray]  # (T,) each: reward terms by name, added up over the steps of an action
    costs: Mapping[str, FloatArray]  # (T,) each: costs by name, likewise

    @property
    def n_actions(self) -> int:
        """``T``."""
        return len(self.rewards)


class Said(NamedTuple):
    """What is said of all episodes.

    Attributes
    ----------
    spec
        Of the world.
    env
        Settings of the world as plain values.
    base_rule
        See :func:`base_rule_of`.
    behaviour
        What acted, in words.
    random_share
        Share of the actions that were drawn from all there are, each as likely as another.
    propensity
        What the entries of that name are: ``probability`` of the action that was taken; or ``density`` of those that were
        drawn, where actions are numbers, and the probability of the others, which had but one choice.
    seed, role
        Of the streams of the worlds.
    """

    spec: WorldSpec
    env: Mapping[str, Any]
    base_rule: Mapping[str, Any] | None
    behaviour: str
    random_share: float
    propensity: str
    seed: int
    role: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**self._asdict(), "spec": self.spec.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Said:
        """The inverse of :meth:`to_json`.

        Raises
        ------
        TypeError, KeyError
            Something is missing, too much, or no mapping where one belongs.
        """
        said = cls(**{**values, "spec": WorldSpec.from_json(values["spec"])})
        rule = said.base_rule
        if not isinstance(said.env, Mapping) or not (rule is None or isinstance(rule, Mapping)):
            raise TypeError("env and base_rule must be mappings")
        if rule is not None and not {"names", "numbers"} <= rule.keys():
            raise KeyError("names and numbers of base_rule")
        return said


class Dataset(NamedTuple):
    """A dataset as it was read.

    Attributes
    ----------
    said
        Of all episodes.
    episodes
        At least one, each with at least one action.
    digest
        SHA-256 of all of it.
    """

    said: Said
    episodes: Sequence[Episode]
    digest: str


def base_rule_of(env: EnvConfig) -> dict[str, Any] | None:
    """The rule that agents of a world start from as plain values; several names and no numbers until the best is found."""
    rule = base_rule(env)
    return None if rule is None else {"names": list(rule.candidates), "numbers": dict(rule.numbers)}


def digest_of(said: Mapping[str, Any], arrays: Path) -> str:
    """SHA-256 of what is said, and of the file of arrays."""
    found = sha256(json.dumps(said, sort_keys=True, allow_nan=False).encode())
    with arrays.open("rb") as file:
        found.update(file_digest(file, "sha256").digest())
    return found.hexdigest()
