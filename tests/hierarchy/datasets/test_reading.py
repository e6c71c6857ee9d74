"""A dataset that is damaged, empty, of another making or of another world is refused in a line that names what differs."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import envs
from envs import SparkConfig
from envs.core.validation import SettingError
from envs.load_balancing.config import ServerPool
from hierarchy import extras
from hierarchy.config import ExperimentConfig
from hierarchy.datasets.dataset import ARRAYS_NAME, DATA_NAME, KEY, digest_of
from hierarchy.datasets.reading import check_fits, check_rule, read_dataset, read_said
from tests.hierarchy.collecting.made import lasting, of_rule


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.conftest import TINY

    return of_rule(lasting(TINY, 8), tmp_path_factory.mktemp("dataset") / "made")


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    shutil.copytree(original, tmp_path / "made")
    return tmp_path / "made"


def sealed(folder: Path) -> None:
    """Have the sum of a dataset be right, whatever is in it."""
    path = folder / DATA_NAME / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata[KEY]["sha256"] = digest_of(metadata[KEY]["said"], folder / DATA_NAME / ARRAYS_NAME)
    path.write_text(json.dumps(metadata))


def changed(folder: Path, **said: Any) -> None:
    """Have metadata say something else."""
    path = folder / DATA_NAME / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata[KEY] |= said
    path.write_text(json.dumps(metadata))


def test_a_whole_one_is_read(original: Path) -> None:
    assert [episode.n_actions for episode in read_dataset(original, "data").episodes] == [8, 8, 8]


def flip_a_byte(folder: Path) -> None:
    path = folder / DATA_NAME / ARRAYS_NAME
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)


def cut_arrays(folder: Path) -> None:
    path = folder / DATA_NAME / ARRAYS_NAME
    path.write_bytes(path.read_bytes()[:5000])


def of_nobody(folder: Path) -> None:
    path = folder / DATA_NAME / "metadata.json"
    metadata = json.loads(path.read_text())
    del metadata[KEY]
    path.write_text(json.dumps(metadata))


def cut_metadata(folder: Path) -> None:
    path = folder / DATA_NAME / "metadata.json"
    path.write_text(path.read_text()[:400])


def list_as_metadata(folder: Path) -> None:
    (folder / DATA_NAME / "metadata.json").write_text("[]")


def said_otherwise(folder: Path) -> None:
    path = folder / DATA_NAME / "metadata.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "not_there": (shutil.rmtree, "doesn't exist"),
    "no_metadata": (lambda folder: (folder / DATA_NAME / "metadata.json").unlink(), "No data found"),
    "no_arrays": (lambda folder: (folder / DATA_NAME / ARRAYS_NAME).unlink(), "No such file"),
    "a_byte": (flip_a_byte, "its sum is another one"),
    "cut": (cut_arrays, "its sum is another one"),
    "cut_and_sealed": (lambda folder: (cut_arrays(folder), sealed(folder)), "made by metabalance dataset"),
    "cut_metadata": (cut_metadata, "made by metabalance dataset"),
    "list": (list_as_metadata, "made by metabalance dataset"),
    "seed": (said_otherwise, "its sum is another one"),
    "foreign": (of_nobody, "its metadata has no metabalance"),
    "other_schema": (lambda folder: changed(folder, schema=99), "schema 99, not 1"),
}


@pytest.mark.parametrize(("damage", "said"), DAMAGE.values(), ids=DAMAGE)
def test_what_is_damaged_is_refused(folder: Path, damage: Callable[[Path], object], said: str) -> None:
    damage(folder)
    with pytest.raises(SettingError, match=said) as refused:
        read_dataset(folder, "lower.data")
    line = str(refused.value)
    assert line.startswith("lower.data must be a dataset that can be read (made by metabalance dataset), got")
    assert "\n" not in line


def emptied(arrays: h5py.File) -> None:
    for name in list(arrays):
        for key in list(arrays[name]):
            if isinstance(arrays[name][key], h5py.Dataset):
                arrays[name][key].resize(1 if key == "observations" else 0, axis=0)
        for key in ("propensity", "random"):
            arrays[name]["infos"][key].resize(0, axis=0)


def set_entry(path: str, value: Any) -> Callable[[h5py.File], None]:
    def change(arrays: h5py.File) -> None:
        arrays["episode_1"][path][2] = value

    return change


def shortened(path: str) -> Callable[[h5py.File], None]:
    return lambda arrays: arrays["episode_1"][path].resize(5, axis=0)


def without(path: str) -> Callable[[h5py.File], None]:
    def change(arrays: h5py.File) -> None:
        del arrays["episode_1"][path]

    return change


WRONG: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "empty": (emptied, "data must be a dataset with at least one action, got .* with 3 episodes"),
    "no_level": (
        set_entry("actions", [0, 9, 0, 0]),
        r"data.actions must be in MultiDiscrete.* in env 1, got \[0, 9, 0, 0\]",
    ),
    "negative": (set_entry("actions", [0, -1, 0, 0]), r"data.actions must be in MultiDiscrete.*, got \[0, -1, 0, 0\]"),
    "no_number": (set_entry("rewards", np.nan), "data.rewards must be finite numbers in env 1"),
    "infinite": (set_entry("observations", np.inf), "data.observations must be finite numbers in env 1"),
    "no_chance": (set_entry("infos/propensity", 0.0), "data.propensity must be > 0 in env 1, got 0"),
    "short": (shortened("observations"), r"data.observations must be of shape \(9, \d+\) in env 1, got \(5, \d+\)"),
    "few_actions": (shortened("actions"), r"data.actions must be of shape \(8, 4\) in env 1, got \(5, 4\)"),
    "a_term_less": (without("infos/reward_terms/cost"), "data.reward_terms must be fairness, latency, cost in env 1, got"),
    "no_propensity": (without("infos/propensity"), "data must be a dataset that can be read"),
}


@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(folder: Path, change: Callable[[h5py.File], None], said: str) -> None:
    """Though every sum is right."""
    with h5py.File(folder / DATA_NAME / ARRAYS_NAME, "a") as arrays:
        change(arrays)
    sealed(folder)
    with pytest.raises(SettingError, match=said):
        read_dataset(folder, "data")


def other_worlds(config: ExperimentConfig) -> dict[str, Any]:
    pool = ServerPool(cores=[2, 1, 1], speed=[1.0] * 3, price_usd_per_h=[0.2, 0.1, 0.1], memory_gb=[4.0] * 3)
    return {
        "terms": SparkConfig(),
        "n_parts": dataclasses.replace(config.env, pool=pool),
        "levels": lasting(config, 8, levels=[0.0, 1.0, 1.5, 3.0]).env,
        "action_space": lasting(config, 8, levels=[0.0, 1.0]).env,
        "features": dataclasses.replace(config.env, telemetry=dataclasses.replace(config.env.telemetry, ground_truth=True)),
    }


@pytest.mark.parametrize("field", ["terms", "n_parts", "levels", "action_space", "features"])
def test_another_world_is_named_by_the_field(original: Path, tiny_config: ExperimentConfig, field: str) -> None:
    said, _ = read_said(original, "data")
    check_fits(said, envs.describe(lasting(tiny_config, 99).env), "data")
    with pytest.raises(SettingError, match=rf"^data\.{field} must be .*, as in the world to learn for, got ."):
        check_fits(said, envs.describe(other_worlds(tiny_config)[field]), "data")


def test_another_base_rule_is_named(tiny_config: ExperimentConfig, tmp_path: Path) -> None:
    guided = lasting(tiny_config, 8, mode="guided")
    from hierarchy.collecting.sources import numbered

    numbers = numbered(guided)
    said, _ = read_said(of_rule(numbers, tmp_path / "made"), "data")
    check_rule(said, numbers.env, "data")
    with pytest.raises(SettingError, match=r"^data\.base_rule must be that of the world, .* with numbers to be found"):
        check_rule(said, guided.env, "data")
    with pytest.raises(SettingError, match=r"^data\.base_rule must be that of the world, none"):
        check_rule(said, tiny_config.env, "data")


def test_without_minari_the_extra_is_named(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"pip install 'metabalance\[offline\]'"):
        read_said(original, "data")
