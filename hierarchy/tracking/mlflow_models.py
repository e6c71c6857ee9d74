"""Pairs of agents in MLflow: logged with the run that trained them, registered, promoted, and fetched again.

A model has code that MLflow runs when it loads it, :mod:`hierarchy.tracking.served`, and a bundle beside it. Who fetches a
pair takes the bundle alone, and runs nothing.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, cast
from urllib.parse import urlsplit

from packaging.version import Version

from envs.core.arrays import Array
from hierarchy.storage.bundle import Bundle, write_bundle
from hierarchy.tracking.mlflow_store import KEY_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.types import Schema

NAME, CHAMPION = "metabalance", "champion"
"""Of the registered model, and the alias of the version that was promoted."""
PAIR = "pair"
"""Name of what a run has logged."""
READY: Literal["READY"] = "READY"
"""Its status once it is whole."""
REQUIRED = ("gymnasium", "numpy", "safetensors", "torch")
"""Packages of PyPI that a model needs beside this one."""
SERVED = ("http", "https", "mlflow-artifacts")
"""Schemes of addresses that may name a server of MLflow."""
VERSIONS_TAG = "mlflow.modelVersions"
"""Tag of a logged model by which its page knows what it was registered as."""
THERE_ALREADY, NOT_THERE = "RESOURCE_ALREADY_EXISTS", ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""Error codes of MLflow for a model that is registered, and for a version and an alias that are not."""
BUNDLE = "bundle"
"""What the bundle is called among the artifacts of a model."""


class LoggedRun(NamedTuple):
    """A run in MLflow: ids of its experiment and of itself, and its key."""

    experiment_id: str
    run_id: str
    key: str


def log_pair(client: MlflowClient, run: LoggedRun, write: Callable[[Path], None], on_answer: Callable[[], None]) -> None:
    """Log a pair with its run and register it; what of that is there already is not made again.

    Parameters
    ----------
    client
        Of the store.
    run
        The run of the pair.
    write
        Writes the model into a folder, see :func:`write_model`.
    on_answer
        Called after every request.
    """
    from mlflow.entities import LoggedModelOutput

    experiment_id, run_id, key = run
    logged = _logged(client, experiment_id, key)
    if logged is None or logged.status != READY:
        with tempfile.TemporaryDirectory() as draft:
            folder = Path(draft) / "model"
            write(folder)
            logged = logged or client.create_logged_model(experiment_id, PAIR, run_id, {KEY_TAG: key})
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                client.log_model_artifact(logged.model_id, str(path), _place_of(path.parent, folder))
                on_answer()
        client.finalize_logged_model(logged.model_id, READY)
    there = client.get_run(run_id).outputs
    if there is None or logged.model_id not in [output.model_id for output in there.model_outputs]:
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    on_answer()
    version = version_of(client, key) or _registered(client, logged, run_id, key)
    versions = json.dumps([{"name": NAME, "version": int(version.version)}])
    client.set_logged_model_tags(logged.model_id, {VERSIONS_TAG: versions})


def _place_of(folder: Path, root: Path) -> str | None:
    return None if folder == root else folder.relative_to(root).as_posix()


def _logged(client: MlflowClient, experiment_id: str, key: str) -> LoggedModel | None:
    """What a run of that key has logged; the first, if a request that was given up took effect in the end."""
    there = client.search_logged_models([experiment_id], f"tags.`{KEY_TAG}` = '{key}'")
    return min(there, key=lambda model: (model.creation_timestamp, model.model_id), default=None)


def _registered(client: MlflowClient, logged: LoggedModel, run_id: str, key: str) -> ModelVersion:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(NAME)
    except MlflowException as error:
        if cast(str, error.error_code) != THERE_ALREADY:
            raise
    # by its address: one that begins with models:/ is looked for in the store of the process
    return client.create_model_version(NAME, logged.artifact_location, run_id, {KEY_TAG: key}, model_id=logged.model_id)


def version_of(client: MlflowClient, key: str) -> ModelVersion | None:
    """The version that a run of that key was registered as; the first, if a request that was given up took effect."""
    there = client.search_model_versions(f"name = '{NAME}' and tags.`{KEY_TAG}` = '{key}'")
    return min(there, key=lambda version: int(version.version), default=None)


def named(client: MlflowClient, name: str, alias: str | None, number: str) -> ModelVersion | None:
    """The version of an alias, of a number, or the `latest`; None without one."""
    from mlflow.exceptions import MlflowException

    if number == "latest":
        there = client.search_model_versions(f"name = '{name}'", max_results=1, order_by=["version_number DESC"])
        return next(iter(there), None)
    try:
        return client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, number)
    except MlflowException as error:
        if cast(str, error.error_code) in NOT_THERE:
            return None
        raise


def set_champion(client: MlflowClient, version: ModelVersion) -> None:
    """Give the alias to a version, which another one loses."""
    client.set_registered_model_alias(NAME, CHAMPION, version.version)


def download(client: MlflowClient, version: ModelVersion, uri: str, to: Path) -> Path | None:
    """The bundle of a version in a folder below ``to``, from the store at ``uri``; None if it has none."""
    from mlflow.artifacts import download_artifacts, list_artifacts

    source = f"{client.get_model_version_download_uri(version.name, version.version)}/artifacts/{BUNDLE}"
    if not is_of(source, uri) or not list_artifacts(artifact_uri=source, tracking_uri=uri):
        return None
    return Path(download_artifacts(artifact_uri=source, dst_path=str(to), tracking_uri=uri))


def is_of(source: str, uri: str) -> bool:
    """Whether an address names no other server than a store's: MLflow would tell that one who we are."""
    address = urlsplit(source)
    return address.scheme not in SERVED or address.netloc in ("", urlsplit(uri).netloc.rpartition("@")[2])


def write_model(bundle: Bundle, folder: Path) -> None:
    """Write a pair as a model of MLflow, with its signature, an example of its inputs, and what it needs.

    Raises
    ------
    SettingError, ValueError
        The bundle is none of this version.
    """
    from mlflow.models import ModelSignature
    from mlflow.pyfunc import save_model

    from hierarchy.tracking import served

    model = served.model_of(bundle)
    example = {name: value.numpy() for name, value in model.examples.items()}
    signature = ModelSignature(_schema(example), _schema(served.step(model, example)))
    with tempfile.TemporaryDirectory() as draft:
        whole = Path(draft) / BUNDLE
        write_bundle(bundle, whole)
        save_model(
            folder,
            python_model=served.__file__,
            artifacts={BUNDLE: str(whole)},
            signature=signature,
            input_example=example,
            pip_requirements=requirements(bundle.versions),
        )


def requirements(versions: Mapping[str, str]) -> list[str]:
    """Packages that a model needs beside this one, in the versions that its bundle was made with.

    Raises
    ------
    ValueError
        One is no version.
    """
    return [f"{name}=={Version(str(versions.get(name))).public}" for name in REQUIRED]


def _schema(arrays: Mapping[str, Array]) -> Schema:
    """Of arrays by name, for any number of envs."""
    from mlflow.types import Schema, TensorSpec

    return Schema([TensorSpec(array.dtype, (-1, *array.shape[1:]), name) for name, array in arrays.items()])
