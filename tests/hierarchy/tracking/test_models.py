"""The pair of an experiment as a model of MLflow: it is there once, and decides as the pair does."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as StoredRun
from mlflow.entities.model_registry import ModelVersion

import envs
from envs.core.arrays import Array
from hierarchy import load
from hierarchy.pair import Window
from hierarchy.protocols import SavedAgent
from hierarchy.storage.bundle import bundled, read_bundle, write_bundle
from hierarchy.storage.files import digest_of
from hierarchy.tracking.mlflow_models import NAME, log_pair, write_model
from hierarchy.tracking.mlflow_store import KEY_TAG, open_experiment, open_store, store_uri
from hierarchy.tracking.syncing import sync
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
    client, bundle = open_store(store_uri(out_root)), bundled(trained.out, trained.config)
    experiment_id = open_experiment(client, "metabalance", (out_root / "artifacts").as_uri())
    n_lost = 0
    while True:
        key = f"{n_lost:032x}"
        run_id = client.create_run(experiment_id, tags={KEY_TAG: key}).info.run_id
        losing: Any = Losing(client, n_lost + 1)
        try:
            log_pair(losing, experiment_id, run_id, key, bundle)
            break
        except LostError:
            n_lost += 1
        log_pair(client, experiment_id, run_id, key, bundle)
        (version,) = client.search_model_versions(f"name = '{NAME}' and tags.`{KEY_TAG}` = '{key}'")
        (logged,) = client.search_logged_models([experiment_id], f"tags.`{KEY_TAG}` = '{key}'")
        (output,) = client.get_run(run_id).outputs.model_outputs
        assert (version.run_id, logged.source_run_id, output.model_id) == (run_id, run_id, logged.model_id)
        assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": NAME, "version": int(version.version)}]
    assert n_lost > 8


def model_record(copy: str, sha256: str = "0" * 64) -> dict[str, object]:
    return {"record": "model", "run": KEY, "copy": copy, "sha256": sha256}


@pytest.mark.parametrize("copy", ["gone/bundle", "linked", "undelivered/1/bundle"])
def test_what_is_not_the_bundle_that_was_journaled_is_refused(out_root: Path, trained: Any, copy: str) -> None:
    """Missing, outside of the folder, and another one."""
    outside, folder = out_root / "outside", out_root / "hostile"
    write_bundle(bundled(trained.out, trained.config), outside)
    digest = digest_of(outside / "bundle.json") if copy == "linked" else "0" * 64
    journal_of(folder, model_record(copy, digest))
    write_bundle(bundled(trained.out, trained.config), folder / "undelivered" / "1" / "bundle")
    (folder / "linked").symlink_to(outside)
    assert sync(folder).n_refused == 1
    assert open_store(store_uri(out_root)).search_model_versions(f"name = '{NAME}'") == []
