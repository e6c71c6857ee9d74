"""What a study is: jobs for training seeds, run side by side, and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import envs
from envs import LoadBalancingConfig
from envs.core.arrays import FloatArray
from envs.core.validation import SettingError
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.statistics import interval as over_units
from runs.report.section import Caption, Section

Outcome = dict[str, Any]
"""What a study writes, as JSON."""


@dataclass(frozen=True)
class StudyOptions:
    """What a study is told beside the settings of its folder."""

    seeds: int | None = None
    traces: tuple[Path, ...] = ()


class Job(NamedTuple):
    """What one process does: one variant for one training seed, whose agents are in a folder."""

    variant: str
    config: ExperimentConfig
    folder: Path


class Study(Protocol):
    """A question, and how it is answered. Its figures are in ``NAME.json`` in the folder.

    What jobs return is kept until all are over: values of the kinds in :mod:`hierarchy.storage.values`. One whose jobs
    return records has their types as `records`.
    """

    @property
    def captions(self) -> tuple[Caption, ...]:
        """The pictures that it leaves."""

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        """What there is to do, training seeds in order."""

    def run_job(self, job: Job) -> Any:
        """One of them, in a process of its own."""

    def combine(self, results: Mapping[str, Sequence[Any]], config: ExperimentConfig) -> Outcome:
        """The figures of all, given those of each variant in the order of its jobs."""

    def sections(self, results: Outcome) -> list[Section]:
        """The figures as tables, for the terminal and the report."""

    def draw(self, results: Outcome, folder: Path) -> None:
        """Draw the pictures."""


def balancing(config: ExperimentConfig) -> LoadBalancingConfig:
    """The load-balancing world of a study that is about nothing else.

    Raises
    ------
    SettingError
        The agents were trained in another world.
    """
    if not isinstance(config.env, LoadBalancingConfig):
        raise SettingError("env.family", "load_balancing for this study", config.env.family)
    return config.env


def term_names(config: ExperimentConfig) -> tuple[str, ...]:
    """The reward terms of the world, in the order of a context."""
    return envs.describe(config.env).terms


def estimate(values: FloatArray, *effects: FloatArray) -> dict[str, Any]:
    """Mean over training seeds, and the values ``(n_seeds,)``; its t interval is over these, and over units of any other
    kind whose ``effects (n,)`` are given.
    """
    mean = float(values.mean())
    return {"mean": mean, "ci95": over_units(mean, [values, *effects]), "per_seed": values.tolist()}
