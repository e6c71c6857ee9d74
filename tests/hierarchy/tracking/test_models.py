"""The pair of an experiment as a model of MLflow: it is there once, and decides as the pair does."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as StoredRun
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

import envs
from envs.core.arrays import Array
from hierarchy import load
from hierarchy.pair import Window
from hierarchy.protocols import SavedAgent
from hierarchy.storage.bundle import bundled, read_bundle, write_bundle
from hierarchy.storage.files import digest_of
from hierarchy.tracking import mlflow_runs
from hierarchy.tracking.mlflow_models import NAME, LoggedRun, is_of, log_pair, requirements, write_model
from hierarchy.tracking.mlflow_store import KEY_TAG, open_experiment, open_store, store_uri
from hierarchy.tracking.shipper import Synced
from hierarchy.tracking.syncing import sync
from tests.hierarchy.tracking.stored import runs_of, tracker_of
from tests.hierarchy.tracking.test_foreign_folders import KEY, journal_of

N_ENVS, N_STEPS = 3, 120


@pytest.fixture(scope="module")
def version(client: MlflowClient) -> ModelVersion:
    (version,) = client.search_model_versions(f"name = '{NAME}'")
    return version


@pytest.fixture(scope="module")
def model(version: ModelVersion) -> Any:
    return mlflow.pyfunc.load_model(version.source)


def test_an_experiment_is_one_version_with_its_run(
    client: MlflowClient, version: ModelVersion, parent: StoredRun, trained: Any
) -> None:
    assert version.run_id == parent.info.run_id
    assert version.tags == {KEY_TAG: parent.data.tags[KEY_TAG]}
    (logged,) = client.search_logged_models([parent.info.experiment_id])
    assert (str(logged.status), logged.source_run_id) == ("READY", parent.info.run_id)
    assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": NAME, "version": 1}]
    (output,) = client.get_run(parent.info.run_id).outputs.model_outputs
    assert output.model_id == logged.model_id
    bundle = read_bundle(Path(version.source.removeprefix("file://")) / "artifacts" / "bundle")
    assert bundle.run == parent.data.tags[KEY_TAG]
    assert dict(bundle.settings)["seed"] == trained.config.seed
    assert not (trained.out / "undelivered").exists()


def test_nothing_of_it_is_pickle(version: ModelVersion) -> None:
    files = {path.name for path in Path(version.source.removeprefix("file://")).rglob("*") if path.is_file()}
    readable = {"MLmodel", "served.py", "bundle.json", "lower.safetensors", "upper.safetensors"}
    examples = {"input_example.json", "serving_input_example.json"}
    assert files == readable | examples | {"conda.yaml", "python_env.yaml", "requirements.txt"}


def test_its_signature_is_of_the_pair(model: Any, trained: Any) -> None:
    spec = envs.describe(trained.config.env)
    inputs = {one.name: one.shape for one in model.metadata.get_input_schema().inputs}
    outputs = {one.name: one.shape for one in model.metadata.get_output_schema().inputs}
    assert inputs["context"] == outputs["context"] == (-1, len(spec.terms))
    assert inputs["window"] == (-1, len(spec.observed))
    assert set(inputs) == {"observation", "window", "begins", "context", "keep", "hidden", "carried"}
    assert set(outputs) == {"action", "context", "next_hidden", "next_carried"}


def test_its_example_is_the_beginning_of_an_episode(model: Any) -> None:
    example = model.input_example
    assert np.array_equal(example["begins"], np.ones((2, 1)))
    out = model.predict({name: np.asarray(value, np.float32) for name, value in example.items()})
    assert out["context"].sum(1) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", ["observation", "window", "hidden"])
def test_what_is_no_number_is_not_remembered(model: Any, name: str) -> None:
    inputs = {one: np.asarray(value, np.float32) for one, value in model.input_example.items()}
    inputs[name] = np.full_like(inputs[name], np.nan)
    with pytest.raises(ValueError, match=f"{name} must be finite"):
        model.predict(inputs)


class Deciding:
    """The loaded model in the place of both agents of a pair."""

    def __init__(self, model: Any) -> None:
        self._model, self._n_terms = model, 3
        example = model.input_example
        zeros = {name: np.zeros((N_ENVS, np.shape(example[name])[1]), np.float32) for name in example}
        self._memory = {name: zeros[name] for name in ("hidden", "carried")}
        self.context = np.full((N_ENVS, self._n_terms), 1 / 3, np.float32)
        self._window, self._begins = zeros["window"], 0.0

    def begin(self, window: Window) -> None:
        self._window, self._begins = window.observation[:, : -self._n_terms], 1.0

    def act(self, observation: Array, keep: float) -> Array:
        ones = np.ones((N_ENVS, 1), np.float32)
        inputs = {"observation": observation[:, : -self._n_terms], "window": self._window, "context": self.context}
        out = self._model.predict({**inputs, "begins": ones * self._begins, "keep": ones * keep, **self._memory})
        self.context, self._begins = out["context"], 0.0
        self._memory = {name: out[f"next_{name}"] for name in self._memory}
        action: Array = out["action"]
        return action


def drawn(agent: SavedAgent) -> SavedAgent:
    rng = np.random.default_rng(1)
    return agent._replace(arrays={name: rng.normal(size=old.shape).astype(old.dtype) for name, old in agent.arrays.items()})


def test_it_decides_as_the_pair(trained: Any, tmp_path: Path) -> None:
    """Both see what the pair does: the same actions, contexts within 1e-6. Parameters are large enough for it to do much."""
    bundle = bundled(trained.out, trained.config)
    bundle = dataclasses.replace(bundle, lower=drawn(bundle.lower), upper=drawn(bundle.upper))
    write_bundle(bundle, tmp_path / "bundle")
    write_model(bundle, tmp_path / "model")
    model, agents = mlflow.pyfunc.load_model(str(tmp_path / "model")), load(tmp_path / "bundle")
    simulation = envs.simulate(agents.config.env, N_ENVS, 5)
    pair = agents.pair(simulation.world)
    deciding, contexts, actions = Deciding(model), [], []
    set_contexts, act = pair._setter.contexts, pair._lower.act

    def beside(window: Window) -> Array:
        deciding.begin(window)
        contexts.append(set_contexts(window))
        return contexts[-1]

    def beside_act(observation: Array) -> Array:
        action = act(observation)
        actions.append((action, deciding.act(observation, float(bool(actions)))))
        assert np.abs(deciding.context - pair.context).max() < 1e-6
        return action

    pair._setter.contexts, pair._lower.act = beside, beside_act  # type: ignore[method-assign]
    simulation.reset()
    for _ in range(N_STEPS):
        simulation.advance(pair.decide(simulation.measurements))
    assert len(contexts) > 10
    assert all(np.array_equal(ours, theirs) for ours, theirs in actions)
    assert len({action.tobytes() for action, _ in actions}) > 3
    assert len({context.tobytes() for context in contexts}) > 3


class LostError(Exception):
    """An answer did not arrive."""


class Losing:
    """A client whose calls take effect; the answer of one of them is lost."""

    def __init__(self, client: MlflowClient, number: int) -> None:
        self._client, self._left = client, number

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            answer = getattr(self._client, name)(*arguments, **named)
            self._left -= 1
            if self._left == 0:
                raise LostError
            return answer

        return call


def test_it_is_there_once_whichever_answer_is_lost(out_root: Path, trained: Any) -> None:
    client, bundle, n_answers = open_store(store_uri(out_root)), bundled(trained.out, trained.config), 0

    def log(client: Any, run: LoggedRun) -> None:
        log_pair(client, run, lambda folder: write_model(bundle, folder), answered)

    def answered() -> None:
        nonlocal n_answers
        n_answers += 1

    experiment_id = open_experiment(client, "metabalance", (out_root / "artifacts").as_uri())
    n_lost = 0
    while True:
        key = f"{n_lost:032x}"
        run_id = client.create_run(experiment_id, tags={KEY_TAG: key}).info.run_id
        losing: Any = Losing(client, n_lost + 1)
        try:
            log(losing, LoggedRun(experiment_id, run_id, key))
            break
        except LostError:
            n_lost += 1
        log(client, LoggedRun(experiment_id, run_id, key))
        (version,) = client.search_model_versions(f"name = '{NAME}' and tags.`{KEY_TAG}` = '{key}'")
        (logged,) = client.search_logged_models([experiment_id], f"tags.`{KEY_TAG}` = '{key}'")
        (output,) = client.get_run(run_id).outputs.model_outputs
        assert (version.run_id, logged.source_run_id, output.model_id) == (run_id, run_id, logged.model_id)
        assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": NAME, "version": int(version.version)}]
    assert n_lost > 15
    assert n_answers > n_lost, "nobody takes it for dead meanwhile"


def model_record(copy: str, sha256: str = "0" * 64) -> dict[str, object]:
    return {"record": "model", "run": KEY, "copy": copy, "sha256": sha256}


@pytest.mark.parametrize("copy", ["gone/bundle", "linked", "undelivered/1/bundle", "files"])
def test_what_is_not_the_bundle_that_was_journaled_is_refused(out_root: Path, trained: Any, copy: str) -> None:
    """Missing, outside of the folder, another one, and one with a link to such a file."""
    outside, folder = out_root / "outside", out_root / "hostile"
    write_bundle(bundled(trained.out, trained.config), outside)
    digest = "0" * 64 if copy.startswith("undelivered") else digest_of(outside / "bundle.json")
    journal_of(folder, model_record(copy, digest))
    write_bundle(bundled(trained.out, trained.config), folder / "undelivered" / "1" / "bundle")
    (folder / "linked").symlink_to(outside)
    shutil.copytree(outside, folder / "files")
    (folder / "files" / "upper.safetensors").unlink()
    (folder / "files" / "upper.safetensors").symlink_to(outside / "upper.safetensors")
    assert sync(folder).n_refused == 1
    assert open_store(store_uri(out_root)).search_model_versions(f"name = '{NAME}'") == []


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "ENDPOINT_NOT_FOUND", "RESOURCE_DOES_NOT_EXIST"])
def test_a_run_ends_where_its_pair_can_not_be_registered(
    out_root: Path, trained: Any, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that knows accounts says the first to who may track but not register."""
    name = mlflow.protos.databricks_pb2.ErrorCode.Value(code)

    def refuse(*_: Any) -> None:
        raise MlflowException("no", error_code=name)

    monkeypatch.setattr(mlflow_runs, "log_pair", refuse)
    tracker = tracker_of(out_root)
    with tracker, tracker.run("experiment", "one") as run:
        run.model(bundled(trained.out, trained.config))
    assert (tracker.synced.n_waiting, tracker.synced.n_refused) == (0, 1)
    (stored,) = runs_of(out_root)
    assert stored.info.status == "FINISHED"


