"""A dataset read from its folder: what is damaged, empty, of another making or of another world is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from envs import EnvConfig
from envs.core.arrays import Array
from envs.core.spec import LOWER_FIELDS, WorldSpec
from envs.core.validation import SettingError, one_line
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
    Dataset,
    Episode,
    Said,
    base_rule_of,
    digest_of,
)
from hierarchy.datasets.requires import check_minari

READ_ERRORS = (OSError, AssertionError, AttributeError, KeyError, TypeError, ValueError, RecursionError, RuntimeError)
"""What Minari and h5py raise for files that are damaged or not theirs."""


def read_said(folder: Path, path: str) -> tuple[Said, str]:
    """What is said of a dataset, and its digest, which is held against its files.

    Parameters
    ----------
    folder
        Of the dataset.
    path
        Of the setting that names it.

    Raises
    ------
    SettingError
        It is missing or damaged, `metabalance dataset` of this version has not made it, or Minari is not installed.
    """
    check_minari(path, folder)
    from minari.dataset.minari_storage import MinariStorage

    data = folder / DATA_NAME
    try:
        metadata = MinariStorage.read_raw_metadata(data)
        if KEY not in metadata:
            raise ValueError(f"its metadata has no {KEY}, so metabalance dataset has not made it")
        entry = metadata[KEY]
        if entry["schema"] != SCHEMA:
            raise ValueError(f"schema {entry['schema']}, not {SCHEMA}")
        if entry["sha256"] != digest_of(entry["said"], data / ARRAYS_NAME):
            raise ValueError("its sum is another one")
        return Said.from_json(entry["said"]), entry["sha256"]
    except READ_ERRORS as error:
        raise _unreadable(folder, path, error) from None


def read_dataset(folder: Path, path: str) -> Dataset:
    """A whole dataset; arguments as those of :func:`read_said`.

    Raises
    ------
    SettingError
        As there, or what it holds is not what it says.
    """
    said, digest = read_said(folder, path)
    from minari import MinariDataset

    try:
        found = MinariDataset(folder / DATA_NAME)
        episodes = [_episode(one, said.seed) for one in _episodes(found)]
        action_space = found.action_space
        n_observed = found.observation_space.shape[0]
    except READ_ERRORS as error:
        raise _unreadable(folder, path, error) from None
    if not any(episode.n_actions for episode in episodes):
        raise SettingError(path, "a dataset with at least one action", f"{folder} with {len(episodes)} episodes")
    for episode in episodes:
        _check(episode, said, n_observed, action_space, path)
    return Dataset(said, episodes, digest)


def _unreadable(folder: Path, path: str, error: BaseException) -> SettingError:
    return SettingError(path, "a dataset that can be read (made by metabalance dataset)", f"{folder} ({one_line(error)})")


def _episodes(found: Any) -> list[tuple[Any, Mapping[str, Any]]]:
    """Episodes as Minari has them, and what is said of each."""
    return list(zip(found, found.storage.get_episode_metadata(found.episode_indices), strict=True))


def _episode(found: tuple[Any, Mapping[str, Any]], seed: int) -> Episode:
    data, said = found
    infos = data.infos
    if PROPENSITY not in infos:
        raise KeyError(f"no {PROPENSITY}: how likely each action was is not on record")
    return Episode(
        seed=seed,
        env_id=int(said["options"]["env_id"]),
        agent=int(said["options"]["agent"]),
        observations=np.asarray(data.observations),
        actions=np.asarray(data.actions),
        rewards=np.asarray(data.rewards),
        terminations=np.asarray(data.terminations),
        truncations=np.asarray(data.truncations),
        propensity=np.asarray(infos[PROPENSITY]),
        random=np.asarray(infos[RANDOM]),
        terms=infos.get(TERMS, {}),
        costs=infos.get(COSTS, {}),
    )


def _check(episode: Episode, said: Said, n_observed: int, action_space: spaces.Space[Any], path: str) -> None:
    """An episode is one of a world like that: shapes, numbers that are finite, actions that there are, chances above 0.

    Raises
    ------
    SettingError
        The first field that is not.
    """
    n, shape = episode.n_actions, action_space.shape or ()
    wanted = {"observations": (n + 1, n_observed), "actions": (n, *shape)}
    where = f"in env {episode.env_id}"
    _check_kinds(episode, isinstance(action_space, spaces.Box), path)
    for name in ("observations", "actions", "terminations", "truncations", "propensity", "random"):
        array = getattr(episode, name)
        if array.shape != wanted.get(name, (n,)):
            raise SettingError(f"{path}.{name}", f"of shape {wanted.get(name, (n,))} {where}", array.shape)
    if set(episode.terms) != set(said.spec.terms):
        raise SettingError(f"{path}.{TERMS}", f"{', '.join(said.spec.terms)} {where}", ", ".join(episode.terms) or "none")
    for name, array in episode.terms.items():
        if np.shape(array) != (n,):
            raise SettingError(f"{path}.{TERMS}.{name}", f"of shape {(n,)} {where}", np.shape(array))
    numbers = {name: getattr(episode, name) for name in ("observations", "rewards", "propensity")}
    for name, array in (numbers | {f"{TERMS}.{name}": array for name, array in episode.terms.items()}).items():
        if not np.isfinite(array).all():
            raise SettingError(f"{path}.{name}", f"finite numbers {where}", "others")
    if n and not (episode.propensity > 0).all():
        raise SettingError(f"{path}.{PROPENSITY}", f"> 0 {where}", f"{episode.propensity.min():g}")
    if n and said.propensity == "probability" and not (episode.propensity <= 1.0 + 1e-6).all():
        raise SettingError(f"{path}.{PROPENSITY}", f"at most 1 {where}", f"{episode.propensity.max():g}")
    outside = _outside(action_space, episode.actions)
    if outside is not None:
        raise SettingError(f"{path}.actions", f"in {action_space} {where}", outside)


def _check_kinds(episode: Episode, are_numbers: bool, path: str) -> None:
    """Numbers are numbers, and choices are whole ones.

    Raises
    ------
    SettingError
        The first field that holds something else.
    """
    numbers = {name: getattr(episode, name) for name in ("observations", "rewards", "propensity")}
    arrays = numbers | {f"{TERMS}.{name}": array for name, array in episode.terms.items()}
    for name, array in {**arrays, "actions": episode.actions}.items():
        kinds, allowed = ("iu", "whole numbers") if name == "actions" and not are_numbers else ("fiu", "numbers")
        if np.asarray(array).dtype.kind not in kinds:
            raise SettingError(f"{path}.{name}", f"{allowed} in env {episode.env_id}", np.asarray(array).dtype)


def _outside(space: spaces.Space[Any], actions: Array) -> Any:
    """The first action that is none of a space; None if all are."""
    return next((action.tolist() for action in actions if not space.contains(np.asarray(action, space.dtype))), None)


def check_fits(said: Said, spec: WorldSpec, path: str) -> None:
    """A dataset is of a world like that one, as far as a lower agent depends on it.

    Raises
    ------
    SettingError
        It differs in a field, which is named.
    """
    misfit = spec.misfit(said.spec, LOWER_FIELDS)
    if misfit is not None:
        field, _, rest = misfit.partition(" ")
        allowed, _, value = rest.rpartition(", got ")
        raise SettingError(f"{path}.{field}", f"{allowed}, as in the world to learn for", value)


def check_rule(said: Said, env: EnvConfig, path: str) -> None:
    """The agents of a dataset start from the rule that those of a world start from.

    Raises
    ------
    SettingError
        They start from another one, or it has other numbers.
    """
    ours, theirs = base_rule_of(env), said.base_rule
    if ours != theirs:
        allowed = f"that of the world, {_worded(ours)} (--config DATASET/{WORLD_NAME} takes that of the dataset)"
        raise SettingError(f"{path}.base_rule", allowed, _worded(theirs))


def _worded(rule: Mapping[str, Any] | None) -> str:
    if rule is None:
        return "none"
    return " or ".join(rule["names"]) + (f" with {rule['numbers']}" if rule["numbers"] else " with numbers to be found")
