"""Configs of every env family, for the tests of what all worlds have in common."""

from __future__ import annotations

from typing import get_args

from envs import ComposedConfig, EnvConfig, LoadBalancingConfig, SparkConfig
from envs.load_balancing.config import ActionMode, Actions, Randomisation, ServerPool, Telemetry

BALANCING: dict[str, LoadBalancingConfig] = {
    **{mode: LoadBalancingConfig(actions=Actions(mode=mode)) for mode in get_args(ActionMode)},
    "bad telemetry": LoadBalancingConfig(telemetry=Telemetry(ground_truth=True, noise=0.3, loss=0.2, delay_steps=2)),
    "drawn anew": LoadBalancingConfig(
        telemetry=Telemetry(nominal=True),
        randomise=Randomisation(
            n_servers=[2, 4], cores=[1, 6], speed=[0.5, 2.0], price_per_capacity=[0.03, 0.4], load=[0.6, 1.1]
        ),
    ),
    "faults": LoadBalancingConfig(pool=ServerPool(failure_rate_hz=0.5, repair_s=1.0), episode_steps=20),
}
SPARK: dict[str, SparkConfig] = {
    "spark": SparkConfig(),
    "spark all choices": SparkConfig(actions="all"),
    "spark extended": SparkConfig(form="extended", actions="all"),
    "spark small changes": SparkConfig(max_change=2),
}
EXAMPLES: dict[str, EnvConfig] = {**BALANCING, **SPARK, "composed": ComposedConfig(factory="tests.envs.walks:make")}
"""One entry puts a world under every test that worlds share."""
