"""The folder of an experiment or a study: what its files are called."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from envs.core.validation import SettingError
from hierarchy.storage.files import read_json, write_json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CONFIG_NAME = "config.json"
RESULTS_NAME = "results.json"
JOURNAL_NAME = "journal.jsonl"
SEED_FOLDER = "seed-{}"
TRIAL_FOLDER = "trial-{}"


class NotTrainedError(SettingError):
    """A folder does not hold what is asked for, or not for this world."""


class OutputFolder:
    """The files of one experiment.

    Parameters
    ----------
    path
        The folder, made when something is written.

    Attributes
    ----------
    config
        Every setting, and the preset they started from.
    curves
        Metrics of the phases of training.
    rule
        Numbers that were found for the rule that agents start from, and how.
    found
        What was found on selection seeds, by name.
    score
        What the pair is worth on selection seeds that no choice has met.
    episodes
        Recordings of the arms.
    moves
        Moves of the mix in the first recorded episode, and what made them.
    results
        Figures of arms and comparisons.
    journal
        Figures for MLflow, in the order in which they came.
    delivered
        How far MLflow has them.
    undelivered
        Copies of files that it does not have yet; a folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config, self.results = path / CONFIG_NAME, path / RESULTS_NAME
        self.rule = path / "rule.json"
        self.curves, self.found, self.episodes = path / "curves.json", path / "found.json", path / "episodes.npz"
        self.moves, self.score = path / "moves.json", path / "score.json"
        self.journal, self.delivered, self.undelivered = path / JOURNAL_NAME, path / "delivered.json", path / "undelivered"

    def __str__(self) -> str:
        return str(self.path)

    def agent(self, name: str) -> Path:
        """A trained agent: ``lower``, ``upper`` or ``flat``."""
        return self.path / f"{name}.safetensors"

    @property
    def progress(self) -> Path:
        """What is done of an experiment that is not over; it goes when that is."""
        return self.path / ".progress"

    def outdate(self, name: str) -> None:
        """Remove what was made with an agent whose place another one has taken: nothing shows that it was made with that."""
        made = [self.found, self.score, self.episodes, self.moves, self.results] if name in ("lower", "upper") else []
        if name == "lower":
            made.append(self.agent("upper"))
        for path in made:
            path.unlink(missing_ok=True)

    def save_config(self, preset: str, config: DataclassInstance) -> None:
        """Write every setting."""
        write_json({"preset": preset, **dataclasses.asdict(config)}, self.config)

    @property
    def seed(self) -> int:
        """The training seed of the folder's agents."""
        seed: int = read_json(self.config)["seed"]
        return seed


def seed_folder(out: Path, seed: int) -> Path:
    """The folder of one training seed of a study."""
    return out / SEED_FOLDER.format(seed)


def trial_folder(out: Path, number: int) -> Path:
    """The folder of one trial of a sweep."""
    return out / TRIAL_FOLDER.format(number)


def seed_folders(out: Path) -> list[Path]:
    """The folders of the training seeds of a study that have results, in order; empty for a single experiment."""
    there = [folder for folder in out.glob(SEED_FOLDER.format("*")) if OutputFolder(folder).results.is_file()]
    return sorted(there, key=lambda folder: int(folder.name.rsplit("-", 1)[1]))


def trained_folders(out: Path) -> list[Path]:
    """The folders of the training seeds of a study, or the folder of a single experiment."""
    return seed_folders(out) or [out]
