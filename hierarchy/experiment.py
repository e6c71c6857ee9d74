"""The composition root: phase 1, phase 2 and the ablation, in one folder and one MLflow experiment.

An output folder holds `config.json` (every setting), the agents `lower.zip` and `upper.zip`, what training told
(`curves.json`), the mixes chosen on selection seeds (`mixes.json`), the episodes of the arms (`episodes.npz`),
`results.json` and pictures. Each phase can be run alone over what the folder has.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch as th
from gymnasium import spaces
from stable_baselines3 import TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

import envs
from hierarchy import plots
from hierarchy.arms import ablation, flat
from hierarchy.arms.ablation import Agents
from hierarchy.arms.strategies import chosen_mixes
from hierarchy.checks import check_world
from hierarchy.config import CONFIG_NAME, ExperimentConfig
from hierarchy.evidence import results
from hierarchy.evidence.recordings import Curves, save_episodes
from hierarchy.evidence.results import LowerResult, Results, UpperResult
from hierarchy.lower import agent as lower
from hierarchy.lower.fused_ppo import FusedRecurrentPPO
from hierarchy.nets.equivariant import EquivariantLstmPolicy, fitted
from hierarchy.nets.recurrent import FusedLstmPolicy
from hierarchy.tracking import publishing
from hierarchy.tracking.callbacks import FlatCallback, LowerCallback, Tell, UpperCallback
from hierarchy.tracking.mlflow import (
    OUT_TAG,
    Level,
    Run,
    Tracker,
    artifact_root,
    git_commit,
    parameters,
    store_uri,
)
from hierarchy.tracking.progress import Progress
from hierarchy.upper import agent as upper

Agent = TypeVar("Agent")
Spaces = tuple[spaces.Space[Any], spaces.Space[Any]]
"""Of observations and actions."""

LOWER_NAME = "lower.zip"
UPPER_NAME = "upper.zip"
FLAT_NAME = "flat.zip"
MIXES_NAME = "mixes.json"
INTERRUPTED_SUFFIX = ".interrupted.zip"


class NotTrainedError(ValueError):
    """A phase was asked for that needs an agent the folder does not hold, or not for this world."""


class Experiment:
    """One run of the command line: settings, folder, progress, and the tracker's parent run while it is open.

    Parameters
    ----------
    config
        All settings.
    out
        The output folder, made when missing.
    preset
        Name of the preset, for tags and results.
    started_s
        ``time.perf_counter()`` at process start; the total time counts from there.
    study_run
        Id of the MLflow run of the study that this is one training seed of.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        out: Path,
        preset: str,
        progress: Progress,
        started_s: float | None = None,
        study_run: str | None = None,
    ) -> None:
        self.config, self.out, self.preset, self._progress = config, out, preset, progress
        self._study_run = study_run
        self._started_s = time.perf_counter() if started_s is None else started_s
        self._timings_s: dict[str, float] = {}
        self._curves = Curves()
        self._tracker: Tracker | None = None
        self._parent: Run | None = None
        th.set_num_threads(config.threads)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Write the settings and keep a parent run open in MLflow; how the block ends is how the run ends.

        Raises
        ------
        ValueError
            The world can't be made, or a setting doesn't fit it; nothing is written.
        """
        check_world(self.config)
        self.out.mkdir(parents=True, exist_ok=True)
        results.write_json({"preset": self.preset, **dataclasses.asdict(self.config)}, self.out / CONFIG_NAME)
        if not self.config.tracking.enabled:
            yield
            self._progress.end()
            return
        tags = {
            "seed": str(self.config.seed),
            "preset": self.preset,
            "git_commit": git_commit(),
            "env_family": self.config.env.family,
            OUT_TAG: str(self.out.resolve()),
        }
        root = self.out.parent if self._study_run is None else self.out.parent.parent
        tracker = Tracker(store_uri(root), artifact_root(root), self.config.tracking.experiment, tags)
        level: Level = "experiment" if self._study_run is None else "seed"
        with tracker, tracker.run(level, self.out.name, self._study_run) as parent:
            parent.parameters(parameters(self.config))
            self._tracker, self._parent = tracker, parent
            yield
            self._progress.end()

    @property
    def run_id(self) -> str | None:
        """Id of the parent run in MLflow while it is open, None without tracking."""
        return None if self._parent is None else self._parent.id

    @contextmanager
    def _run(self, level: Level, name: str, **tags: str) -> Iterator[Run | None]:
        """A child run, or none when nothing is tracked."""
        if self._tracker is None:
            yield None
            return
        with self._tracker.run(level, name, self._parent, **tags) as run:
            yield run

    def _learn(self, agent: BaseAlgorithm, timesteps: int, callback: BaseCallback, path: Path) -> None:
        """Train and save; an interrupt leaves what was learned so far beside it."""
        try:
            agent.learn(timesteps, callback=callback)
        except KeyboardInterrupt:
            lower.save(agent, path.with_suffix(INTERRUPTED_SUFFIX))
            raise
        lower.save(agent, path)
        self._curves.save(self.out)

    def _tell(self, phase: str, run: Run | None) -> Tell:
        """Where the metrics of a phase go: the folder's curves, and the run if there is one."""

        def tell(values: Mapping[str, float], step: int) -> None:
            self._curves.record(phase, values, step)
            if run is not None:
                run.metrics(values, step)

        return tell

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        started_s = time.perf_counter()
        yield
        self._timings_s[phase] = time.perf_counter() - started_s

    def train_lower(self) -> tuple[FusedRecurrentPPO, LowerResult]:
        """Phase 1."""
        with self._run("lower", "lower") as run, self._timed("lower"):
            agent = lower.build(self.config)
            self._progress.begin("phase 1: lower agent", self.config.lower.timesteps, "steps")
            started_s = time.perf_counter()
            callback = LowerCallback(self._progress, self._tell("lower", run))
            self._learn(agent, self.config.lower.timesteps, callback, self.out / LOWER_NAME)
            steps_per_s = agent.num_timesteps / (time.perf_counter() - started_s)
        return agent, {"timesteps": agent.num_timesteps, "steps_per_s": steps_per_s}

    def train_upper(self, policy: FusedLstmPolicy) -> tuple[TD3, UpperResult]:
        """Phase 2, over a trained lower agent."""
        with self._run("upper", "upper") as run, self._timed("upper"):
            agent = upper.build(self.config, policy)
            self._progress.begin("phase 2: upper agent", self.config.upper.meta_steps, "meta steps")
            started_s = time.perf_counter()
            callback = UpperCallback(self._progress, self._tell("upper", run))
            self._learn(agent, self.config.upper.meta_steps, callback, self.out / UPPER_NAME)
            meta_steps_per_s = agent.num_timesteps / (time.perf_counter() - started_s)
        period = upper.lower_steps_per_window(self.config)
        return agent, {"meta_steps": agent.num_timesteps, "lower_steps_per_s": meta_steps_per_s * period}

    def train_flat(self) -> FusedRecurrentPPO:
        """The agent without a hierarchy, for as many lower steps as both phases take."""
        n_steps = flat.timesteps(self.config)
        with self._run("flat", "flat") as run, self._timed("flat"):
            agent = flat.build(self.config)
            self._progress.begin("flat agent", n_steps, "steps")
            self._learn(agent, n_steps, FlatCallback(self._progress, self._tell("flat", run)), self.out / FLAT_NAME)
        return agent

    def phases_before(self) -> tuple[LowerResult | None, UpperResult | None]:
        """What the folder's last results say of the two phases, whose times are taken over."""
        before = results.read(self.out)
        if before is None:
            return None, None
        times = before["timings_s"]
        self._timings_s |= {phase: times[phase] for phase in ("lower", "upper", "flat") if phase in times}
        return before["lower"], before["upper"]

    def ablate(self, agents: Agents, phases: tuple[LowerResult | None, UpperResult | None] = (None, None)) -> Results:
        """The ablation of trained agents; writes `results.json`, what pictures need, and the pictures."""
        with self._timed("ablation"):
            self._progress.begin("ablation", ablation.n_lower_steps(self.config, agents.lower), "lower steps")
            chosen = ablation.sources(self.config, agents, self._progress.advance)
            results.write_json(chosen_mixes(chosen), self.out / MIXES_NAME)
            arms = ablation.run_arms(self.config, agents, chosen, self._progress.advance)
        self._timings_s["total"] = time.perf_counter() - self._started_s
        batch = envs.make(self.config.env, 1, self.config.seed, "evaluate")
        found = results.of_arms(arms, batch.reports.metric_names, batch.term_names, self.preset, self.config.seed)
        found |= {"timings_s": self._timings_s, "lower": phases[0], "upper": phases[1]}
        found["ablation"] = dataclasses.asdict(self.config.ablation)
        save_episodes(arms, self.out)
        self.publish(found, [self.out])
        return found

    def publish(self, found: Results, folders: list[Path]) -> None:
        """Write `results.json` and the pictures, made from the recordings in ``folders``, and log them."""
        results.write_json(found, self.out / results.RESULTS_NAME)
        labels = publishing.labels_of(self.config)
        pictures = [] if self._study_run else [picture.path for picture in plots.draw(found, folders, labels, self.out)]
        self._track(found, pictures)

    def _track(self, found: Results, pictures: list[Path]) -> None:
        """Log every arm as a run, and all together on the parent; the arms of a study are those of all its seeds."""
        level: Level = "arm" if self._study_run is None else "seed_arm"
        for name, arm in found["arms"].items():
            if arm is None:
                continue
            with self._run(level, name, arm=name) as run:
                if run is not None:
                    run.parameters(publishing.arm_parameters(arm))
                    run.metrics(publishing.arm_metrics(arm))
        if self._parent is None:
            return
        self._parent.metrics(publishing.parent_metrics(found))
        self._parent.describe(results.markdown(found))
        if self._study_run is None:
            self._parent.share_arms(publishing.columns(found))
        for path in (*pictures, self.out / results.RESULTS_NAME, self.out / CONFIG_NAME):
            self._parent.artifact(path)


