"""A study on a cluster that loses a node ends with the bits of one that ran in this process, in MLflow as well."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hierarchy.config import ExperimentConfig, TrackingConfig
from hierarchy.storage.folder import OutputFolder, seed_folder
from hierarchy.storage.lock import LOCK_NAME
from hierarchy.study import run_study
from hierarchy.tracking.progress import Silent
from runs.benchmarks.nodes import nodes_of
from tests.hierarchy.executors.rays import parent, raylet, until
from tests.hierarchy.left import left_by
from tests.hierarchy.test_resuming import stored

pytestmark = pytest.mark.slow

N_SEEDS = 4
DELIVERED = "delivered.json"
"""Places in a journal, which says when a job went on."""


def under_way(out: Path, node: int) -> list[Path]:
    """Folders of training seeds that a worker of a node is at work on, and of whose agent there is a checkpoint."""
    found = []
    for seed in range(N_SEEDS):
        folder = seed_folder(out, seed)
        if list((folder / ".progress" / "lower" / "checkpoints").glob("*.json")):
            holder = (folder / LOCK_NAME).read_text().strip() if (folder / LOCK_NAME).exists() else ""
            if holder and parent(int(holder)) == node:
                found.append(folder)
    return found


class Lost(threading.Thread):
    """Ends a node while it trains, without a word; ``cut`` are folders of what it was at work on."""

    def __init__(self, nodes: Any, out: Path) -> None:
        super().__init__(daemon=True)
        self._nodes, self._out = nodes, out
        self.cut: list[Path] = []

    def run(self) -> None:
        (node,) = self._nodes.worker_nodes
        self.cut = until(lambda: under_way(self._out, raylet(node)))
        self._nodes.remove_node(node, allow_graceful=False)
        self.cut = [folder for folder in self.cut if not OutputFolder(folder).results.exists()]


def test_a_study_that_loses_a_node(
    untracked_config: ExperimentConfig, empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lower = replace(untracked_config.lower, timesteps=60 * 32)
    config = replace(untracked_config, lower=lower, tracking=TrackingConfig(), checkpoint_s=0.0)
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        shutil.copy(empty_store, tmp_path / name / empty_store.name)
    run_study(config, tmp_path / "here" / "out", "tiny", N_SEEDS, Silent())
    with nodes_of(2) as nodes:
        monkeypatch.setenv("RAY_ADDRESS", nodes.address)
        lost = Lost(nodes, tmp_path / "there" / "out")
        lost.start()
        run_study(replace(config, executor="ray"), tmp_path / "there" / "out", "tiny", N_SEEDS, Silent())
        lost.join(10)
        assert nodes.head_node.remaining_processes_alive(), "who joins a cluster does not end it"
    assert lost.cut, "a node was lost while it trained"
    begun_again = (lost.cut[0] / "journal.jsonl").read_text().splitlines()
    assert "again" in [json.loads(line)["record"] for line in begun_again]
    here, there = (
        {file: content for file, content in left_by(tmp_path / name / "out").items() if Path(file).name != DELIVERED}
        for name in ("here", "there")
    )
    assert there.pop("config.json") != here.pop("config.json"), "it says what ran the jobs"
    assert there == here
    assert stored(tmp_path / "there") == stored(tmp_path / "here")
