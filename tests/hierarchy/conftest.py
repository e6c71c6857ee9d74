"""A world, a lower policy and an upper agent, all tiny and untrained, and a double of the lower agent."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th

import envs
from envs.core.batch import BatchEnv
from hierarchy.building import lower, upper
from hierarchy.config import ExperimentConfig
from hierarchy.experiment import Experiment
from hierarchy.lower.acting import PolicyActor
from hierarchy.sb3.learner import SB3Learner
from hierarchy.tracking.progress import Silent


@pytest.fixture(autouse=True)
def _one_torch_thread() -> Iterator[None]:
    """Experiments set the number of threads for the whole process."""
    th.set_num_threads(1)
    yield
    th.set_num_threads(1)


def large_lower(config: ExperimentConfig) -> SB3Learner:
    """An untrained lower agent whose parameters are large enough for observations and memory to matter."""
    learner = lower.build(config)
    generator = th.Generator().manual_seed(1)
    with th.no_grad():
        for parameter in learner.agent.policy.parameters():
            parameter.copy_((parameter.ndim > 1) * th.randn(parameter.shape, generator=generator))
    return learner


def large_policy(config: ExperimentConfig) -> PolicyActor:
    """Its policy."""
    return large_lower(config).actor


@pytest.fixture(scope="session")
def policy(tiny_config: ExperimentConfig) -> PolicyActor:
    """Of the tiny settings."""
    return large_policy(tiny_config)


@pytest.fixture(scope="session")
def policy_for() -> Callable[[ExperimentConfig], PolicyActor]:
    """Makes such a policy for other settings."""
    return large_policy


@pytest.fixture(scope="session")
def lower_for() -> Callable[[ExperimentConfig], SB3Learner]:
    """Makes such an agent for other settings."""
    return large_lower


@pytest.fixture(scope="session")
def upper_agent(tiny_config: ExperimentConfig, policy: PolicyActor) -> SB3Learner:
    """An untrained upper agent."""
    return upper.build(tiny_config, policy)


@pytest.fixture
def batch_of(tiny_config: ExperimentConfig) -> Callable[..., BatchEnv]:
    """Makes a batch whose episodes end after `n_steps`; equal arguments, equal batches."""

    def make(n_steps: int = 5, n_envs: int = 2, seed: int = 3, **kwargs: Any) -> BatchEnv:
        return envs.make(dataclasses.replace(tiny_config.env, episode_steps=n_steps), n_envs, seed, **kwargs)

    return make


class ScriptedLower:
    """Stands for the frozen lower agent: keeps what it saw and plays a script, whatever it sees."""

    def __init__(self, n_envs: int) -> None:
        self.seen: list[np.ndarray] = []
        self.n_resets = 0
        self.script = np.random.default_rng(0).integers(0, 4, (200, n_envs, 4))

    def reset(self, mask: np.ndarray | None = None) -> None:
        self.n_resets += 1

    def act(self, observation: np.ndarray) -> np.ndarray:
        self.seen.append(observation.copy())
        return self.script[len(self.seen) - 1]


@pytest.fixture
def scripted_lower() -> Callable[[int], ScriptedLower]:
    """Makes a scripted lower agent for a number of envs."""
    return ScriptedLower


@pytest.fixture
def make(untracked_config: ExperimentConfig, tmp_path: Path) -> Callable[..., Experiment]:
    """Makes an experiment in a folder of its own or a shared one."""

    def experiment(folder: str = "one", progress: Any = None, **changes: Any) -> Experiment:
        config = dataclasses.replace(untracked_config, **changes)
        return Experiment(config, tmp_path / folder, "tiny", progress or Silent())

    return experiment
