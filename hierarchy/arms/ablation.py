"""The ablation: what arms need is found on selection seeds, then every arm runs on the same evaluation seeds."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any

import torch as th

import envs
from envs.core.rules import MEASUREMENTS
from envs.core.spec import WorldSpec
from envs.core.validation import SettingError
from hierarchy.arms import arms_of
from hierarchy.arms.arm import Arm
from hierarchy.arms.found import Found, dependencies_first, is_record, to_plain
from hierarchy.arms.jobs import NOTHING_KEPT, Advance, Job, Jobs, nothing
from hierarchy.arms.running import on_evaluation_seeds, play
from hierarchy.arms.selection import Selection
from hierarchy.arms.start import Agents
from hierarchy.building.windows import episode_steps
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.arms import OURS, Facts
from hierarchy.evidence.episodes import Episodes
from hierarchy.executors import Executor
from hierarchy.executors.inline import Inline
from hierarchy.storage.files import read_json
from hierarchy.storage.ledger import Ledger

FOUND = Path("found.json")
"""What things found are called where no file holds them."""


MIXED = ("learned", "mix", "oracle", "gated")
"""Kinds of arms that set contexts, if they are a pair."""

Values = dict[str, Any]
"""What was found, by name."""
NOTHING: Mapping[str, Any] = {}


def wanted_arms(config: ExperimentConfig, spec: WorldSpec) -> dict[str, Arm]:
    """The arms that settings ask for and the world can define."""
    return {name: arm for name, arm in arms_of(config.env).items() if arm.wanted(config, spec)}


def all_needs(arms: Mapping[str, Arm]) -> list[Found]:
    """What must be found for arms, in order."""
    return dependencies_first(need for arm in arms.values() for need in arm.needs)


def n_lower_steps(config: ExperimentConfig, known: Container[str] = ()) -> int:
    """Env steps that the whole ablation takes at most, selection included, where what is ``known`` need not be found."""
    spec = envs.describe(config.env)
    arms = wanted_arms(config, spec)
    selecting = sum(found.n_lower_steps(config, spec) for found in all_needs(arms) if found.name not in known)
    return selecting + len(arms) * _n_steps_of_arm(config)


def _n_steps_of_arm(config: ExperimentConfig) -> int:
    return config.ablation.n_seeds * episode_steps(config, config.ablation.episode_windows)


def _find_alone(
    found: Found, config: ExperimentConfig, spec: WorldSpec, agents: Agents, before: Values, ledger: Ledger
) -> Any:
    """What is one stretch of work, in whatever process it runs."""
    th.set_num_threads(config.threads)
    return found.find(Selection(config, spec, agents, Jobs(Inline(), ledger=ledger)), before)


class Ablation:
    """The arms of one experiment: found, run, and put together in their order.

    Parameters
    ----------
    config
        Settings.
    agents
        What was trained.
    executor
        Where everything runs that needs nothing of each other.
    advance
        Takes in lower steps as they are done.
    known
        What has been found before, by name.
    ledger
        Keeps what is done.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        agents: Agents,
        executor: Executor,
        advance: Advance = nothing,
        known: Mapping[str, Any] = NOTHING,
        ledger: Ledger = NOTHING_KEPT,
    ) -> None:
        self.config, self.spec, self._known = config, envs.describe(config.env), known
        self._agents, self._advance, self._n_steps = agents, advance, 0
        self._jobs, self._ledger = Jobs(executor, self._count, ledger), ledger
        self._selection = Selection(config, self.spec, agents, self._jobs)
        self._running: dict[str, Job[Episodes]] = {}

    def _count(self, n_steps: int) -> None:
        self._n_steps += n_steps
        self._advance(n_steps)

    def run(self, on_found: Callable[[Values], object] = dict) -> dict[str, Episodes | None]:
        """Find what is needed and run all arms; those that are not wanted are None.

        ``on_found`` takes in what was found, by name, as soon as all of it is. What was announced and needed no steps counts
        as done in the end: a choice that was clear early.
        """
        arms = wanted_arms(self.config, self.spec)
        values = self.find(arms)
        on_found({found.name: values[found.name] for found in all_needs(arms) if found.kept})
        episodes = self.play(arms, values)
        self._count(max(0, n_lower_steps(self.config, self._known) - self._n_steps))
        return episodes

    def find(self, arms: Mapping[str, Arm]) -> Values:
        """All that arms need. What is one job goes to a worker as soon as it can, the rest is found here meanwhile."""
        values: Values = dict(self._known)
        alone: dict[str, Job[Any]] = {}
        left = {found.name: found for found in all_needs(arms) if found.name not in values}
        while left:
            ready = {name: one for name, one in left.items() if all(need.name in values for need in one.needs)}
            for found in ready.values():
                if found.one_job and found.name not in alone:
                    alone[found.name] = self._submit_alone(found, values)
            name = next((name for name, one in ready.items() if not one.one_job), next(iter(ready)))
            if name in alone:
                [values[name]] = self._jobs.results([alone[name]])
            else:
                values[name] = left[name].find(self._selection, values)
            del left[name]
            self._submit(arms, values)
        return values

    def _submit_alone(self, found: Found, values: Values) -> Job[Any]:
        n_steps = found.n_lower_steps(self.config, self.spec)
        before = {need.name: values[need.name] for need in found.needs}
        arguments = (found, self.config, self.spec, self._agents, before, self._ledger.below(found.name))
        return self._jobs.submit(_find_alone, *arguments, n_steps=n_steps, urgent=True)

    def play(self, arms: Mapping[str, Arm], values: Mapping[str, Any]) -> dict[str, Episodes | None]:
        """Run arms for which everything has been found, of all that there are; the others are None."""
        self._submit(arms, values)
        self._jobs.results(list(self._running.values()))
        jobs = {name: self._running.get(name) for name in arms_of(self.config.env)}
        return {name: None if job is None else job.result for name, job in jobs.items()}

    def _submit(self, arms: Mapping[str, Arm], values: Mapping[str, Any]) -> None:
        """Begin with the arms that wait for nothing any more."""
        for name, arm in arms.items():
            if name in self._running or any(need.name not in values for need in arm.needs):
                continue
            found = {need.name: values[need.name] for need in arm.needs}
            world = arm.configured(self.config.env, found)
            batch = on_evaluation_seeds(self.config, world)
            arguments = (self.config, self._agents, found, arm.start, batch, arm.kind in MIXED, name == OURS)
            self._running[name] = self._jobs.submit(play, *arguments, n_steps=_n_steps_of_arm(self.config))


