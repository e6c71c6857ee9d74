"""What checkpoints cost: their share of the time of training in the preset `default`, where the buffer is full."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from hierarchy.building import lower, upper
from hierarchy.config import ExperimentConfig
from hierarchy.phases.going_on import Keeping
from hierarchy.phases.observers import Kept
from hierarchy.protocols import Learner
from hierarchy.sb3.learner import SB3Learner
from hierarchy.storage.checkpoints import Checkpoints
from runs.benchmarks.plan import Case, Plan, Target
from runs.settings.experiment import preset_config

N_STEPS = 64 * 32 * 10
"""Env steps that an agent learns before: whole rollouts of either."""
N_CHECKPOINTS = 5
MOST = Target("at most", 3.0)
"""Percent of training."""


def _lower(config: ExperimentConfig) -> Learner:
    learner = lower.build(config)
    learner.learn(N_STEPS)
    return learner


def _upper(config: ExperimentConfig) -> Learner:
    """An upper agent whose replay buffer is full: as large as its state gets."""
    learner = upper.build(config, lower.build(config).actor)
    learner.learn(config.upper.n_envs)
    assert isinstance(learner, SB3Learner)
    assert isinstance(learner.agent, OffPolicyAlgorithm)
    assert learner.agent.replay_buffer is not None
    learner.agent.replay_buffer.full = True
    return learner


def share(make: Callable[[ExperimentConfig], Learner]) -> Callable[[], float]:
    """Measures the percent of training that a checkpoint at every interval of the settings takes."""
    config = preset_config("default")
    made: list[Learner] = []

    def measure() -> float:
        if not made:
            made.append(make(config))
        [learner] = made
        with TemporaryDirectory() as folder:
            keeping = Keeping(learner, Kept(), Checkpoints(Path(folder)), every_s=0.0)
            started_s = time.perf_counter()
            for _ in range(N_CHECKPOINTS):
                keeping.on_rollout(learner.n_steps)
            each_s = (time.perf_counter() - started_s) / N_CHECKPOINTS
        return 100.0 * each_s / (config.checkpoint_s + each_s)

    return measure


def plan(scale: float) -> Plan:
    """The benchmark; a checkpoint is written whole, whatever the scale."""
    of_lower, of_upper = "checkpoints of the lower agent", "checkpoints of the upper agent"
    return Plan(
        cases=[Case(of_lower, "% of training", share(_lower)), Case(of_upper, "% of training", share(_upper))],
        targets={of_lower: MOST, of_upper: MOST},
    )
