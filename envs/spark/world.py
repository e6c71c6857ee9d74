"""The stream world: settings and streams in, a batch of running streams out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.core.batch import World
from envs.core.dynamics import Dynamics, FloatArray32, Transition
from envs.core.reports import Reports
from envs.core.rng import Role
from envs.core.terms import BoolArray
from envs.spark import kernel, rewards
from envs.spark.config import MAX_EXECUTORS, MAX_MEMORY_GB, MIXES, SparkConfig

FloatArray = NDArray[np.float64]

DEFAULT_CHOICE = np.array([MAX_EXECUTORS // 2, MAX_MEMORY_GB, 0, 0])
"""What is chosen where the agent has no say: 8 GB, the fastest tier, no compression."""
COUNTED_FROM_ONE = np.array([1, 1, 0, 0])
METRICS: tuple[str, ...] = ("latency_mean_ms", "cost_usd_per_h", "throughput", "executors")
TIMELINE: tuple[str, ...] = ("workload_mean", "latency_mean_ms", "cost_usd_per_h")
OBSERVED: dict[str, float] = {"workload_mean": 500.0, "workload_spread": 500.0, "latency_mean_ms": 1000.0}
"""What the upper agent sees of a window, and what each is divided by."""


class Spark(Dynamics, Reports):
    """Dynamics of the world, and the accounts that it keeps of itself.

    Parameters
    ----------
    config
        Settings; one config gives one world.
    env_ids, seed, role
        See :class:`envs.core.batch.Dynamics`.
    """

    metric_names = METRICS
    observed_names = tuple(OBSERVED)
    timeline_names = TIMELINE
    setting_name = "executors"
    objective = "satisfaction"

    def __init__(self, config: SparkConfig, env_ids: Sequence[int], seed: int, role: Role) -> None:
        super().__init__(env_ids, seed, role)
        self.config = config
        self.state = kernel.new_state(self.streams)
        self.state.chosen[:] = DEFAULT_CHOICE
        self.masks_actions = config.max_change is not None

    @property
    def action_space(self) -> spaces.Space[Any]:
        """Of one env: the number of executors less one, or every choice."""
        sizes = self.config.choice_sizes
        return spaces.Discrete(sizes[0]) if len(sizes) == 1 else spaces.MultiDiscrete(list(sizes))

    @property
    def _extended(self) -> bool:
        return self.config.form == "extended"

    def reset_dynamics(self, mask: BoolArray) -> Transition:
        kernel.reset(self._extended, self.state, mask)
        return Transition(action_set=self._action_set())

    def step_dynamics(self, action: NDArray[Any], running: BoolArray) -> Transition:
        sizes = self.config.choice_sizes
        chosen = action.reshape(self.n_envs, -1).astype(np.int64)
        if chosen.shape[1] != len(sizes) or (chosen < 0).any() or (chosen >= sizes).any():
            told = f"shape {action.shape}, {chosen.min()} to {chosen.max()}"
            raise ValueError(f"actions must be {len(sizes)} choices below {sizes} for {self.n_envs} envs, got {told}")
        self.state.chosen[running, : len(sizes)] = (chosen + COUNTED_FROM_ONE[: len(sizes)])[running]
        kernel.step(self._extended, self.state, running)
        return Transition(action_set=self._action_set())

    def _action_set(self) -> BoolArray | None:
        """Executors within reach of the present number, everything else; None where all numbers are."""
        if self.config.max_change is None:
            return None
        n_others = sum(self.config.choice_sizes[1:])
        distance = np.abs(np.arange(1, MAX_EXECUTORS + 1) - self.state.chosen[:, [kernel.EXECUTORS]])
        others = np.ones((self.n_envs, n_others), np.bool_)
        return np.concatenate([distance <= self.config.max_change, others], axis=1)

    @property
    def setting(self) -> FloatArray:
        """Executors in use, ``(n_envs, 1)``."""
        return self.state.chosen[:, [kernel.EXECUTORS]].astype(np.float64)

    def totals(self) -> FloatArray:
        return self.state.sums.copy()

    def statistics(self, since: Any = None) -> dict[str, FloatArray]:
        """Means over the steps of the stretch; nothing ever waits, so `waiting_mean_ms` is the mean latency."""
        sums = self.state.sums if since is None else self.state.sums - since
        steps = np.maximum(sums[:, kernel.STEPS], 1.0)
        mean = dict(zip(kernel.SUMS, (sums / steps[:, None]).T, strict=True))
        variance = np.maximum(mean["workload_squared"] - mean["workload"] ** 2, 0.0)
        return {
            "latency_mean_ms": mean["latency_ms"],
            "waiting_mean_ms": mean["latency_ms"],
            "cost_usd_per_h": mean["cost_usd_per_h"],
            "throughput": mean["throughput"],
            "executors": mean["executors"],
            "workload_mean": mean["workload"],
            "workload_spread": np.sqrt(variance),
        }

    def observed(self, values: dict[str, FloatArray]) -> FloatArray32:
        return np.stack([values[name] / unit for name, unit in OBSERVED.items()], axis=-1).astype(np.float32)


class SystemMetrics:
    """The published observation, in the published units.

    ====== ======================= ==============
    index  name                    range
    ====== ======================= ==============
    0      workload (messages/s)   10 to 900
    1      volume (MB)             10 to 500
    2      CPU (%)                 0 to 100
    3      memory (%)              0 to 100
    4      latency (ms)            0 and more
    5      cost ($/h)              0 to 10.1
    ====== ======================= ==============

    The first two are those of the step to come, the others what the last step led to. The extended form adds the size of
    the shuffle (MB), the temperature of the data, the announced workload and whether it is a burst.
    """

    carries_action_set = False
    BASE = ("workload", "volume", "cpu", "memory", "latency_ms", "cost_usd_per_h")
    EXTENDED = (*BASE, "shuffle", "temperature", "announced", "burst")

    def __init__(self, config: SparkConfig) -> None:
        self._names = self.EXTENDED if config.form == "extended" else self.BASE

    @property
    def space(self) -> spaces.Box:
        """Of one env."""
        return spaces.Box(0.0, np.inf, (len(self._names),), np.float32)

    def before_reset(self, dynamics: Spark, mask: BoolArray) -> None: ...

    def extract(self, dynamics: Spark, moved: BoolArray) -> FloatArray32:
        """``(n_envs, n_metrics)``."""
        return np.stack([getattr(dynamics.state, name) for name in self._names], axis=-1).astype(np.float32)


def spark(config: SparkConfig, env_ids: Sequence[int], seed: int, role: Role) -> World:
    """The world of a config, composed."""
    dynamics = Spark(config, env_ids, seed, role)
    return World(
        dynamics=dynamics,
        observation_function=SystemMetrics(config),
        reward_terms=rewards.TERMS,
        penalty=rewards.PENALTY if config.form == "extended" else None,
        reports=dynamics,
        context=None if config.scenario == "random" else np.array(MIXES[config.scenario]),
    )
