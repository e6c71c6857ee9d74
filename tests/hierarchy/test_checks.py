"""Who trains without the command line is told before training, too, that settings don't fit the world."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hierarchy.checks import check_world

from envs import ComposedConfig
from hierarchy.config import ExperimentConfig
from hierarchy.experiment import Experiment, train
from hierarchy.tracking.progress import Silent


def with_ablation(config: ExperimentConfig, **changes: Any) -> ExperimentConfig:
    return dataclasses.replace(config, ablation=dataclasses.replace(config.ablation, **changes))


def test_a_mix_of_another_length_is_refused_before_anything_is_written(
    untracked_config: ExperimentConfig, tmp_path: Path
) -> None:
    config = with_ablation(untracked_config, fixed=[0.5, 0.5])
    with pytest.raises(
        ValueError, match=r"^ablation.fixed must be 3 weights \(fairness, latency, cost\), got \[0.5, 0.5\]$"
    ):
        train(Experiment(config, tmp_path / "out", "tiny", Silent()))
    assert not (tmp_path / "out").exists()


def test_a_world_that_fits_is_not_refused(untracked_config: ExperimentConfig) -> None:
    check_world(with_ablation(untracked_config, fixed=[0.5, 0.25, 0.25]))


def test_constants_need_few_actions(untracked_config: ExperimentConfig) -> None:
    actions = dataclasses.replace(untracked_config.env.actions, mode="weights")  # type: ignore[attr-defined]
    env = dataclasses.replace(untracked_config.env, actions=actions)  # type: ignore[type-var]
    with pytest.raises(ValueError, match=r"^ablation.constants must be"):
        check_world(with_ablation(dataclasses.replace(untracked_config, env=env), constants=True))


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("os:getcwd", "a function of env ids, seed and role, got os:getcwd"),
        ("operator:itemgetter", "a function that makes an envs.core.batch.World, got itemgetter"),
        ("nowhere:make", "a function of a module that can be imported, got nowhere:make (ModuleNotFoundError"),
        ("os:nothing", "the name of a function of os, got 'nothing'"),
        (
            "broken:make",
            "a function of a module that can be imported, got broken:make (ZeroDivisionError: division by zero)",
        ),
        ("leaves:make", "a function of a module that can be imported, got leaves:make (SystemExit: 3)"),
    ],
)
def test_a_factory_that_makes_no_world_is_refused(
    untracked_config: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factory: str, words: str
) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(3)\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^env\.factory must be ") as refused:
        check_world(dataclasses.replace(untracked_config, env=ComposedConfig(factory=factory)))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
