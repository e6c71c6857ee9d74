"""The table of additions holds: every row is followed in a copy of the tree, one new file and one entry each, and used."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from hierarchy.config import ExperimentConfig
from hierarchy.storage.saved import read_saved
from tests.docs.pages import ROOT, rows

pytestmark = pytest.mark.slow
ADDITIONS = Path(__file__).parent / "additions"
PATH = re.compile(r"`([\w/]+\.py)`")


class Addition(NamedTuple):
    """What is added as a row of the table says: the name of the new file, what to import of it, and the entry."""

    file: str
    imported: str
    entry: str


ADDED: dict[str, Addition] = {
    "a dispatch rule": Addition("first", "first", '"first": first.RULE, '),
    "an arrival source": Addition("clockwork", "clockwork", '"clockwork": clockwork.SOURCE, '),
    "a reward term": Addition("busy", "busy", '"busy": busy, '),
    "an objective": Addition("frugal", "Frugal", '"frugal": Frugal, '),
    "a world": Addition("tank", "TankConfig", '"tank": Family(TankConfig, "envs.tank"), '),
    "a game of several agents": Addition("staghunt", "StagHunt", '"staghunt": StagHunt, '),
    "an arm": Addition("corners", "corners", '"corners": corners.ARM, '),
    "a lower algorithm": Addition("one_epoch", "OneEpochConfig", '"one_epoch": OneEpochConfig, '),
    "an upper algorithm": Addition("restless", "RestlessConfig", '"restless": RestlessConfig, '),
    "a memory of an upper agent": Addition("faded", "FadedConfig", '"faded": FadedConfig, '),
    "a team's algorithm": Addition("worst_off", "WorstOffConfig", '"worst_off": WorstOffConfig, '),
    "an executor": Addition("aside", "Aside", '"aside": Aside, '),
    "a study": Addition("count", "", '"count": About("how many training seeds there are"), '),
    "a command": Addition("hello", "HELLO", "HELLO, "),
}
OWN_MODULE = ("a dispatch rule", "an arrival source", "an arm")
"""Where the module itself is imported."""


def follow(root: Path, row: list[str]) -> None:
    """Do what a row of the table says in a copy of the tree."""
    what, write, enter = row
    added = ADDED[what]
    target = root / PATH.search(write.replace("NAME", added.file))[1]  # type: ignore[index]
    assert not target.exists(), target
    shutil.copy(ADDITIONS / f"{added.file}.py", target)
    registry, path = re.match(r"`(\w+)` of `([\w/.]+)`", enter).groups()  # type: ignore[union-attr]
    source = (root / path).read_text(encoding="utf-8")
    opening = rf"^({registry}\b[^=]*= \{{)" if what != "a command" else r"(for command in \()"
    entered, n = re.subn(opening, rf"\1{added.entry}", source, count=1, flags=re.MULTILINE)
    assert n == 1, f"{path} must hold {registry}"
    module = str(target.relative_to(root).with_suffix("")).replace("/", ".")
    package = module.rpartition(".")[0]
    origin = package if what in OWN_MODULE else module
    line = f"from {origin} import {added.imported}\n" if added.imported else ""
    future = "from __future__ import annotations\n"
    (root / path).write_text(entered.replace(future, f"{future}{line}", 1), encoding="utf-8")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages in which all rows were followed."""
    root = tmp_path_factory.mktemp("tree")
    for package in ("envs", "hierarchy", "runs"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__", "out"))
    for row in rows("docs/architecture.md", "to add"):
        follow(root, row)
    return root


def run(tree: Path, *words: str) -> str:
    """A command line in the copy; what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, "-m", "runs.cli", *words]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(tree: Path, tiny_config: ExperimentConfig) -> Path:
    """An experiment with all that was added to the balancing world and to the hierarchy."""
    small = json.loads(json.dumps(dataclasses.asdict(tiny_config)))
    small["env"] = {name: small["env"][name] for name in ("pool", "actions", "episode_steps")}
    small["env"] |= {
        "dispatch": "first",
        "workload": {"arrivals": {"source": "clockwork", "slow_down": 1.5}},
        "objective": {"name": "frugal", "late_usd_per_h": 7.0},
    }
    small["lower"]["algorithm"], small["upper"]["algorithm"] = "one_epoch", "restless"
    small["upper"]["memory"] = {"kind": "faded", "left": 0.25}
    small["tracking"], small["executor"] = {"enabled": False}, "aside"
    small["ablation"]["heuristics"] = False  # every rule compiles the simulator anew
    (tree / "added.json").write_text(json.dumps(small), encoding="utf-8")
    run(tree, "train", "--config", "added.json", "--out", "trained")
    return tree / "trained"


def test_every_row_of_the_table_is_followed() -> None:
    assert [row[0] for row in rows("docs/architecture.md", "to add")] == list(ADDED)


def test_a_rule_a_source_a_term_an_objective_an_arm_and_algorithms_are_used(trained: Path) -> None:
    config = json.loads((trained / "config.json").read_text())
    assert config["executor"] == "aside"
    assert config["env"]["dispatch"] == {"rule": "first"}
    assert config["env"]["workload"]["arrivals"] == {"source": "clockwork", "slow_down": 1.5}
    results = json.loads((trained / "results.json").read_text())
    learned, corner = results["arms"]["learned"], results["arms"]["corners"]
    assert set(learned["context"]) == {"busy", "fairness", "latency", "cost"}
    assert learned["algorithm"] == "restless"
    assert sorted(corner["context"].values()) == [0.0, 0.0, 0.0, 1.0]
    assert "corner" in json.loads((trained / "found.json").read_text())
    assert read_saved(trained / "lower.safetensors").description["algorithm"] == "one_epoch"
    form = read_saved(trained / "upper.safetensors").description["form"]
    assert form["memory"]["kind"] == "faded"
    assert form["context"]["sizes"][0] == 2 * form["memory"]["n_features"]
    assert all(arm is None or arm["objective"]["mean"] <= 0.0 for arm in results["arms"].values())


def test_a_study_is_run(trained: Path, tree: Path) -> None:
    assert "training seeds" in run(tree, "study", "count", str(trained))
    assert json.loads((trained / "count.json").read_text()) == {"n": 1}


def test_a_command_is_there(tree: Path) -> None:
    assert run(tree, "hello", "--whom", "reader") == "hello, reader\n"
    assert "say hello" in run(tree, "--help")


def test_a_game_is_played(tree: Path) -> None:
    play = """
from envs import games
game = games.GAMES["staghunt"]()
batch = games.make(game, 2)
print(batch.step(game.optimum().policy(batch.reset())).reward.sum(), [one.team_reward for one in game.nash()])
"""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(
        [sys.executable, "-c", play], cwd=tree, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "16.0 [8.0, 2.0]\n"


def test_a_team_is_trained(tree: Path) -> None:
    train = """
from envs import games
from hierarchy.team import TEAM_ALGORITHMS
game = games.GAMES["monotone"]()
config = TEAM_ALGORITHMS["worst_off"](timesteps=3_200, warm_up=512, learning_rate=1e-2)
learner = config.build(games.make(game, 32), 0)
learner.learn(config.timesteps)
saved = learner.saved("team")
print(saved.description["algorithm"], config.actor(saved).start(1).act(games.make(game, 1).reset()).shape)
"""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(
        [sys.executable, "-c", train], cwd=tree, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "worst_off (1, 2)\n"


def test_a_world_is_trained_in(tree: Path, tiny_config: ExperimentConfig) -> None:
    small = json.loads(json.dumps(dataclasses.asdict(tiny_config)))
    small["env"], small["tracking"] = {"family": "tank", "leak": 0.2, "episode_steps": 16}, {"enabled": False}
    (tree / "tank.json").write_text(json.dumps(small), encoding="utf-8")
    run(tree, "train", "--config", "tank.json", "--out", "tank")
    results = json.loads((tree / "tank" / "results.json").read_text())
    assert set(results["arms"]["learned"]["context"]) == {"too_low", "level"}
