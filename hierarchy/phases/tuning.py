"""Phase 0, where agents start from a rule: numbers are found as those of other rules are, before anything is trained.

Where settings leave open which rule, that with the best objective on the selection seeds of its search is taken.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import envs
from hierarchy.arms.balancing import find_numbers
from hierarchy.arms.found import Chosen, to_plain
from hierarchy.arms.jobs import Jobs
from hierarchy.arms.selection import Selection
from hierarchy.arms.start import Agents
from hierarchy.arms.tuning import n_search_steps
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.config import ExperimentConfig
from hierarchy.executors.inline import Inline
from hierarchy.phases.phase import Phase, Workspace
from hierarchy.storage.bundle import is_bundle
from hierarchy.storage.files import plain_settings, read_json, write_json
from hierarchy.storage.folder import OutputFolder
from hierarchy.storage.ledger import Ledger
from hierarchy.storage.trained import config_of
from hierarchy.tracking.sinks import Work


def rules_to_tune(config: ExperimentConfig) -> tuple[str, ...]:
    """Those whose numbers are to be found; none where agents start from none, or settings have the numbers."""
    rule = envs.base_rule(config.env)
    return () if rule is None or rule.numbers else rule.candidates


def n_lower_steps(config: ExperimentConfig) -> int:
    """Lower steps of all searches, which workers may do side by side."""
    return len(rules_to_tune(config)) * n_search_steps(config, envs.describe(config.env))


def search(name: str, config: ExperimentConfig, ledger: Ledger) -> Chosen:
    """The best numbers of a rule, in whatever process."""
    jobs = Jobs(Inline(), ledger=ledger)
    return find_numbers(name, Selection(config, envs.describe(config.env), Agents(), jobs), {})


def tune(workspace: Workspace) -> None:
    """Find the numbers of the rules that agents may start from, if settings leave that open, and start from the best."""
    config, folder = workspace.config, workspace.folder
    names = rules_to_tune(config)
    if not names:
        folder.rule.unlink(missing_ok=True)
        return
    n_steps = n_search_steps(config, envs.describe(config.env))
    title = f"tuning {names[0]}" if len(names) == 1 else f"tuning {len(names)} rules"
    with workspace.phase("tuning", Work(title, len(names) * n_steps, "lower steps")) as sink:
        jobs, ledger = Jobs(workspace.executor, sink.advance, workspace.ledger), workspace.ledger
        searches = [jobs.submit(search, name, config, ledger.below(name), n_steps=n_steps) for name in names]
        found = dict(zip(names, jobs.results(searches), strict=True))
    plain = {name: to_plain(chosen) for name, chosen in found.items()}
    write_json({"searched": searched(workspace.config), "rules": plain}, folder.rule)
    workspace.config = started_from_best(config, found)
    folder.save_config(workspace.preset, workspace.config)


def started_from_best(config: ExperimentConfig, found: Mapping[str, Chosen]) -> ExperimentConfig:
    """Settings whose agents start from the best of the rules that were tuned, of equal ones the first."""
    best = max(found, key=lambda name: (-found[name].beyond, found[name].mean))
    return dataclasses.replace(config, env=envs.with_numbers(config.env, best, found[best].numbers))


def searched(config: ExperimentConfig) -> dict[str, Any]:
    """What a search for numbers depends on: the world but for the rule that agents start from, seeds, and its budget."""
    plain = plain_settings(config)
    world, settings = plain["env"], plain["ablation"]
    world["actions"] = {name: value for name, value in world["actions"].items() if name not in ("rule", "numbers")}
    budget = {name: settings[name] for name in ("n_trials", "n_trial_seeds", "select_windows")}
    return {"env": world, "seed": config.seed, "window_steps": lower_steps_per_window(config), **budget}


def tuned_before(config: ExperimentConfig, folder: OutputFolder) -> dict[str, Chosen]:
    """What an earlier run found for the rules that agents may start from, by name, if it was for all of them."""
    rule = envs.base_rule(config.env)
    if rule is None or not folder.rule.is_file():
        return {}
    found = {name: Chosen(**plain) for name, plain in read_json(folder.rule)["rules"].items()}
    return found if set(rule.candidates) <= found.keys() else {}


def found_for(config: ExperimentConfig, folder: OutputFolder) -> dict[str, Chosen]:
    """The same if the search was for this world, by this budget: else these rules are not what a search would find now."""
    found = tuned_before(config, folder)
    return found if found and read_json(folder.rule)["searched"] == searched(config) else {}


def recall(config: ExperimentConfig, folder: OutputFolder) -> ExperimentConfig:
    """Settings with the rule and numbers that the folder's agents were trained with, where the settings leave them open."""
    before = tuned_before(config, folder)
    open_to = set(rules_to_tune(config)) & before.keys()
    if open_to:
        return started_from_best(config, {name: before[name] for name in before if name in open_to})
    return guided_as_in(config, folder.path) if rules_to_tune(config) and folder.config.is_file() else config


def guided_as_in(config: ExperimentConfig, path: Path) -> ExperimentConfig:
    """Settings with the rule and numbers that those of a folder or a bundle have, where they leave them open."""
    made_with = config_of(path, trusts_factory=True)  # which imports nothing
    rule = envs.base_rule(made_with.env)
    if rule is None or not rule.numbers or rule.candidates[0] not in rules_to_tune(config):
        return config
    return dataclasses.replace(config, env=envs.with_numbers(config.env, rule.candidates[0], rule.numbers))


def guided_by(config: ExperimentConfig, path: Path) -> ExperimentConfig:
    """Settings with the rule and numbers that the agents in a folder or a bundle were trained to guide, likewise."""
    return guided_as_in(config, path) if is_bundle(path) else recall(config, OutputFolder(path))


def of_seed(config: ExperimentConfig, path: Path) -> ExperimentConfig:
    """The settings that go with the agents in a folder: its training seed, and the rule that they were trained to guide."""
    seed = config_of(path, trusts_factory=True).seed if is_bundle(path) else OutputFolder(path).seed
    return guided_by(dataclasses.replace(config, seed=seed), path)


TUNING = Phase("tuning", tune)
