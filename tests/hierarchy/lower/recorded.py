"""Datasets made by hand, of actions whose best one is known."""

from __future__ import annotations

from typing import Any

import numpy as np

import envs
from hierarchy.datasets.dataset import Dataset, Episode, Said
from hierarchy.nets.action_form import ActionForm
from hierarchy.nets.joint_actor import JointForm
from tests.conftest import TINY

N_TERMS = 2
ACTION = ActionForm("multi_discrete", [2, 3])
"""Six combinations."""
SAID = Said(envs.describe(TINY.env), {}, None, "nobody", 1.0, "probability", 0, "train")


def form(**changes: Any) -> JointForm:
    given = {"normalise": False, "action": ACTION, "hidden_size": 16, "n_observed": 3, "n_terms": N_TERMS, "history": 1}
    return JointForm(**{**given, **changes})


def episode(observations: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminates: bool = False) -> Episode:
    """Of actions ``(T, 2)``, which ends by a time limit unless it terminates."""
    n = len(actions)
    last = np.arange(n) == n - 1
    return Episode(
        seed=0,
        env_id=0,
        agent=0,
        observations=observations.astype(np.float32),
        actions=actions,
        rewards=rewards.astype(float),
        terminations=last & terminates,
        truncations=last & (not terminates),
        propensity=np.full(n, 1 / 6),
        random=np.ones(n, bool),
        terms={},
        costs={},
    )


def dataset(*episodes: Episode) -> Dataset:
    return Dataset(SAID, episodes, "ab" * 32)


def mixes(n: int, rng: np.random.Generator) -> np.ndarray:
    """Corners of the simplex ``(n, 2)``."""
    return np.eye(N_TERMS)[rng.integers(0, N_TERMS, n)]


def bandit(n: int = 3000, seed: int = 0, likely: np.ndarray | None = None) -> Dataset:
    """Rewards are at once: under the first mix (1, 0) is best, under the second (0, 2). Actions have chances ``likely``."""
    rng = np.random.default_rng(seed)
    context = mixes(n + 1, rng)
    observations = np.concatenate([rng.random((n + 1, 1)), context], axis=1)
    index = rng.choice(6, n, p=np.full(6, 1 / 6) if likely is None else likely)
    actions = np.stack(np.unravel_index(index, (2, 3)), axis=1)
    best = np.where(context[:n, :1] > 0, [[1, 0]], [[0, 2]])
    rewards = (actions == best).all(-1) + rng.normal(0.0, 0.1, n)
    return dataset(episode(observations, actions, rewards))


def under(mix: int, n: int = 50) -> np.ndarray:
    """Observations under one of both mixes ``(n, 3)``."""
    rng = np.random.default_rng(9)
    return np.concatenate([rng.random((n, 1)), np.tile(np.eye(N_TERMS)[mix], (n, 1))], axis=1).astype(np.float32)
