"""Configs of every env family, for the tests of what all worlds have in common."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from gymnasium import spaces

import envs
from envs import ComposedConfig, EnvConfig, LoadBalancingConfig, SparkConfig
from envs.core.batch import BatchEnv
from envs.core.context import ContextSampling
from envs.load_balancing.config import (
    ActionMode,
    Actions,
    Constraints,
    DriftConfig,
    Randomisation,
    ServerPool,
    Telemetry,
)
from envs.load_balancing.objectives import Budget

BALANCING: dict[str, LoadBalancingConfig] = {
    **{mode: LoadBalancingConfig(actions=Actions(mode=mode)) for mode in get_args(ActionMode)},
    "bad telemetry": LoadBalancingConfig(telemetry=Telemetry(ground_truth=True, noise=0.3, loss=0.2, delay_steps=2)),
    "drawn anew": LoadBalancingConfig(
        randomise=Randomisation(
            n_servers=[2, 4], cores=[1, 6], speed=[0.5, 2.0], price_per_capacity=[0.03, 0.4], load=[0.6, 1.1]
        ),
    ),
    "joint": LoadBalancingConfig(backends="joint"),
    "bounded": LoadBalancingConfig(
        objective=Budget(share=0.5, span_s=0.5, day_s=3.0),
        constraints=Constraints(load=0.1, load_span_s=1.0, late=0.1, lost=0.1, spend_usd_per_h=1.0),
    ),
    "drifting": LoadBalancingConfig(drift=DriftConfig(speed=0.5, interactive_share=0.3, period_s=10.0)),
    "faults": LoadBalancingConfig(pool=ServerPool(failure_rate_hz=0.5, repair_s=1.0), episode_steps=20),
}
SPARK: dict[str, SparkConfig] = {
    "spark": SparkConfig(),
    "spark all choices": SparkConfig(actions="all"),
    "spark extended": SparkConfig(form="extended", actions="all"),
    "spark small changes": SparkConfig(max_change=2),
}
WALKS: dict[str, ComposedConfig] = {
    "composed": ComposedConfig(factory="tests.envs.walks:make"),
    "composed ending": ComposedConfig(factory="tests.envs.walks:make_ending"),
}
EXAMPLES: dict[str, EnvConfig] = {**BALANCING, **SPARK, **WALKS}
"""One entry puts a world under every test that worlds share."""

every_world = pytest.mark.parametrize("name", EXAMPLES)
SAMPLING = ContextSampling(switch_probability=0.1)


def short(name: str, episode_steps: int) -> Any:
    """The config of an example with episodes of so many steps."""
    return replace(EXAMPLES[name], episode_steps=episode_steps)


def batch_of(name: str, n_envs: int = 3, episode_steps: int = 1000, **kwargs: Any) -> BatchEnv:
    return envs.make(short(name, episode_steps), n_envs, 5, **{"sampling": SAMPLING, **kwargs})


def any_actions(space: spaces.Space[Any], shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Random actions ``(*shape, ...)``."""
    space.seed(seed)
    actions = np.array([space.sample() for _ in range(int(np.prod(shape)))])
    return actions.reshape((*shape, *(space.shape or ())))


def outcomes(batch: BatchEnv, actions: np.ndarray) -> list[tuple[Any, ...]]:
    """Observation, reward and ends of the steps of ``actions (n_steps, n_envs, ...)``."""
    return [batch.step(action)[:4] for action in actions]


def same(a: list[tuple[Any, ...]], b: list[tuple[Any, ...]]) -> bool:
    return all(np.array_equal(x, y) for one, other in zip(a, b, strict=True) for x, y in zip(one, other, strict=True))
