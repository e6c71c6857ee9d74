"""`metabalance evaluate --data`: values told from a dataset, and what can't be told refused in one line."""

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

from hierarchy import extras
from hierarchy.datasets.dataset import ARRAYS_NAME, DATA_NAME, KEY
from runs.cli import main
from tests.conftest import TINY
from tests.hierarchy.collecting.made import lasting, of_rule
from tests.hierarchy.datasets.test_reading import sealed

Refused = Callable[..., str]
Capture = pytest.CaptureFixture[str]
SHORT = ["--horizon", 2]
SHARE = ["--random_share", 0.2]


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def data(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pair did, with a share of its actions drawn."""
    made = tmp_path_factory.mktemp("offline") / "recorded-v0"
    assert run("dataset", trained.out, "--to", made, "--episodes", 60, *SHARE) == 0
    return made


@pytest.fixture
def copied(data: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    shutil.copytree(data, tmp_path / "made")
    return tmp_path / "made"


def told(folder: Path, data: Path, out: Path, *options: object) -> Any:
    assert run("evaluate", folder, "--data", data, "--json", out, *options) == 0
    return json.loads(out.read_text())


def test_who_acted_is_worth_what_was_got(trained: Any, data: Path, tmp_path: Path, capsys: Capture) -> None:
    """The same pair, which draws as many actions: every ratio is one, and its memory is what it was."""
    before = {path.name: path.read_bytes() for path in trained.out.iterdir() if path.is_file()}
    found = told(trained.out, data, tmp_path / "values.json", *SHORT, *SHARE)
    assert {path.name: path.read_bytes() for path in trained.out.iterdir() if path.is_file()} == before
    [agent] = found["agents"].values()
    own, wis = agent["behaviour"], agent["estimators"]["wis"]
    assert wis["mean"] == pytest.approx(own["mean"])
    assert wis["ci95"] == pytest.approx(own["ci95"])
    assert wis["gain"] == pytest.approx(0.0, abs=1e-9)
    assert agent["overlap"]["effective_pieces"] == pytest.approx(agent["overlap"]["pieces"])
    assert agent["estimators"]["fqe"]["ci95"][0] <= own["mean"] <= agent["estimators"]["fqe"]["ci95"][1]
    printed = capsys.readouterr().out
    assert "off-policy values of recurrent_ppo, seed 0" in printed
    assert f"{wis['mean']:.4f}" in printed
    assert "over 2 actions, discount 0.95, from where the behaviour (pair: recurrent_ppo, likeliest actions" in printed
    assert "480 pieces of 60 episodes" in printed


def test_a_bundle_is_worth_the_same(trained: Any, data: Path, tmp_path: Path) -> None:
    assert run("export", trained.out, "--to", tmp_path / "bundle") == 0
    ours, theirs = (
        told(folder, data, tmp_path / f"{folder.name}.json", *SHORT) for folder in (trained.out, tmp_path / "bundle")
    )
    assert ours["agents"] == theirs["agents"]


def test_another_mix_is_another_value(trained: Any, data: Path, tmp_path: Path, capsys: Capture) -> None:
    found = told(trained.out, data, tmp_path / "values.json", *SHORT, "--ablation.fixed", "[0,2,2]")
    assert found["mix"] == {"fairness": 0.0, "latency": 0.5, "cost": 0.5}
    assert "mixes: 0 fairness, 0.5 latency, 0.5 cost" in capsys.readouterr().out
    on_record = told(trained.out, data, tmp_path / "others.json", *SHORT)
    assert on_record["mix"] is None
    of_mixes = [next(iter(one["agents"].values()))["behaviour"]["mean"] for one in (found, on_record)]
    assert of_mixes[0] != pytest.approx(of_mixes[1])


def test_what_a_record_says_nothing_of_has_no_number(trained: Any, tmp_path: Path, capsys: Capture) -> None:
    """Actions drawn from 256, of which a pair takes one."""
    drawn = of_rule(lasting(TINY, 16), tmp_path / "drawn", episodes=12, random_share=1.0)
    found = told(trained.out, drawn, tmp_path / "values.json", *SHORT)
    [agent] = found["agents"].values()
    printed = capsys.readouterr().out
    for name, one in agent["estimators"].items():
        assert one["mean"] is None
        assert one["refused"].startswith("not enough overlap: ")
        assert f"{name} refused: {one['refused']}" in printed
    assert agent["behaviour"]["mean"] is not None


def test_another_world_of_the_same_kind_is_said_to_be_one(trained: Any, data: Path, tmp_path: Path, capsys: Capture) -> None:
    told(trained.out, data, tmp_path / "values.json", *SHORT, "--env.pool.price_usd_per_h", "[0.4,0.2]")
    line = "note: values are those in the world of the dataset, whose settings are others: env.pool.price_usd_per_h\n"
    assert capsys.readouterr().err == line


def test_what_can_not_be_is_refused(refused: Refused, trained: Any, data: Path, tmp_path: Path) -> None:
    here = ["evaluate", trained.out, "--data", data]
    assert refused("evaluate", trained.out, "--horizon", 5) == "horizon must be left out without data, got 5"
    assert refused("evaluate", trained.out, "--draws", "true") == "draws must be left out without data, got True"
    assert refused(*here, "--horizon", 0).startswith("horizon must be > 0")
    assert refused(*here, "--horizon", 17) == (
        "horizon must be at most the 16 actions of the longest episode in the dataset, got 17"
    )
    assert refused(*here, "--discount", "nan").startswith("discount must be")
    assert refused(*here, "--ablation.fixed", "[1,1]").startswith("ablation.fixed must be 3 weights")
    assert refused("evaluate", trained.out, "--data", tmp_path / "none").startswith(
        "data must be a dataset that can be read"
    )
    other = refused(*here, "--env.actions.levels", "[0.0,1.0]")
    assert other.startswith("data.action_space must be")


def test_numbers_and_densities_are_refused(refused: Refused, trained: Any, tmp_path: Path) -> None:
    made = of_rule(lasting(TINY, 16, mode="weights"), tmp_path / "numbers")
    line = refused("evaluate", trained.out, "--data", made, "--env.actions.mode", "weights")
    assert line.startswith("data.propensity must be probability, of one choice of several")
    assert refused("evaluate", trained.out, "--data", made).startswith("data.action_space must be")


def test_several_agents_are_refused(refused: Refused, trained: Any, tmp_path: Path) -> None:
    balancers = {"balancers": {"n": 2}}
    config = dataclasses.replace(TINY, env=dataclasses.replace(TINY.env, balancers=type(TINY.env.balancers)(n=2)))
    made = of_rule(lasting(config, 16), tmp_path / "team")
    (tmp_path / "two.json").write_text(json.dumps({"env": balancers}))
    line = refused("evaluate", trained.out, "--data", made, "--config", tmp_path / "two.json")
    assert line.startswith("env must be a world with one agent for --data"), line


def set_first(path: str, value: Any) -> Callable[[h5py.File], None]:
    def change(arrays: h5py.File) -> None:
        arrays["episode_1"][path][0] = value

    return change


def dropped(arrays: h5py.File) -> None:
    del arrays["episode_1"]["infos"]["propensity"]


def as_text(arrays: h5py.File) -> None:
    infos = arrays["episode_1"]["infos"]
    n = len(infos["propensity"])
    del infos["propensity"]
    infos["propensity"] = np.full(n, b"one")


HOSTILE: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "no_propensity": (dropped, "no propensity: how likely each action was is not on record"),
    "certain_twice": (set_first("infos/propensity", 2.0), "data.propensity must be at most 1 in env 1, got 2"),
    "never": (set_first("infos/propensity", 0.0), "data.propensity must be > 0 in env 1, got 0"),
    "no_number": (set_first("rewards", np.nan), "data.rewards must be finite numbers in env 1, got others"),
    "no_term": (
        set_first("infos/reward_terms/cost", np.inf),
        "data.reward_terms.cost must be finite numbers in env 1, got others",
    ),
    "text": (as_text, "data.propensity must be numbers in env 1, got |S3"),
}


@pytest.mark.parametrize(("change", "line"), HOSTILE.values(), ids=HOSTILE)
def test_damage_is_named(
    refused: Refused, trained: Any, copied: Path, change: Callable[[h5py.File], None], line: str
) -> None:
    """Though every sum is right."""
    with h5py.File(copied / DATA_NAME / ARRAYS_NAME, "a") as arrays:
        change(arrays)
    sealed(copied)
    assert line in refused("evaluate", trained.out, "--data", copied)


@pytest.mark.parametrize(
    "said", [{"env": []}, {"base_rule": 3}, {"base_rule": {"names": ["sed"]}}, {"spec": []}, {"propensity": ["probability"]}]
)
def test_metadata_of_another_form_is_refused(refused: Refused, trained: Any, copied: Path, said: dict[str, Any]) -> None:
    path = copied / DATA_NAME / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata[KEY]["said"] |= said
    path.write_text(json.dumps(metadata))
    sealed(copied)
    assert refused("evaluate", trained.out, "--data", copied).startswith("data")


def test_without_minari_the_extra_is_named(
    refused: Refused, trained: Any, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    line = refused("evaluate", trained.out, "--data", data)
    assert line == f"data must be one whose packages are installed (pip install 'metabalance[offline]'), got {data}"
