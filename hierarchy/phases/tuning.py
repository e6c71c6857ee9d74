"""Phase 0, where agents start from a rule: its numbers are found as those of other rules are, before anything is trained."""

from __future__ import annotations

import dataclasses

import envs
from hierarchy.arms.balancing import find_numbers
from hierarchy.arms.found import Chosen, to_plain
from hierarchy.arms.jobs import Jobs
from hierarchy.arms.selection import Selection
from hierarchy.arms.start import Agents
from hierarchy.arms.tuning import n_search_steps
from hierarchy.config import ExperimentConfig
from hierarchy.phases.phase import Phase, Workspace
from hierarchy.storage.files import read_json, write_json
from hierarchy.storage.folder import OutputFolder
from hierarchy.tracking.sinks import Work


def n_lower_steps(config: ExperimentConfig) -> int:
    """Lower steps of the search, which workers may do side by side; none where there is nothing to find."""
    rule = envs.base_rule(config.env)
    return 0 if rule is None or rule.numbers else n_search_steps(config, envs.describe(config.env))


def tune(workspace: Workspace) -> None:
    """Find the numbers of the rule that agents start from, if there is one and the settings leave that open."""
    config, folder = workspace.config, workspace.folder
    rule = envs.base_rule(config.env)
    if rule is None or rule.numbers:
        folder.rule.unlink(missing_ok=True)
        return
    with workspace.phase("tuning", Work(f"tuning {rule.name}", n_lower_steps(config), "lower steps")) as sink:
        selection = Selection(config, envs.describe(config.env), Agents(), Jobs(workspace.executor, sink.advance))
        chosen = find_numbers(rule.name, selection, {})
    write_json({rule.name: to_plain(chosen)}, folder.rule)
    workspace.config = with_numbers(config, chosen)
    folder.save_config(workspace.preset, workspace.config)


def with_numbers(config: ExperimentConfig, chosen: Chosen) -> ExperimentConfig:
    """Settings whose agents start from the rule with these numbers."""
    return dataclasses.replace(config, env=envs.with_numbers(config.env, chosen.numbers))


def tuned_before(config: ExperimentConfig, folder: OutputFolder) -> dict[str, Chosen]:
    """What an earlier run found for the rule that agents start from, by its name, if it was this rule."""
    rule = envs.base_rule(config.env)
    if rule is None or not folder.rule.is_file():
        return {}
    return {name: Chosen(**plain) for name, plain in read_json(folder.rule).items() if name == rule.name}


def recall(config: ExperimentConfig, folder: OutputFolder) -> ExperimentConfig:
    """Settings with the numbers that the folder's agents were trained with, where the settings leave them open."""
    rule, before = envs.base_rule(config.env), tuned_before(config, folder)
    if rule is None or rule.numbers or not before:
        return config
    return with_numbers(config, before[rule.name])


TUNING = Phase("tuning", tune)