def train(experiment: Experiment) -> Results:
    """Both phases, the flat agent if it is an arm, and the ablation."""
    with experiment.open():
        agent, lower_result = experiment.train_lower()
        policy = lower.policy_of(agent)
        upper_agent, upper_result = experiment.train_upper(policy)
        flat_policy = lower.policy_of(experiment.train_flat()) if experiment.config.ablation.flat else None
        return experiment.ablate(Agents(policy, upper_agent, flat_policy), (lower_result, upper_result))


def train_lower(experiment: Experiment) -> None:
    """Phase 1 alone."""
    with experiment.open():
        experiment.train_lower()


def train_upper(experiment: Experiment) -> None:
    """Phase 2 alone, over the folder's lower agent."""
    policy = _saved_lower(experiment)
    with experiment.open():
        experiment.train_upper(policy)


def ablate(experiment: Experiment) -> Results:
    """The ablation alone, of the folder's agents; a flat agent that is asked for and missing is trained."""
    policy, upper_agent = saved_agents(experiment)
    flat_path = experiment.out / FLAT_NAME
    with experiment.open():
        flat_policy = None
        if experiment.config.ablation.flat:
            flat_agent = lower.load(flat_path) if flat_path.is_file() else experiment.train_flat()
            flat_policy = lower.policy_of(flat_agent)
        return experiment.ablate(Agents(policy, upper_agent, flat_policy), experiment.phases_before())


