"""A saved configuration is loaded as what it is, and nothing that it names is imported."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest

from envs import ComposedConfig, LoadBalancingConfig, SparkConfig
from envs.core.validation import SettingError
from hierarchy.config import ExperimentConfig
from runs.settings.experiment import from_files, from_folder, load_config, preset_config
from runs.settings.files import preset_file, preset_names
from runs.settings.usage import UsageError


def saved(folder: Path, config: ExperimentConfig, preset: str = "mine") -> Path:
    (folder / "config.json").write_text(json.dumps({"preset": preset, **dataclasses.asdict(config)}))
    return folder


@pytest.mark.parametrize("name", preset_names())
def test_what_was_saved_is_loaded(tmp_path: Path, name: str) -> None:
    config = preset_config(name, ["--seed", "7"])
    assert load_config(saved(tmp_path, config)) == ("mine", config)


def test_the_factory_of_a_world_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "unwanted_factory.py").write_text("raise AssertionError\n")
    monkeypatch.chdir(tmp_path)
    config = ExperimentConfig(env=ComposedConfig(factory="unwanted_factory:make"))
    assert load_config(saved(tmp_path, config), trusts_factory=True).config == config
    with pytest.raises(SettingError, match=r"^env\.factory must be trusted .+, got unwanted_factory:make$"):
        load_config(tmp_path)
    assert "unwanted_factory" not in sys.modules


def test_a_factory_that_is_not_trusted_is_nowhere_in_the_settings_of_a_folder(tmp_path: Path) -> None:
    saved(tmp_path, ExperimentConfig(env=ComposedConfig(factory="theirs:make", dt_s=3.0), seed=4))
    trusted, untrusted = (from_folder(tmp_path, trusts_factory) for trusts_factory in (True, False))
    assert "theirs" not in repr(untrusted.values)
    assert untrusted.untrusted == trusted.values["env"].pop("factory") == "theirs:make"
    assert untrusted.values == trusted.values
    assert trusted.untrusted is None


def test_a_file_of_another_version_is_refused_by_path(tmp_path: Path) -> None:
    values = {**dataclasses.asdict(ExperimentConfig()), "lower": {"gone": 1}}
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(SettingError, match=r"^lower\.gone must be a setting of lower \("):
        load_config(tmp_path)


def test_a_folder_without_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^folder must hold config\.json"):
        load_config(tmp_path)


def test_a_factory_asks_for_a_composed_world(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("env:\n  factory: mine:make\n")
    found = preset_config("quick", ["--env.factory", "mine:make"]).env
    assert found == ComposedConfig(factory="mine:make", episode_steps=500), "all worlds have episodes"
    assert from_files([tmp_path / "mine.yaml"]).values["env"] == {"family": "composed", "factory": "mine:make"}


def test_a_whole_config_may_come_from_a_file(tmp_path: Path) -> None:
    pool = tmp_path / "pool.yaml"
    pool.write_text("cores: [1, 2, 3, 4]\nboot_s: 2.5\n")
    found = preset_config("quick", ["--env.pool", str(pool), "--env.pool.boot_s", "3"]).env
    assert isinstance(found, LoadBalancingConfig)
    assert (found.pool.cores, found.pool.boot_s) == ([1, 2, 3, 4], 3.0)
    pool.write_text("nope: 1\n")
    with pytest.raises(SettingError, match=r"^env\.pool\.nope must be a setting of env\.pool \("):
        preset_config("quick", ["--env.pool", str(pool)])
    with pytest.raises(UsageError, match=r"^env\.pool must be a file that can be read, got nowhere\.yaml"):
        preset_config("quick", ["--env.pool", "nowhere.yaml"])


def test_a_preset_over_another_family_keeps_what_is_not_the_world(tmp_path: Path) -> None:
    found = preset_config("quick", ["--env", "spark"])
    assert found.env == SparkConfig(episode_steps=500), "all worlds have episodes"
    assert found.lower == preset_config("quick").lower


def test_a_file_may_be_laid_over_a_preset(tmp_path: Path) -> None:
    """And that over another one: what is nearest holds."""
    mine = tmp_path / "mine.yaml"
    mine.write_text("base: quick\nlower: {timesteps: 7}\n")
    found, quick, default = from_files([mine]), preset_config("quick"), preset_config("default")
    assert found.preset == "mine"
    assert found.values["lower"] == {**from_files([preset_file("quick")]).values["lower"], "timesteps": 7}
    assert found.values["lower"]["gamma"] == default.lower.gamma
    assert found.values["upper"]["meta_steps"] == quick.upper.meta_steps < default.upper.meta_steps
    mine.write_text("base: slow\n")
    with pytest.raises(UsageError, match=r"preset must be one of balancers, bounded, budget, default, .*got slow"):
        from_files([mine])
