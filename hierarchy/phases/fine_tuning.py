"""Fine-tuning: an agent begins as that of another experiment and learns on, in a world that may have changed.

A lower agent guides the rule that the other one guides, where settings leave that open: its choices mean nothing above
another. What the other one lies in is read once, before anything is written, and kept until training is over.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from envs.core.validation import SettingError
from hierarchy.building import lower, upper
from hierarchy.config import ExperimentConfig
from hierarchy.phases.checks import check_experiment
from hierarchy.phases.phase import Workspace
from hierarchy.phases.tuning import guided_by
from hierarchy.protocols import Actor, SavedAgent, Source
from hierarchy.storage.agents import load_lower, lower_of, read_agent, upper_of
from hierarchy.storage.bundle import is_bundle, read_bundle
from hierarchy.storage.files import digest_of
from hierarchy.storage.folder import OutputFolder
from hierarchy.storage.trained import config_of
from hierarchy.tracking.history import last_run


def source_in(path: Path, name: str) -> Source:
    """The agent of that name in the folder of an experiment or a bundle.

    Raises
    ------
    SettingError
        It is missing or damaged, or there are no settings of this version beside it.
    """
    folder = OutputFolder(path)
    if is_bundle(path):
        bundle = read_bundle(path)
        agent, run = bundle.agents[name], bundle.run
    else:
        agent, run = read_agent(folder, name, "from"), last_run(path)
    seed = config_of(path, trusts_factory=True).seed  # which imports nothing
    return Source(agent, str(path.resolve()), digest_of(folder.agent(name)), seed, run)


def lower_agent(saved: SavedAgent, config: ExperimentConfig) -> SavedAgent:
    """A saved lower agent as one of the world of ``config``, which may have another number of parts if its networks allow.

    Raises
    ------
    SettingError
        No agent of these settings can begin as that one.
    """
    there = lower_of(saved, config).saved(saved.name, config.lower.algorithm)
    saved = saved._replace(description={**saved.description, "form": there.description["form"]})
    alone = replace(config, lower=replace(config.lower, paired=False)) if config.lower.paired else config
    lower.build(alone).begin_from(saved)
    return saved


def upper_agent(saved: SavedAgent, config: ExperimentConfig, below: Actor) -> SavedAgent:
    """A saved upper agent as one above a lower one, in the world of ``config``.

    Raises
    ------
    SettingError
        No agent of these settings can begin as that one.
    """
    upper_of(saved, config)
    alone = replace(config, upper=replace(config.upper, paired=False))
    upper.build(alone, below).begin_from(saved)
    return saved


def begin_lower(workspace: Workspace, path: Path) -> None:
    """Have the lower agent of an experiment begin as that in a folder or a bundle; nothing is written.

    Raises
    ------
    SettingError
        It can't; one line that names the field.
    """
    _check_another(workspace.folder, path)
    check_experiment(workspace.config)
    source, config = source_in(path, "lower"), guided_by(workspace.config, path)
    workspace.source, workspace.config = source._replace(agent=lower_agent(source.agent, config)), config


def begin_upper(workspace: Workspace, path: Path) -> None:
    """The same of its upper agent, above the lower agent in its own folder, and the rule that this one guides.

    Raises
    ------
    SettingError
        As above, or there is no lower agent.
    """
    _check_another(workspace.folder, path)
    check_experiment(workspace.config)
    source, below = source_in(path, "upper"), load_lower(workspace.folder, workspace.config)
    workspace.source = source._replace(agent=upper_agent(source.agent, workspace.config, below))


def _check_another(folder: OutputFolder, path: Path) -> None:
    """What is begun from stays as it is.

    Raises
    ------
    SettingError
        It would be written over.
    """
    if folder.path.resolve() == path.resolve():
        raise SettingError("out", "another folder than that of from, which stays as it is", folder)
