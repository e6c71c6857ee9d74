"""One loop for whatever acts: an episode of a controller in every env of a batch, recorded window by window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from envs import EnvConfig
from envs.core.arrays import BoolArray, FloatArray, FloatArray32, IntArray
from envs.core.rng import Role
from envs.core.rules import Controller
from envs.core.simulation import Simulation
from envs.core.statistics import Spread, Statistics
from hierarchy.arms.start import Agents, Start
from hierarchy.building.upper import simulation
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.episodes import Episodes
from hierarchy.explaining.features import features_of
from hierarchy.pair import Pair, meta_observation
from hierarchy.upper.meta_env import run_window


class Recorder:
    """Collects the episodes of a simulation, window by window.

    Parameters
    ----------
    simulation
        What is recorded.
    pair
        Whose contexts are recorded too; None where none are set.
    observes
        Whether what an upper agent observes is recorded with them.
    """

    def __init__(self, simulation: Simulation, pair: Pair | None = None, observes: bool = False) -> None:
        self._simulation, self._pair, self._observes = simulation, pair, observes and pair is not None
        self._statistics: Statistics | None = None  # of the last window
        self._oracle = simulation.world.oracle
        self._objective: list[FloatArray] = []
        self._positions: list[FloatArray] = []
        self._regimes: list[IntArray] = []
        self._settings: list[FloatArray] = []
        self._contexts: list[FloatArray] = []
        self._observations: list[FloatArray32] = []
        self._features: list[FloatArray32] = []
        self._running: list[BoolArray] = []
        self._timeline: dict[str, list[float]] = {name: [] for name in simulation.world.statistics.timeline_names}

    def begin_window(self) -> None:
        """A window begins."""
        position = self._oracle.recorded_position
        if position is not None:
            self._positions.append(position)
        self._regimes.append(self._oracle.regime.copy())
        if self._pair is not None and self._observes:
            known = self._simulation.world, self._statistics, self._pair.context
            self._observations.append(meta_observation(*known))
            self._features.append(features_of(*known).astype(np.float32))
            self._running.append(~self._simulation.ended)

    def end_window(self, statistics: Statistics) -> None:
        """A window is over."""
        self._statistics = statistics
        self._objective.append(self._simulation.objective(statistics))
        self._settings.append(self._simulation.world.actuator.setting[0].copy())
        if self._pair is not None:
            self._contexts.append(self._pair.context)
        for name, values in self._timeline.items():
            values.append(float(statistics[name][0]))

    def episodes(self) -> Episodes:
        """All that was recorded, and figures of whole episodes."""
        whole, costs = self._simulation.statistics(), self._simulation.costs
        return Episodes(
            objective=self._simulation.objective(whole),
            statistics=whole,
            costs=costs.named(costs.mean),
            bounds=dict(zip(costs.names, costs.bounds.tolist(), strict=True)),
            window_objective=np.stack(self._objective),
            recorded_position=np.stack(self._positions) if self._positions else None,
            contexts=np.stack(self._contexts) if self._contexts else None,
            regimes=np.stack(self._regimes),
            timeline={name: np.array(values) for name, values in self._timeline.items()},
            settings=np.stack(self._settings),
            spread=self._spread(),
            observations=np.stack(self._observations) if self._observations else None,
            features=np.stack(self._features) if self._features else None,
            running=np.stack(self._running) if self._running else None,
        )

    def _spread(self) -> Spread | None:
        """Not every world knows single answers."""
        spread = getattr(self._simulation.world.statistics, "spread", None)
        if spread is None:
            return None
        of_answers: Spread = spread(self._simulation.measurements)
        return of_answers


def run_episodes(simulation: Simulation, controller: Controller, period: int, recorder: Recorder) -> Episodes:
    """Run windows of ``period`` steps until all episodes of a simulation have ended."""
    while not simulation.ended.all():
        recorder.begin_window()
        recorder.end_window(run_window(simulation, controller, period))
    return recorder.episodes()


class Batch(NamedTuple):
    """Where an arm or each of some candidates runs: a world, seeds of a role, windows of an episode."""

    env: EnvConfig
    role: Role
    env_ids: Sequence[int]
    n_windows: int


def on_evaluation_seeds(config: ExperimentConfig, env: EnvConfig | None = None) -> Batch:
    """Where arms are compared: evaluation seeds of the experiment's world, or of another one."""
    settings = config.ablation
    return Batch(env or config.env, "evaluate", range(settings.n_seeds), settings.episode_windows)


StartFunction = Callable[[Start], Controller]


def play_counted(
    config: ExperimentConfig,
    agents: Agents,
    found: Mapping[str, Any],
    start: StartFunction,
    batch: Batch,
    mixed: bool = True,
    observes: bool = False,
) -> tuple[Episodes, int]:
    """One episode in every env of a batch, and env steps done; contexts are recorded where the arm is ``mixed``.

    What an upper agent goes by is recorded with them if the arm ``observes``.
    """
    below = simulation(config, batch.role, batch.env_ids, batch.n_windows, batch.env)
    below.reset()
    controller = start(Start(config, agents, found, below))
    pair = controller if mixed and isinstance(controller, Pair) else None
    episodes = run_episodes(below, controller, lower_steps_per_window(config), Recorder(below, pair, observes))
    return episodes, int(below.elapsed.sum())


def play(
    config: ExperimentConfig,
    agents: Agents,
    found: Mapping[str, Any],
    start: StartFunction,
    batch: Batch,
    mixed: bool = True,
    observes: bool = False,
) -> Episodes:
    """The same without the count."""
    return play_counted(config, agents, found, start, batch, mixed, observes)[0]