def facts_of(config: ExperimentConfig) -> dict[str, Facts]:
    """What results say of every arm beside its figures."""
    base = envs.base_rule(config.env)
    told = MEASUREMENTS if base is None else base.knows  # to agents that start from a rule
    return {
        name: Facts(arm.kind, arm.algorithm(config), told if arm.kind != "rule" and arm.knows == MEASUREMENTS else arm.knows)
        for name, arm in arms_of(config.env).items()
    }


def kept_names(config: ExperimentConfig) -> list[str]:
    """What the output folder may hold of things found; what no arm needs is None there."""
    return [found.name for found in all_needs(arms_of(config.env)) if found.kept]


def to_json(config: ExperimentConfig, values: Values) -> dict[str, Any]:
    """What was found, as plain values; None where nothing was asked for."""
    return {name: to_plain(values[name]) if name in values else None for name in kept_names(config)}


def from_json(config: ExperimentConfig, plain: Mapping[str, Any], where: Path = FOUND) -> Values:
    """What was found in a world that the agents were trained in, as far as it says anything in the world of ``config``.

    Raises
    ------
    SettingError
        The plain values are damaged, or another version wrote them; ``where`` they are is named.
    """
    spec = envs.describe(config.env)
    try:
        needs = [found for found in all_needs(arms_of(config.env)) if found.kept and plain.get(found.name) is not None]
        values = {found.name: found.from_plain(plain[found.name]) for found in needs}
        return {found.name: values[found.name] for found in needs if found.fits(values[found.name], spec)}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise SettingError(where.name, "as this version of ablate writes it", f"{where}: ablate again") from None


def read_found(config: ExperimentConfig, path: Path) -> Values:
    """The same, of a file of such plain values."""
    return from_json(config, read_json(path), path)


def of_results(values: Values) -> dict[str, dict[str, Any]]:
    """What results say of what was found: records, by name."""
    return {name: to_plain(value) for name, value in values.items() if is_record(value)}
