"""The agents of a folder, evaluated on a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch as th
from gymnasium import spaces

import envs
from envs.core.validation import SettingError
from hierarchy.config import ExperimentConfig
from hierarchy.datasets.dataset import Dataset, Episode
from hierarchy.datasets.reading import check_fits, check_rule, read_dataset
from hierarchy.nets.action_form import ActionForm, form_of
from hierarchy.nets.joint_choices import MOST_JOINT, JointChoices
from hierarchy.off_policy.estimators import Estimates, Estimating
from hierarchy.off_policy.record import record_of, under_mix
from hierarchy.off_policy.settings import OffPolicy
from hierarchy.off_policy.target import target_of
from hierarchy.phases.tuning import of_seed
from hierarchy.storage.agents import lower_of
from hierarchy.storage.bundle import parts_of
from hierarchy.storage.files import plain_settings
from hierarchy.storage.folder import trained_folders

DATA = "data"
"""The option that names the dataset."""
SCHEMA = 1
N_NAMED = 3
"""Settings that are named where worlds differ."""


class Evaluated(TypedDict):
    """What is told of the agents of a folder, by training seed.

    ``mix`` is the one that rewards are under, or None for those on record. ``settings`` are those of :class:`OffPolicy`,
    ``dataset`` is the sum of the dataset, ``behaviour`` who acted in it. ``notes`` are to be read before values.
    """

    schema: int
    dataset: str
    behaviour: str
    algorithm: str
    mix: dict[str, float] | None
    settings: dict[str, Any]
    agents: dict[str, Estimates]
    notes: list[str]


def evaluate_on(config: ExperimentConfig, out: Path, data: Path, settings: OffPolicy) -> Evaluated:
    """The lower agents of all training seeds of a folder, or of a bundle, on one dataset.

    They observe what the behaviour met, the mix with it: the one on record, or that of ``ablation.fixed``, under which
    rewards are computed anew then.

    Raises
    ------
    SettingError
        The dataset can't be read, is of another world, of numbers or of several agents, has no propensities or no whole
        piece; or an agent is missing, or fits no such world.
    """
    th.set_num_threads(config.threads)
    folders = trained_folders(out)
    configs = [of_seed(config, folder) for folder in folders]
    dataset = read_dataset(data, DATA)
    for one in configs:
        _check(dataset, one)
    action, episodes = _action_of(config), _episodes(dataset, config)
    n_choices, n_terms = JointChoices(action).n, envs.describe(config.env).n_terms
    record = record_of(episodes, JointChoices(action), n_terms, settings.horizon)
    estimating = Estimating(record, n_choices, settings.discount)
    agents = {}
    for one, folder in zip(configs, folders, strict=True):
        lower = lower_of(parts_of(folder).lower, one)
        agents[str(one.seed)] = estimating.of(target_of(lower, one.lower.algorithm, episodes, action, settings))
    return {
        "schema": SCHEMA,
        "dataset": dataset.digest,
        "behaviour": str(dataset.said.behaviour),
        "algorithm": config.lower.algorithm,
        "mix": _mix_of(config),
        "settings": asdict(settings),
        "agents": agents,
        "notes": _notes(dataset.said.env, plain_settings(configs[0].env)),
    }


def _check(dataset: Dataset, config: ExperimentConfig) -> None:
    """A dataset is of that world, of one agent's choices, and says how likely they were."""
    said, spec = dataset.said, envs.describe(config.env)
    check_fits(said, spec, DATA)
    check_rule(said, config.env, DATA)
    if spec.n_agents > 1:
        raise SettingError(
            "env", "a world with one agent for --data: no weights are known for what others do", spec.n_agents
        )
    if said.propensity != "probability":
        allowed = "probability, of one choice of several (a density says nothing of a single action)"
        raise SettingError(f"{DATA}.propensity", allowed, said.propensity)


def _action_of(config: ExperimentConfig) -> ActionForm:
    """Of the world; few enough choices for each to have a value."""
    space = envs.simulate(config.env, 1).world.dynamics.action_space
    n = None if isinstance(space, spaces.Box) else JointChoices(form_of(space)).n
    if n is None or n > MOST_JOINT:
        allowed = f"of choices with at most {MOST_JOINT:,} combinations"
        raise SettingError(f"{DATA}.action_space", allowed, f"{space} with {'numbers' if n is None else f'{n:,}'}")
    return form_of(space)


def _episodes(dataset: Dataset, config: ExperimentConfig) -> Sequence[Episode]:
    mix = _mix_of(config)
    return dataset.episodes if mix is None else under_mix(dataset.episodes, np.array(list(mix.values())), list(mix))


def _mix_of(config: ExperimentConfig) -> dict[str, float] | None:
    """The mix that settings ask for, by term."""
    fixed = config.ablation.fixed
    if fixed is None:
        return None
    terms = envs.describe(config.env).terms
    return {name: weight / sum(fixed) for name, weight in zip(terms, fixed, strict=True)}


def _notes(of_data: Mapping[str, Any], of_agents: Mapping[str, Any]) -> list[str]:
    """That values are those in the world of the dataset, where its settings are others."""
    names = list(_differing(of_data, of_agents, "env"))
    if not names:
        return []
    named = ", ".join(names[:N_NAMED]) + (", ..." if len(names) > N_NAMED else "")
    return [f"values are those in the world of the dataset, whose settings are others: {named}"]


def _differing(ours: Mapping[str, Any], theirs: Mapping[str, Any], path: str) -> Iterator[str]:
    for name in {**ours, **theirs}:
        one, other, here = ours.get(name), theirs.get(name), f"{path}.{name}"
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _differing(one, other, here)
        elif one != other:
            yield here
