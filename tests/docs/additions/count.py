"""How many training seeds a folder holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hierarchy.config import ExperimentConfig
from hierarchy.storage.folder import trained_folders
from runs.report.section import Caption, Section
from runs.studies.study import Job, StudyOptions


class Count:
    """A job is a training seed."""

    captions: tuple[Caption, ...] = ()

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        return [Job("all", config, one) for one in trained_folders(folder)]

    def run_job(self, job: Job) -> int:
        return 1

    def combine(self, results: Mapping[str, Sequence[Any]], config: ExperimentConfig) -> dict[str, Any]:
        return {"n": sum(results["all"])}

    def sections(self, results: dict[str, Any]) -> list[Section]:
        return [Section("Count", "That is all.", [["what", "number"], ["training seeds", str(results["n"])]])]

    def draw(self, results: dict[str, Any], folder: Path) -> None: ...


STUDY = Count()
