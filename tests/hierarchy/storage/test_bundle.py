"""A bundle is what was trained, to the byte, or it is refused in one line; nothing of it is run."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from safetensors.numpy import load, save

import envs
from envs.core.validation import SettingError
from envs.load_balancing.config import Actions
from envs.load_balancing.rules.base import numbers_of
from hierarchy.building import upper
from hierarchy.phases.tuning import of_seed
from hierarchy.storage import trained as pairs
from hierarchy.storage.bundle import BUNDLE_NAME, Bundle, bundled, read_bundle, write_bundle
from hierarchy.storage.files import plain_settings
from hierarchy.storage.folder import OutputFolder

LOWER, UPPER = "lower.safetensors", "upper.safetensors"
FILES = (BUNDLE_NAME, LOWER, UPPER)
N_MUTATIONS = 1_000
UPSIDE_DOWN = {"kind": "box", "low": [1], "high": [0]}
KINDS = ("flip", "cut", "add")


@pytest.fixture(scope="module")
def bundle(trained: Any) -> Bundle:
    return bundled(trained.out, trained.config, "a key")


@pytest.fixture(scope="module")
def written(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is after every test as it was before."""
    folder = tmp_path_factory.mktemp("bundle") / "one"
    write_bundle(bundle, folder)
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy to write in."""
    return Path(shutil.copytree(written, tmp_path / "copied"))


def sum_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def rendered(entry: Any) -> bytes:
    return (json.dumps(entry, indent=1) + "\n").encode()


def resealed(folder: Path, change: Callable[[Any], object] = lambda entry: None, **files: bytes) -> None:
    """Change a bundle as somebody would who knows how its sums are made."""
    entry = json.loads((folder / BUNDLE_NAME).read_bytes())
    for name, data in files.items():
        (folder / f"{name}.safetensors").write_bytes(data)
        entry["sha256"][f"{name}.safetensors"] = sum_of(data)
    change(entry)
    del entry["sha256"][BUNDLE_NAME]
    entry["sha256"][BUNDLE_NAME] = sum_of(rendered(entry))
    (folder / BUNDLE_NAME).write_bytes(rendered(entry))


def refusal(folder: Path) -> str:
    with pytest.raises(SettingError) as raised:
        pairs.load(folder)
    line = str(raised.value)
    assert "\n" not in line
    return line


# What it holds.


def test_a_bundle_acts_as_what_was_trained(written: Path, trained: Any) -> None:
    ours, theirs = pairs.load(written), pairs.load(trained.out)
    config, acted = trained.config, []
    for one in (ours, theirs):
        simulation = upper.simulation(config, "evaluate", [0, 1, 2], 4)
        simulation.reset()
        pair = one.pair(simulation.world)
        acted.append([])
        while not simulation.ended.all():
            weights = pair.decide(simulation.measurements)
            acted[-1].append(np.concatenate([weights.reshape(3, -1), pair.context], axis=1))
            simulation.advance(weights)
    assert_array_equal(*acted)
    assert len(np.unique(np.concatenate(acted[0]), axis=0)) > 4, "decisions must change for this to be a test"


def test_it_says_what_it_is(bundle: Bundle, written: Path, trained: Any) -> None:
    again = read_bundle(written)
    assert again.settings == {"preset": "tiny", **plain_settings(trained.config)}
    assert pairs.config_of(written) == trained.config
    assert again.spec == envs.describe(trained.config.env)
    assert again.found == json.loads(OutputFolder(trained.out).found.read_text())
    assert (again.run, again.versions) == ("a key", bundle.versions)
    assert {"torch", "python", "numpy"} <= again.versions.keys()
    entry = json.loads((written / BUNDLE_NAME).read_text())
    assert entry["lower"]["form"]["history"] == trained.config.lower.history
    assert entry["sha256"].keys() == set(FILES)


def test_it_holds_what_acts_and_nothing_else(written: Path, trained: Any) -> None:
    assert sorted(path.name for path in written.iterdir()) == sorted(FILES)
    whole = OutputFolder(trained.out).agent("lower").stat().st_size
    assert (written / LOWER).stat().st_size < 0.7 * whole, "no critic"
    assert all(name.startswith("acting.") for name in load((written / LOWER).read_bytes()))


def test_a_bundle_of_a_bundle_is_the_same(written: Path, trained: Any, tmp_path: Path) -> None:
    write_bundle(bundled(written, trained.config), tmp_path / "again")
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (written / name).read_bytes()


def test_it_is_loaded_with_torch_and_without_a_learner(written: Path) -> None:
    code = (
        "import sys, hierarchy; pair = hierarchy.load(sys.argv[1]); pair.lower.start(2); pair.upper.start(2); "
        "print([name for name in ('stable_baselines3', 'sb3_contrib', 'mlflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(written)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# What is refused.


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert refusal(folder).startswith(f"{BUNDLE_NAME} must be" if name != BUNDLE_NAME else "folder must be one that holds")


@settings(max_examples=N_MUTATIONS, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(FILES), st.floats(0, 1, exclude_max=True), st.integers(1, 255), st.sampled_from(KINDS))
def test_any_change_of_any_byte_is_refused(written: Path, name: str, at: float, by: int, kind: str) -> None:
    path = written / name
    whole = path.read_bytes()
    place = int(at * len(whole))
    changed = {
        "flip": whole[:place] + bytes([whole[place] ^ by]) + whole[place + 1 :],
        "cut": whole[:place],
        "add": whole[:place] + bytes([by]) + whole[place:],
    }[kind]
    path.write_bytes(changed)
    try:
        with pytest.raises(SettingError) as raised:
            read_bundle(written)
    finally:
        path.write_bytes(whole)
    assert str(raised.value).startswith(f"{BUNDLE_NAME} must be a bundle that can be read, got ")
    assert "\n" not in str(raised.value)


def with_value(*keys: Any, value: Any) -> Callable[[Any], None]:
    def change(entry: Any) -> None:
        for key in keys[:-1]:
            entry = entry[key]
        entry[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (with_value("schema", value=2), r"bundle.json must be a bundle that can be read, got .+ \(schema 2, not 1\)"),
        (with_value("lower", "algorithm", value="other"), "algorithm must be other, that of lower.safetensors"),
        (with_value("lower", "form", "hidden_size", value=2**40), "form.hidden_size must be >= 1 and <= 65536"),
        (with_value("lower", "form", "hidden_size", value=7), "lower.safetensors must be with acting.+ of float32"),
        (with_value("lower", "form", "extra", value=1), "form.extra must be a setting of form"),
        (with_value("lower", "form", value=[]), "form must be a mapping of settings"),
        (with_value("upper", "form", "sizes", value=[5, 3]), "upper.safetensors must be the parameters of its networks"),
        (with_value("upper", "form", "action_scale", value=0.5), "form.action_scale must be 0.75"),
        (with_value("upper", "form", value={"sizes": [5, 3]}), "form.action_scale must be given"),
        (with_value("lower", "form", "hidden_size", value=10**400), "form.hidden_size must be >= 1"),
        (with_value("lower", "form", "action", value=UPSIDE_DOWN), "form.action.low must be no number above"),
        (with_value("config", "seed", value="x"), "seed must be an integer"),
        (with_value("config", "seed", value=10**400), "seed must be"),
        (with_value("spec", "terms", value=["a", "b", "c"]), "bundle.json must be trained for terms"),
        (with_value("spec", "dt_s", value=7.0), "bundle.json must be trained for dt_s"),
        (with_value("spec", value={}), "bundle.json must be a bundle that can be read"),
        (with_value("config", "env", "pool", "cores", value=[4]), "env.pool"),
        (with_value("config", "lower", "timesteps", value=-1), "lower.timesteps must be > 0, got -1"),
        (with_value("config", "surprise", value=1), "surprise must be a setting of"),
        (with_value("found", value=3), "bundle.json must be a bundle that can be read"),
    ],
)
def test_a_bundle_that_is_sealed_but_wrong_is_refused(folder: Path, change: Any, line: str) -> None:
    resealed(folder, change)
    found = refusal(folder)
    assert re.match(line, found), found


def tensors(folder: Path, name: str = "lower") -> dict[str, np.ndarray]:
    return load((folder / f"{name}.safetensors").read_bytes())


@pytest.mark.parametrize("name", ["lower", "upper"])
def test_tensors_that_do_not_fit_are_refused(folder: Path, name: str) -> None:
    whole = tensors(folder, name)
    first = sorted(whole)[0]
    changes = {
        "without": {key: value for key, value in whole.items() if key != first},
        "with acting.more": {**whole, "acting.more": np.zeros(3, np.float32)},
        "finite": {**whole, first: np.full_like(whole[first], np.nan)},
        "float64": {**whole, first: whole[first].astype(np.float64)},
        "(": {**whole, first: np.zeros((*whole[first].shape, 1), np.float32)},
    }
    for said, arrays in changes.items():
        resealed(folder, **{name: save(arrays)})
        line = refusal(folder)
        assert line.startswith(f"{name}.safetensors must be"), line
        assert said in line, line


def test_code_in_place_of_tensors_is_not_run(folder: Path, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "run",)

    resealed(folder, lower=pickle.dumps(Hostile()))
    assert refusal(folder).startswith(f"{BUNDLE_NAME} must be a bundle that can be read")
    assert not (tmp_path / "run").exists()


def test_the_factory_of_a_bundle_is_imported_only_if_it_is_trusted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hostile_bundle.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w').close()\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    resealed(folder, with_value("config", "env", value={"family": "composed", "factory": "hostile_bundle:make"}))
    assert refusal(folder).startswith("env.factory must be trusted with --trust-factory")
    assert not (tmp_path / "run").exists()
    with pytest.raises(SettingError, match=r"factory must be a function of module hostile_bundle"):
        pairs.load(folder, trusts_factory=True)
    assert (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["lower", "upper"])
def test_networks_that_fit_one_another_but_no_world_are_refused(folder: Path, name: str) -> None:
    arrays = {key: value.copy() for key, value in tensors(folder, name).items()}
    entry = json.loads((folder / BUNDLE_NAME).read_bytes())
    if name == "lower":
        arrays["acting.action_net.weight"] = arrays["acting.action_net.weight"][:-4]
        arrays["acting.action_net.bias"] = arrays["acting.action_net.bias"][:-4]
        sizes = entry["lower"]["form"]["action"]["sizes"]
        change = with_value("lower", "form", "action", "sizes", value=sizes[:-1])
    else:
        first = arrays["acting.0.weight"]
        arrays["acting.0.weight"] = np.concatenate([first, first[:, :1]], axis=1)
        change = with_value("upper", "form", "sizes", value=[first.shape[1] + 1, *entry["upper"]["form"]["sizes"][1:]])
    resealed(folder, change, **{name: save(arrays)})
    assert re.match(rf"{name}.safetensors must be an agent whose networks? fits? its world, got .+", refusal(folder))


def test_a_bundle_gives_agents_the_rule_that_they_were_trained_over(trained: Any, tmp_path: Path) -> None:
    """As the folder of an experiment does, where settings leave it open."""
    world = replace(trained.config.env, actions=Actions(mode="guided", rule="best"), backends="class")
    asked = replace(trained.config, env=world)
    name = envs.base_rule(world).candidates[-1]  # type: ignore[union-attr]  # a guided world has one
    numbers = numbers_of(replace(world, actions=Actions(mode="guided", rule=name)))
    made_with = replace(asked, env=envs.with_numbers(world, name, numbers), seed=7)
    agents = bundled(trained.out, trained.config)
    write_bundle(replace(agents, settings=plain_settings(made_with)), tmp_path / "one")
    given = of_seed(asked, tmp_path / "one")
    assert given.seed == 7
    assert envs.base_rule(given.env) == envs.base_rule(made_with.env)
