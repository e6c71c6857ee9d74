"""An agent acts only in a world like the one that it was trained in, even where another one has arrays as long."""

from __future__ import annotations

import dataclasses
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.core.validation import SettingError
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


def test_an_agent_that_is_code_is_not_run(folder: OutputFolder, tiny_config: ExperimentConfig, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "run",)

    folder.agent("lower").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(NotTrainedError, match=r"^lower.safetensors must be an agent that can be read, got .+$"):
        load_lower(folder, tiny_config)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("seed", range(20))
def test_an_agent_of_which_a_byte_is_another_is_refused_or_the_same(folder: OutputFolder, seed: int) -> None:
    """It is the same where the JSON in its header is written in another way."""
    path, rng = folder.agent("lower"), np.random.default_rng(seed)
    whole, before = bytearray(path.read_bytes()), read_saved(path)
    place = int(rng.integers(len(whole) if seed % 2 else 3_000))
    whole[place] ^= int(rng.integers(1, 256))
    path.write_bytes(whole)
    try:
        after = read_saved(path)
    except SettingError as error:
        refusal: str | None = str(error)
    else:
        refusal = None
    if refusal is not None:
        assert "\n" not in refusal
        return
    assert after.description == before.description
    assert {name: array.tobytes() for name, array in after.arrays.items()} == {
        name: array.tobytes() for name, array in before.arrays.items()
    }
