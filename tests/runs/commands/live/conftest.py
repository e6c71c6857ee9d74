"""A trained pair for a HAProxy, and a test bed of its world."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from envs.haproxy.runtime import Place, RuntimeApi
from envs.load_balancing.kernel.dispatch.leastconn import LeastConn
from hierarchy import experiment
from hierarchy.config import ExperimentConfig
from hierarchy.experiment import Experiment
from runs.testbed.bed import TestBed
from tests.envs.haproxy.processes import installed_haproxy


@pytest.fixture(scope="session")
def config(untracked_config: ExperimentConfig) -> ExperimentConfig:
    """Of a world that a HAProxy may be."""
    env = untracked_config.env
    pool = dataclasses.replace(env.pool, service="fcfs", boot_s=0.0)
    return dataclasses.replace(untracked_config, env=dataclasses.replace(env, pool=pool, dispatch=LeastConn(), dt_s=0.1))


@pytest.fixture(scope="session")
def folder(config: ExperimentConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Agents, and what was found for arms; windows are of four steps."""
    installed_haproxy()
    out = tmp_path_factory.mktemp("live") / "one"
    experiment.train(Experiment(config, out))
    return out


@pytest.fixture(scope="module")
def bed(config: ExperimentConfig) -> Iterator[TestBed]:
    installed_haproxy()
    with TestBed(config.env) as bed:
        yield bed


def words(bed: TestBed, folder: Path, *more: object, backends: Sequence[str] = ()) -> list[str]:
    """Of a command that steers a test bed, or some other backends of its."""
    where = ["--haproxy.socket", bed.socket, "--haproxy.log", bed.log_socket]
    names = ["--haproxy.backends", json.dumps(backends or bed.backends), "--haproxy.servers", json.dumps(bed.servers)]
    return list(map(str, ["serve", folder, *where, *names, *more]))


def weights_of(bed: TestBed) -> set[int]:
    """Of all servers in the backends that are steered."""
    places = [Place(backend, server) for backend in bed.backends for server in bed.servers]
    return {weight.now for weight in RuntimeApi(bed.socket).weights(places).values()}
