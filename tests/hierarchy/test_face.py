"""What a library user needs is at the top: train, evaluate, load, and a pair that decides."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import envs
import hierarchy
from envs import ComposedConfig
from envs.core.validation import SettingError
from envs.load_balancing.config import Actions, ServerPool, Telemetry
from hierarchy import ExperimentConfig
from hierarchy.storage.folder import NotTrainedError, OutputFolder


def test_importing_it_costs_no_torch() -> None:
    code = "import sys, hierarchy; print('torch' in sys.modules, 'mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False False\n"


def test_a_user_trains_evaluates_and_deploys(untracked_config: ExperimentConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(untracked_config, ablation=dataclasses.replace(untracked_config.ablation, heuristics=False))
    found = hierarchy.train(config, tmp_path)
    again = hierarchy.evaluate(tmp_path)
    for name in ("learned", "fixed_best", "regime_oracle", "random"):
        ours, theirs = found["arms"][name], again["arms"][name]
        assert ours is not None
        assert theirs is not None
        assert ours["objective"]["per_seed"] == theirs["objective"]["per_seed"], name
    trained = hierarchy.load(tmp_path)
    assert trained.config == config
    simulation = envs.simulate(config.env, 2)
    simulation.reset()
    pair = trained.pair(simulation.world)
    assert isinstance(pair, hierarchy.Pair)
    weights = pair.decide(simulation.measurements)
    assert weights.shape == (2, 2, 2)
    assert np.isfinite(weights).all()


def test_a_folder_without_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        SettingError, match=r"^folder must be one that holds config.json \(made by train or ablate\), got .+$"
    ):
        hierarchy.load(tmp_path)


COMPOSED = """
from pathlib import Path
from envs.load_balancing.world import compose
from tests.conftest import TINY

Path("imported").touch()

def make(env_ids, seed, role):
    return compose(TINY.env, env_ids, seed, role)
"""


def test_the_factory_of_a_folder_is_imported_only_if_it_is_trusted(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "composed_by_them.py").write_text(COMPOSED)
    monkeypatch.chdir(tmp_path)
    folder = OutputFolder(shutil.copytree(trained.out, tmp_path / "sent"))
    env = ComposedConfig(factory="composed_by_them:make", episode_steps=trained.config.env.episode_steps)
    theirs = dataclasses.replace(
        trained.config, env=env, ablation=dataclasses.replace(trained.config.ablation, oracles=False)
    )
    folder.save_config("tiny", theirs)
    line = r"^env\.factory must be trusted .+ trusts_factory=True\) .+, got composed_by_them:make$"
    for opened in (hierarchy.load, hierarchy.evaluate):
        with pytest.raises(SettingError, match=line):
            opened(folder.path)
    assert hierarchy.evaluate(folder.path, trained.config)["arms"]["learned"] is not None, "in a world of the user's own"
    assert not (tmp_path / "imported").exists()
    assert isinstance(hierarchy.load(folder.path, trusts_factory=True).pair(), hierarchy.Pair)
    assert hierarchy.evaluate(folder.path, trusts_factory=True)["arms"]["learned"] is not None
    assert (tmp_path / "imported").exists()


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"fixed": [1.0, 2.0]}, r"ablation.fixed must be 3 weights \(fairness, latency, cost\), got \[1.0, 2.0\]"),
        ({"constants": True}, r"ablation.constants must be false unless there are 1 to 5,000 actions, got .+"),
    ],
    ids=["fixed", "constants"],
)
def test_settings_that_do_not_fit_the_world_are_refused_before_anything_is_written(
    untracked_config: ExperimentConfig, tmp_path: Path, settings: dict[str, Any], line: str
) -> None:
    """Weights are continuous actions."""
    actions = dataclasses.replace(untracked_config.env.actions, mode="weights")
    env = dataclasses.replace(untracked_config.env, actions=actions)
    ablation = dataclasses.replace(untracked_config.ablation, **settings)
    with pytest.raises(ValueError, match=f"^{line}$"):
        hierarchy.train(dataclasses.replace(untracked_config, env=env, ablation=ablation), tmp_path / "out")
    assert not (tmp_path / "out").exists()


ONE_SERVER = ServerPool(cores=[2], speed=[1.0], price_usd_per_h=[0.2], memory_gb=[4.0])


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"actions": Actions(levels=[0.0, 1.0, 2.0])}, "lower agent must be trained for levels 0.0, 1.0, 2.0, got "),
        ({"telemetry": Telemetry(ground_truth=True)}, "lower agent must be trained for features "),
        (
            {"pool": ServerPool(cores=[2], speed=[1.0], price_usd_per_h=[0.2], memory_gb=[4.0])},
            "lower agent .* n_parts 1, got 2",
        ),
    ],
    ids=["levels", "features", "parts"],
)
def test_a_pair_for_another_world_is_refused_by_the_field_that_differs(
    trained: Any, settings: dict[str, Any], line: str
) -> None:
    world = envs.simulate(dataclasses.replace(trained.config.env, **settings), 1).world
    with pytest.raises(NotTrainedError, match=f"^{line}"):
        hierarchy.load(trained.out).pair(world)