def saved_agents(experiment: Experiment) -> tuple[FusedLstmPolicy, TD3]:
    """The agents of both levels that the folder holds.

    Raises
    ------
    NotTrainedError
        One is missing, can't be read, or was trained for another world.
    """
    policy = _saved_lower(experiment)
    upper_agent = _saved(upper.load, experiment.out / UPPER_NAME, "train-upper")
    seen = upper.windows(experiment.config, policy, "evaluate", [0], 1).meta_observation_space
    _check_fits((upper_agent.observation_space, upper_agent.action_space), (seen, upper_agent.action_space), UPPER_NAME)
    return policy, upper_agent


def _saved(load: Callable[[Path], Agent], path: Path, command: str) -> Agent:
    if not path.is_file():
        raise NotTrainedError(f"out must hold {path.name} (made by {command}), got {path.parent}")
    try:
        return load(path)
    except Exception as error:  # whatever unpickling a damaged file may raise
        raise NotTrainedError(f"{path.name} must be an agent saved by {command}, got {path} ({error})") from error


def _saved_lower(experiment: Experiment) -> FusedLstmPolicy:
    policy = lower.policy_of(_saved(lower.load, experiment.out / LOWER_NAME, "train-lower"))
    batch = envs.make(experiment.config.env, 1)
    if isinstance(policy, EquivariantLstmPolicy):
        try:
            return fitted(policy, batch.observation_space, batch.action_space)
        except ValueError as error:
            raise NotTrainedError(f"{LOWER_NAME} must be trained for the parts of this world: {error}") from error
    trained = (policy.unstacked_space(), policy.action_space)
    _check_fits(trained, (batch.observation_space, batch.action_space), LOWER_NAME)
    return policy


def _check_fits(trained: Spaces, wanted: Spaces, name: str) -> None:
    """An agent acts only in a world like the one that it was trained in: observations as long, the same actions."""
    (seen, done), (sees, does) = trained, wanted
    if (seen.shape, done) != (sees.shape, does):
        told = f"{(sees.shape, does)}, got {(seen.shape, done)}"
        raise NotTrainedError(f"{name} must be trained for observations and actions {told}")
