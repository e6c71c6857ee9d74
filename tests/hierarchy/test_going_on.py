"""A learner that goes on from a state learns what it would have learned without a break, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs import LoadBalancingConfig, SparkConfig
from envs.core.context import ContextSampling
from envs.core.state import Tree, flatten
from envs.load_balancing.config import Actions
from hierarchy.arms import flat
from hierarchy.building import lower, upper
from hierarchy.building.memory import fitted
from hierarchy.config import ExperimentConfig
from hierarchy.lower.recurrent_ppo import RecurrentPPOConfig
from hierarchy.protocols import Learner, Observer
from hierarchy.storage.values import Values
from hierarchy.upper.memory.belief import BeliefConfig
from hierarchy.upper.memory.stacked import StackedConfig
from hierarchy.upper.sac import SACConfig
from hierarchy.upper.td3 import TD3Config

SPEEDS = ("lower/steps_per_s", "upper/meta_steps_per_s")
GUIDED = LoadBalancingConfig(actions=Actions(mode="guided", every_steps=4), dt_s=1.0, episode_steps=40)
WEIGHED = LoadBalancingConfig(episode_steps=11)
SPARK = SparkConfig(episode_steps=11)
LOWER = RecurrentPPOConfig(n_envs=4, n_steps=8, batch_size=16, n_epochs=2, context=ContextSampling(switch_probability=0.3))
UPPER = {"meta_period": 4, "meta_steps": 40, "learning_starts": 8, "batch_size": 8, "n_envs": 2, "episode_windows": 5}


class Watch(Observer):
    """Keeps all figures but speeds, and the states before some rollouts."""

    def __init__(self, every: int = 1) -> None:
        self.learner: Learner | None = None
        self.states: dict[int, Tree] = {}
        self.figures: list[tuple[int, dict[str, float]]] = []
        self._n, self._every = 0, every

    def on_rollout(self, n_steps: int) -> None:
        self._n += 1
        if n_steps > 0 and self._n % self._every == 0:
            assert self.learner is not None
            self.states[n_steps] = self.learner.get_state()

    def on_metrics(self, values: Mapping[str, float], n_steps: int) -> None:
        self.figures.append((n_steps, {name: value for name, value in values.items() if name not in SPEEDS}))


def learned(learner: Learner, n_steps: int, watch: Watch) -> dict[str, np.ndarray]:
    """Train, then everything that moved, by path."""
    watch.learner = learner
    learner.learn(n_steps - learner.n_steps, watch)
    return {name: np.asarray(leaf) for name, leaf in flatten(learner.get_state()).items()}


def differing(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> list[str]:
    return [name for name in sorted({*a, *b}) if name not in a or name not in b or a[name].tobytes() != b[name].tobytes()]


def check_going_on(build: Callable[[], Learner], n_steps: int, folder: Path, every: int = 1) -> None:
    """From every state that was kept, by way of a file."""
    whole = Watch(every)
    end = learned(build(), n_steps, whole)
    assert len(whole.states) >= 2
    for at, state in whole.states.items():
        Values().write(state, folder / "state")
        learner = build()
        learner.set_state(Values().read(folder / "state"))
        assert learner.n_steps == at
        watch = Watch()
        assert differing(learned(learner, n_steps, watch), end) == []
        assert watch.figures == [figures for figures in whole.figures if figures[0] > at]


LOWERS: dict[str, ExperimentConfig] = {
    "weights": ExperimentConfig(env=WEIGHED, lower=LOWER),
    "guided, paired, clipped": ExperimentConfig(env=GUIDED, lower=replace(LOWER, paired=True, clip_reward=5.0)),
    "normalised, stacked": ExperimentConfig(env=WEIGHED, lower=replace(LOWER, normalise_observations=True, history=2)),
    "stream": ExperimentConfig(env=SPARK, lower=LOWER),
}


@pytest.mark.parametrize("name", LOWERS)
def test_a_lower_agent(name: str, tmp_path: Path) -> None:
    config = LOWERS[name]
    every = config.env.actions.every_steps if config.env is GUIDED else 1
    check_going_on(lambda: lower.build(config), 4 * 4 * 8 * every, tmp_path)


def test_an_agent_without_a_hierarchy(tmp_path: Path) -> None:
    config = LOWERS["weights"]
    check_going_on(lambda: flat.build(config), 4 * 4 * 8, tmp_path)


UPPERS: dict[str, TD3Config | SACConfig] = {
    "td3": TD3Config(**UPPER),
    "td3, paired, a buffer that is full": TD3Config(**UPPER, paired=True, buffer_size=12, saturation_penalty=0.1),
    "td3, episodes": TD3Config(**UPPER, meta_step="episode"),
    "sac": SACConfig(**UPPER),
}


@pytest.mark.parametrize("name", UPPERS)
def test_an_upper_agent(name: str, tmp_path: Path) -> None:
    config = ExperimentConfig(env=WEIGHED, lower=LOWER, upper=UPPERS[name])
    actor = lower.build(config).actor
    check_going_on(lambda: upper.build(config, actor), config.upper.meta_steps, tmp_path, every=6)


@pytest.mark.parametrize(
    "memory", [StackedConfig(n_windows=3), BeliefConfig(n_regimes=2, fit_episodes=2)], ids=lambda one: one.kind
)
def test_an_upper_agent_that_remembers_windows(memory: Any, tmp_path: Path) -> None:
    """One that goes on needs no memory that is fitted: it has that of the state."""
    config = ExperimentConfig(env=WEIGHED, lower=LOWER, upper=TD3Config(**UPPER, memory=memory))
    actor = lower.build(config).actor
    first = iter([fitted(config, actor)])
    check_going_on(lambda: upper.build(config, actor, memory=next(first, None)), config.upper.meta_steps, tmp_path, every=6)


def test_an_upper_agent_that_began_somewhere(tmp_path: Path) -> None:
    """What it began as, to which it is drawn, is part of how it is built."""
    config = ExperimentConfig(env=WEIGHED, lower=LOWER, upper=TD3Config(**UPPER, saturation_penalty=0.5))
    actor = lower.build(config).actor
    mix = np.array([0.2, 0.3, 0.5])

    def build() -> Learner:
        return upper.build(config, actor, beginning=upper.Beginning(mix))

    check_going_on(build, config.upper.meta_steps, tmp_path, every=6)
