"""Compile the simulator before anything is timed: once for each state of its sources, the result is kept on the disk."""

from __future__ import annotations

import numpy as np

import envs
from hierarchy.config import ExperimentConfig
from hierarchy.phases.phase import Phase, Workspace
from hierarchy.tracking.sinks import Work

WORK = Work("compiling the simulator, once", 1, "step")


def compile_world(config: ExperimentConfig) -> None:
    """Run everything that is compiled: a reset and a step of one env, its contexts and its future drawn, its end settled."""
    batch = envs.make(config.env, 1, config.seed, "train", config.lower.context)
    space = batch.action_space
    batch.reset()
    batch.step(np.zeros((batch.n_rows, *(space.shape or ())), space.dtype))
    batch.simulation.dynamics.redraw()
    batch.simulation.dynamics.settle(np.ones(1, np.bool_))
    batch.simulation.statistics(batch.simulation.totals())


def prepare_worker(config: ExperimentConfig) -> None:
    """Import and load in a worker what the jobs of an experiment need, while there is nothing else for it to do."""
    import hierarchy.arms.ablation  # noqa: F401

    compile_world(config)


def run(workspace: Workspace) -> None:
    """Compile here, then let the workers load it."""
    with workspace.phase("compiling", WORK) as sink:
        compile_world(workspace.config)
        sink.advance(1)
    if workspace.executor.n_workers > 1:
        for _ in range(workspace.executor.n_workers):
            workspace.executor.submit(prepare_worker, workspace.config)


COMPILING = Phase("compiling", run, lasts=False)