def test_what_is_registered_is_not_asked_for_again(out_root: Path, trained: Any) -> None:
    """Whoever delivers anew, without the note of what was delivered, has no copy any more."""
    tracker = tracker_of(out_root)
    with tracker, tracker.run("experiment", "one") as run:
        run.model(bundled(trained.out, trained.config))
    (out_root / "one" / "delivered.json").unlink()
    assert sync(out_root / "one")._replace(n_delivered=0) == Synced()
    assert len(open_store(store_uri(out_root)).search_model_versions(f"name = '{NAME}'")) == 1


def test_no_file_of_the_folder_that_one_works_in_is_sent(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow takes what belongs to uv unless it is told not to."""
    open_store(store_uri(tmp_path))
    work = tmp_path / "work"
    work.mkdir()
    for name in ("uv.lock", "pyproject.toml", ".python-version"):
        (work / name).write_text("version = 1\n")
    monkeypatch.chdir(work)
    write_model(bundled(trained.out, trained.config), tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").rglob("*")} & {
        "uv.lock",
        "pyproject.toml",
        ".python-version",
    } == set()


def test_requirements_are_versions_that_everybody_finds() -> None:
    versions = {"torch": "2.13.0+cpu", "numpy": "2.4.0", "gymnasium": "1.2.3", "safetensors": "0.7.0"}
    assert requirements(versions) == ["gymnasium==1.2.3", "numpy==2.4.0", "safetensors==0.7.0", "torch==2.13.0"]


@pytest.mark.parametrize("torch", ["2.0\n--extra-index-url http://evil/simple", "2.0 ; x", "", None])
def test_what_is_no_version_is_not_required(torch: Any) -> None:
    with pytest.raises(ValueError, match="ersion"):
        requirements({"torch": torch, "numpy": "2.4.0", "gymnasium": "1.2.3", "safetensors": "0.7.0"})


@pytest.mark.parametrize(
    ("source", "is_asked"),
    [
        ("mlflow-artifacts:/1/models/m/artifacts", True),
        ("file:///somewhere", True),
        ("mlflow-artifacts://here:5000/1", True),
        ("mlflow-artifacts://elsewhere/1", False),
        ("https://elsewhere/1", False),
    ],
)
def test_no_other_server_is_asked_for_a_bundle(source: str, is_asked: bool) -> None:
    """MLflow would send it the name and password for ours."""
    assert is_of(source, "http://me:secret@here:5000") == is_asked
