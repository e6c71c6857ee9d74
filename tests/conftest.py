"""Tiny settings, one tiny experiment with its MLflow store, and recorded traces, for the tests of `hierarchy` and `runs`."""

# ruff: noqa: E402  # threads are told before the libraries that have them are imported
from __future__ import annotations

import base64
import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(threads, "1")  # there is a process of tests for every core

import numpy as np
import pytest
from hypothesis import settings
from matplotlib.figure import Figure

from envs.load_balancing.config import (
    Actions,
    LoadBalancingConfig,
    Regimes,
    ServerPool,
    Workload,
    WorkloadClass,
)
from hierarchy.config import AblationConfig, ExperimentConfig, TrackingConfig
from hierarchy.lower.recurrent_ppo import RecurrentPPOConfig
from hierarchy.upper.td3 import TD3Config

if TYPE_CHECKING:
    from hierarchy.evidence.results import Results

ROOT = Path(__file__).resolve().parents[1]
SHARED_TRACES = ROOT.parent / "shared" / "traces"
"""Public recordings beside the checkout, where there are any; they are not part of the project."""

SAVE = Figure.savefig
BLANK = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg==")
"""A picture of one white point."""

settings.register_profile("metabalance", deadline=None, derandomize=True)
settings.load_profile("metabalance")

TINY = ExperimentConfig(
    executor="inline",  # a worker takes longer to start than the experiment
    env=LoadBalancingConfig(
        pool=ServerPool(cores=[2, 1], speed=[1.0, 1.0], price_usd_per_h=[0.2, 0.1], memory_gb=[4.0, 4.0]),
        workload=Workload(
            regimes=Regimes(loads=[0.3, 0.7], interactive_shares=[0.5], mean_dwell_s=2.0),
            interactive=WorkloadClass(mean_work_s=0.04, deadline_s=0.2, value_usd=4e-6, penalty_usd=4e-6),
            batch=WorkloadClass(mean_work_s=0.4, deadline_s=5.0, value_usd=2e-5, penalty_usd=2e-5),
        ),
        actions=Actions(levels=[0.0, 1.0, 1.5, 2.0]),
        episode_steps=16,
    ),
    lower=RecurrentPPOConfig(timesteps=64, n_envs=2, n_steps=16, batch_size=16, n_epochs=2, hidden_size=8),
    upper=TD3Config(
        meta_period=4,
        meta_steps=12,
        episode_windows=4,
        n_envs=2,
        candidates=2,
        candidate_seeds=2,
        buffer_size=100,
        batch_size=4,
        learning_starts=4,
        hidden_size=8,
    ),
    ablation=AblationConfig(
        n_seeds=3,
        episode_windows=4,
        n_select_seeds=2,
        select_windows=3,
        grid_points=2,
        n_trials=4,
        n_trial_seeds=2,
        oracles=True,
        n_table_seeds=2,
        table_points=2,
    ),
    threads=1,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests go first: begun last, one of them would keep one process at work and the others idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True, scope="session")
def _local_store() -> Iterator[None]:
    """No test writes to a store of the machine it runs on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


@pytest.fixture(autouse=True, scope="session")
def _blank_pictures() -> Iterator[None]:
    """Pictures are made and not drawn, which takes longer than the tiny experiments that they are of; see `drawn`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", lambda figure, path, **_: Path(path).write_bytes(BLANK))
        yield


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are drawn in this test."""
    monkeypatch.setattr(Figure, "savefig", SAVE)


@pytest.fixture(scope="session")
def tiny_config() -> ExperimentConfig:
    """Two or three envs, some tens of steps, two servers, two regimes; tracked."""
    return TINY


@pytest.fixture(scope="session")
def untracked_config() -> ExperimentConfig:
    """The same, without MLflow."""
    return dataclasses.replace(TINY, tracking=TrackingConfig(enabled=False))


class Trained(NamedTuple):
    """A finished experiment with its store."""

    config: ExperimentConfig
    out: Path
    results: Results


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow store with all its tables and nothing in them: making one takes seconds, copying it none."""
    from hierarchy.tracking.mlflow_store import STORE_NAME, open_store, store_uri

    root = tmp_path_factory.mktemp("store")
    open_store(store_uri(root)).search_experiments()
    return root / STORE_NAME


@pytest.fixture
def out_root(tmp_path: Path, empty_store: Path) -> Path:
    """A folder for outputs, with an empty MLflow store."""
    shutil.copy(empty_store, tmp_path / empty_store.name)
    return tmp_path


@pytest.fixture(scope="session")
def trained(tiny_config: ExperimentConfig, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One whole tiny experiment over a store that it makes itself."""
    from hierarchy import experiment
    from hierarchy.tracking.progress import Silent

    out = tmp_path_factory.mktemp("experiment") / "tiny"
    return Trained(tiny_config, out, experiment.train(experiment.Experiment(tiny_config, out, "tiny", Silent())))


@pytest.fixture
def tiny_settings(tmp_path: Path) -> Path:
    """The tiny settings as a file for `--config`."""
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(dataclasses.asdict(TINY)), encoding="utf-8")
    return path


def write_azure(path: Path, n: int = 400) -> Path:
    """A recording in the format of the Azure LLM inference traces."""
    rng = np.random.default_rng(0)
    time = datetime(2023, 11, 16, 18, 15, 46)
    lines = ["TIMESTAMP,ContextTokens,GeneratedTokens"]
    for gap_s, context, generated in zip(
        rng.exponential(0.2, n), rng.integers(1, 4000, n), rng.integers(1, 900, n), strict=True
    ):
        time += timedelta(seconds=float(gap_s))
        lines.append(f"{time:%Y-%m-%d %H:%M:%S.%f}0,{context},{generated}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_marllb(path: Path, n: int = 400) -> Path:
    """A recording in the format of MARLLB's for-loop traces."""
    rng = np.random.default_rng(0)
    times, loops = rng.exponential(0.005, n).cumsum(), rng.integers(1, 9_000_000, n)
    lines = ["time\tquery", *(f"{t}\t/dummy.php/?n={k}" for t, k in zip(times, loops, strict=True))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def traces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A recording per format: the real one where it is there, else one drawn at random."""
    folder = tmp_path_factory.mktemp("traces")
    real = {"azure_llm": "azure_llm_conv_2023.csv", "marllb": "marllb_poisson_rate_200_first20k.csv"}
    write = {"azure_llm": write_azure, "marllb": write_marllb}
    there = {name: SHARED_TRACES / file for name, file in real.items()}
    return {name: path if path.is_file() else write[name](folder / f"{name}.csv") for name, path in there.items()}
