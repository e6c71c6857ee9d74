"""Who trains without the command line is told before training, too, that settings don't fit the world."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from envs import ComposedConfig
from hierarchy.config import ExperimentConfig
from hierarchy.phases.checks import check_experiment


def test_a_world_that_fits_is_not_refused(untracked_config: ExperimentConfig) -> None:
    ablation = dataclasses.replace(untracked_config.ablation, fixed=[0.5, 0.25, 0.25], constants=True)
    check_experiment(dataclasses.replace(untracked_config, ablation=ablation))


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("os:getcwd", "a function of env ids, seed and role, got os:getcwd"),
        ("makes_lists:make", "a function that makes a World, got makes_lists:make, which makes list"),
        ("nowhere:make", "MODULE:FUNCTION of a module that can be imported, got nowhere:make (ModuleNotFoundError"),
        ("os:nothing", "a function of module os, got nothing"),
        (
            "broken:make",
            "MODULE:FUNCTION of a module that can be imported, got broken:make (ZeroDivisionError: division by zero)",
        ),
        (
            "raises:make",
            "a function that makes a World, got raises:make, which raises ZeroDivisionError: division by zero (",
        ),
        ("leaves:make", "MODULE:FUNCTION of a module that can be imported, got leaves:make (SystemExit: 3)"),
    ],
)
def test_a_factory_that_makes_no_world_is_refused(
    untracked_config: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factory: str, words: str
) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "makes_lists.py").write_text("def make(env_ids, seed, role):\n    return list(env_ids)\n")
    (tmp_path / "raises.py").write_text("def make(env_ids, seed, role):\n    return 1 / 0\n")
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(3)\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^env\.factory must be ") as refused:
        check_experiment(dataclasses.replace(untracked_config, env=ComposedConfig(factory=factory)))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
