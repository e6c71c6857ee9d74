"""An agent acts only in a world like the one that it was trained in, even where another one has arrays as long."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from envs.load_balancing.config import Actions
from hierarchy.config import ExperimentConfig
from hierarchy.storage.agents import load_lower, load_upper
from hierarchy.storage.folder import NotTrainedError, OutputFolder
from hierarchy.storage.saved import read_saved, write_saved


@pytest.fixture
def folder(trained: Any, tmp_path: Path) -> OutputFolder:
    """A copy of the folder of a tiny experiment, to write in."""
    return OutputFolder(Path(shutil.copytree(trained.out, tmp_path / "copied")))


def other_world(config: ExperimentConfig, **changes: Any) -> ExperimentConfig:
    return dataclasses.replace(config, env=dataclasses.replace(config.env, **changes))


def with_spec(folder: OutputFolder, name: str, **changes: Any) -> None:
    """As if the agent had been trained in a world of another specification."""
    saved = read_saved(folder.agent(name))
    spec = saved.description["spec"] | changes
    write_saved(saved._replace(description={**saved.description, "spec": spec}), folder.agent(name))


def test_agents_are_loaded_in_their_own_world(folder: OutputFolder, tiny_config: ExperimentConfig) -> None:
    assert load_lower(folder, tiny_config).start(2) is not None
    assert load_upper(folder, tiny_config).start(2) is not None


def test_other_levels_of_equal_number_are_refused(folder: OutputFolder, tiny_config: ExperimentConfig) -> None:
    other = other_world(tiny_config, actions=Actions(levels=[0.0, 1.0, 2.0, 3.0]))
    expected = r"^lower.safetensors must be trained for levels 0\.0, 1\.0, 2\.0, 3\.0, got 0\.0, 1\.0, 1\.5, 2\.0$"
    with pytest.raises(NotTrainedError, match=expected):
        load_lower(folder, other)


@pytest.mark.parametrize("field", ["features", "shared", "terms"])
def test_other_names_of_equal_number_are_refused(folder: OutputFolder, tiny_config: ExperimentConfig, field: str) -> None:
    description = read_saved(folder.agent("lower")).description
    with_spec(folder, "lower", **{field: [f"other_{i}" for i in range(len(description["spec"][field]))]})
    with pytest.raises(NotTrainedError, match=rf"^lower.safetensors must be trained for {field} .+, got other_0, other_1"):
        load_lower(folder, tiny_config)


def test_other_statistics_are_refused_by_the_upper_agent(folder: OutputFolder, tiny_config: ExperimentConfig) -> None:
    with_spec(folder, "upper", observed=["nothing"])
    with pytest.raises(NotTrainedError, match=r"^upper.safetensors must be trained for observed .+, got nothing$"):
        load_upper(folder, tiny_config)


def test_what_is_missing_or_damaged_is_named(folder: OutputFolder, tiny_config: ExperimentConfig) -> None:
    folder.agent("lower").write_bytes(b"no agent")
    with pytest.raises(NotTrainedError, match=r"^lower.safetensors must be an agent that can be read, got .+$"):
        load_lower(folder, tiny_config)
    folder.agent("upper").unlink()
    with pytest.raises(
        NotTrainedError, match=r"^out must be a folder that holds upper.safetensors \(made by train-upper\), got .+$"
    ):
        load_upper(folder, tiny_config)
