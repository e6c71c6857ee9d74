"""The stream world: settings and streams in, a batch of running streams out."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32
from envs.core.dynamics import Dynamics, Transition
from envs.core.rng import Role
from envs.core.spec import WorldSpec, described
from envs.core.state import Tree, copied, restore_attributes
from envs.core.world import World
from envs.spark import kernel, rewards
from envs.spark.config import MAX_EXECUTORS, MAX_MEMORY_GB, MIXES, SparkConfig
from envs.spark.measurements import Measurements, simulated
from envs.spark.scene import scene
from envs.spark.statistics import METRICS, OBSERVED, TIMELINE, StreamStatistics

DEFAULT_CHOICE = np.array([MAX_EXECUTORS // 2, MAX_MEMORY_GB, 0, 0])
"""What is chosen where the agent has no choice: 8 GB, the fastest tier, no compression."""
COUNTED_FROM_ONE = np.array([1, 1, 0, 0])


def action_space(config: SparkConfig) -> spaces.Space[Any]:
    """Of one env: the number of executors less one, or every choice."""
    sizes = config.choice_sizes
    return spaces.Discrete(sizes[0]) if len(sizes) == 1 else spaces.MultiDiscrete(list(sizes))


class Stream(Dynamics):
    """Executors for an IoT stream; the env's specification, with the settings that it has by default.

    **Observation.** Float32 ``(9,)``, in the published units, then the context. The first two are those of the step to come,
    the others what the last step led to, 0 after a reset.

    ===== ============== === === =========================================================
    Index Name           Min Max What and in which unit
    ===== ============== === === =========================================================
    0     workload       0   inf messages a second, drawn from 10 to 500
    1     volume         0   inf data in memory, MB, drawn from 10 to 500
    2     cpu            0   inf use of all cores, percent, at most 100
    3     memory         0   inf use of all memory, percent, at most 100
    4     latency_ms     0   inf time to an answer, ms, at least 10
    5     cost_usd_per_h 0   inf cost of executors, memory and tier, $/h, at most 10.1
    6     cost           0   1   weight of the term in the reward, as the two below
    7     latency        0   1
    8     throughput     0   1
    ===== ============== === === =========================================================

    ``form: extended`` adds shuffle (MB), temperature (of the data, in [0, 1]), announced (the workload after the next step,
    messages a second) and burst (1 when that is one) after the cost; workloads reach 900.

    **Action.** ``Discrete(20)``: the number of executors less one, 8 GB each, on the fastest tier. ``actions: all`` makes it
    ``MultiDiscrete([20, 8, 4])``: GB each less one and the tier of storage too, in the extended form also the compression.
    With ``max_change`` only numbers that near the present one are valid; which are stands before the context.

    **Reward.** ``-(cost, latency, throughput) . context``: cost in $/h over 10, latency in seconds, and minus throughput
    over 1000. The extended form takes off 0.5 where hot data lie on a cold tier.

    **Episode end.** None terminates; an episode is truncated after 1,000 steps.

    **Info.** ``reward_terms`` by name and ``reward_vector (3,)``, minus the terms; ``costs`` of constraints,
    of which there are none; ``projected``, whether another action was taken than the one given, which was not valid;
    ``action_set``, the valid choices where ``max_change`` is set, or None.

    **Randomness.** Loads and contexts have streams of their own, keyed by seed, role and env: the same seed gives the same
    bits, and the same load comes whatever is done. The workload is drawn anew with probability 0.1 a step; in the extended
    form every step announces the next one.

    Parameters
    ----------
    config
        Settings; one config gives one world.
    env_ids, seed, role
        See :class:`envs.core.dynamics.Dynamics`.
    """

    def __init__(self, config: SparkConfig, env_ids: Sequence[int], seed: int, role: Role) -> None:
        super().__init__(env_ids, seed, role)
        self.config = config
        self.state = kernel.new_state(self.streams)
        self.state.chosen[:] = DEFAULT_CHOICE
        self._measurements = simulated(self.state)
        self.masks_actions = config.max_change is not None

    @property
    def action_space(self) -> spaces.Space[Any]:
        """Of one env."""
        return action_space(self.config)

    @property
    def measurements(self) -> Measurements:
        return self._measurements

    @property
    def _extended(self) -> bool:
        return self.config.form == "extended"

    def reset_dynamics(self, mask: BoolArray) -> Transition:
        kernel.reset(self._extended, self.state, mask)
        return Transition(action_set=self._action_set())

    def step_dynamics(self, action: Array, running: BoolArray) -> Transition:
        sizes = self.config.choice_sizes
        chosen = action.reshape(self.n_envs, -1).astype(np.int64)
        if chosen.shape[1] != len(sizes) or (chosen < 0).any() or (chosen >= sizes).any():
            given = f"shape {action.shape}, {chosen.min()} to {chosen.max()}"
            raise ValueError(f"actions must be {len(sizes)} choices below {sizes} for {self.n_envs} envs, got {given}")
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

    def get_state(self) -> Tree:
        return {"kernel": copied(self.state)}

    def set_state(self, state: Tree) -> None:
        restore_attributes(self, {"state": state["kernel"]}, ["state"])


class SystemMetrics:
    """The published observation, in the published units; :class:`Stream` lists it index by index."""

    carries_action_set = False
    BASE = ("workload", "volume", "cpu", "memory", "latency_ms", "cost_usd_per_h")
    EXTENDED = (*BASE, "shuffle", "temperature", "announced", "burst")

    def __init__(self, config: SparkConfig) -> None:
        self.feature_names = self.EXTENDED if config.form == "extended" else self.BASE

    @property
    def space(self) -> spaces.Box:
        """Of one env."""
        return spaces.Box(0.0, np.inf, (len(self.feature_names),), np.float32)

    def before_reset(self, measurements: Measurements, mask: BoolArray) -> None: ...

    def extract(self, measurements: Measurements, moved: BoolArray) -> FloatArray32:
        """``(n_envs, n_metrics)``."""
        return np.stack([getattr(measurements, name) for name in self.feature_names], axis=-1).astype(np.float32)


def compose(config: SparkConfig, env_ids: Sequence[int], seed: int, role: Role) -> World:
    """The world of a config, composed."""
    return World(
        dynamics=Stream(config, env_ids, seed, role),
        observation_function=SystemMetrics(config),
        reward_terms=rewards.TERMS,
        penalty=rewards.PENALTY if config.form == "extended" else None,
        statistics=StreamStatistics(),
        objective=config.objective,
        context=None if config.scenario == "random" else np.array(MIXES[config.scenario]),
        scene=functools.partial(scene, config),
    )


def describe(config: SparkConfig) -> WorldSpec:
    """Names, numbers and labels."""
    return WorldSpec(
        family=config.family,
        dt_s=config.dt_s,
        terms=tuple(rewards.TERMS),
        n_parts=0,
        features=SystemMetrics(config).feature_names,
        shared=(),
        shows_action_set=config.max_change is not None,
        action_space=described(action_space(config)),
        levels=(),
        observed=tuple(OBSERVED),
        metrics=METRICS,
        timeline=TIMELINE,
        regimes=(),
        setting="executors",
        setting_names=("executors",),
        objective=config.objective.name,
        objective_unit=config.objective.unit,
    )
