"""Phases that train: the lower agent, the upper agent above it, and the agent without a hierarchy."""

from __future__ import annotations

import time
from functools import partial

from envs.core.validation import SettingError
from hierarchy.arms import flat
from hierarchy.config import ExperimentConfig
from hierarchy.executors import one_beside
from hierarchy.phases import candidates
from hierarchy.phases.going_on import train
from hierarchy.phases.observers import Kept
from hierarchy.phases.phase import Phase, Workspace
from hierarchy.protocols import Learner, Source
from hierarchy.storage import agents
from hierarchy.storage.folder import OutputFolder
from hierarchy.tracking.sinks import Level, Work


def learn(workspace: Workspace, name: Level, learner: Learner, work: Work, source: Source | None = None) -> float:
    """Train and save an agent that was just built, or go on where training was cut short: steps per second.

    It begins as the agent of a ``source``, if there is one.
    """
    folder, config = workspace.folder, workspace.config
    with workspace.phase(name, work) as sink:
        started_s = time.perf_counter()
        if source is not None:
            learner.begin_from(source.agent)
        n_before = train(learner, work.total, Kept(), workspace.ledger, config.checkpoint_s, sink)
        elapsed_s = time.perf_counter() - started_s
        agents.save(learner, folder.agent(name), config, source)
        folder.outdate(name)
    return (learner.n_steps - n_before) / elapsed_s


def train_lower(workspace: Workspace) -> None:
    """Phase 1."""
    from hierarchy.building.lower import build

    config = workspace.config
    with one_beside(workspace.executor, config.threads) as beside:
        learner = build(config, beside)
        work = Work("phase 1: lower agent", config.lower.timesteps, "steps")
        steps_per_s = learn(workspace, "lower", learner, work, workspace.source)
    workspace.lower = {"timesteps": learner.n_steps, "steps_per_s": steps_per_s}


def train_flat(workspace: Workspace) -> None:
    """The agent without a hierarchy if it is an arm, for as many lower steps as both phases take."""
    if workspace.config.ablation.flat:
        config = workspace.config
        with one_beside(workspace.executor, config.threads) as beside:
            learn(workspace, "flat", flat.build(config, beside), Work("flat agent", flat.timesteps(config), "steps"))


def has_agent(name: str, folder: OutputFolder) -> bool:
    """Whether a folder holds an agent."""
    return folder.agent(name).is_file()


def check_data(config: ExperimentConfig, contextual: bool = True) -> None:
    """What the lower algorithm learns from is there.

    Raises
    ------
    SettingError
        It isn't.
    """
    try:
        config.lower.check_data(config.env, contextual)
    except SettingError as error:
        raise error.under("lower") from None


def check_lower(config: ExperimentConfig) -> None:
    """There is what the lower agent learns from, and worlds to learn to learn in, if it does.

    Raises
    ------
    SettingError
        One is missing.
    """
    from hierarchy.building.lower import check_meta

    check_data(config)
    check_meta(config)


def check_flat(config: ExperimentConfig) -> None:
    """The same of the agent without a hierarchy, if it is an arm."""
    if config.ablation.flat:
        check_data(config, contextual=False)


LOWER = Phase("lower", train_lower, partial(has_agent, "lower"), check=check_lower)
UPPER = Phase("upper", candidates.choose, partial(has_agent, "upper"))
FLAT = Phase("flat", train_flat, partial(has_agent, "flat"), check=check_flat)
