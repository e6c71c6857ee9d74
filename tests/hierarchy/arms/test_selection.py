"""Candidates run side by side on the same selection seeds, and in parts give the bits of the whole."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs.core.simplex import simplex_grid
from hierarchy.arms.jobs import Jobs
from hierarchy.arms.running import Batch
from hierarchy.arms.selection import MIN_ROWS, Selection
from hierarchy.arms.start import Agents
from hierarchy.arms.tables import RegimeTable
from hierarchy.building import upper
from hierarchy.config import ExperimentConfig
from hierarchy.executors.inline import Inline
from hierarchy.pair import Held, Pair
from hierarchy.protocols import TrainedActor


class Watching(Inline):
    """Keeps the batches of the jobs that it runs."""

    def __init__(self, n_workers: int = 1) -> None:
        super().__init__()
        self.n_workers, self.batches = n_workers, []

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        self.batches += [arg for arg in args if isinstance(arg, Batch)]
        return super().submit(function, *args)


def selection_of(config: ExperimentConfig, policy: TrainedActor, watching: Watching, advance: Any = len) -> Selection:
    return Selection(config, envs.describe(config.env), Agents(policy), Jobs(watching, advance))


def test_candidates_are_scored_on_the_same_selection_seeds(tiny_config: ExperimentConfig, policy: TrainedActor) -> None:
    corner, middle, watching = np.array([0.0, 0.0, 1.0]), np.full(3, 1 / 3), Watching()
    selection = selection_of(tiny_config, policy, watching, lambda n: None)
    scores = selection.scores(Held, np.stack([corner, middle, corner])).objective
    [batch] = watching.batches
    assert batch == (tiny_config.env, "select", [0, 1, 0, 1, 0, 1], tiny_config.ablation.select_windows)
    assert scores.shape == (3, 2)
    assert_allclose(scores[0], scores[2], rtol=1e-9)


def test_scores_are_the_objective_on_every_seed(tiny_config: ExperimentConfig, policy: TrainedActor) -> None:
    mixes = simplex_grid(3, 2)
    rows = np.repeat(mixes, 2, axis=0)
    below = upper.simulation(tiny_config, "select", [0, 1] * len(mixes), tiny_config.ablation.select_windows)
    below.reset()
    pair = Pair(below.world, policy.start(len(rows)), Held(rows), tiny_config.upper.meta_period)
    pair.reset()
    while not below.ended.all():
        below.advance(pair.decide(below.measurements))
    scores = selection_of(tiny_config, policy, Watching(), lambda n: None).scores(Held, mixes).objective
    assert_array_equal(scores, below.objective(below.statistics()).reshape(-1, 2))
    assert len(np.unique(scores[:, 1])) > 1


def test_a_table_of_one_mix_scores_as_that_mix(tiny_config: ExperimentConfig, policy: TrainedActor) -> None:
    grid = simplex_grid(3, 2)
    selection = selection_of(tiny_config, policy, Watching(), lambda n: None)
    tables = np.repeat(grid[:, None], 2, axis=1)
    of_tables, of_mixes = selection.scores(RegimeTable, tables), selection.scores(Held, grid)
    assert_allclose(of_tables.objective, of_mixes.objective, rtol=1e-9)


@pytest.mark.parametrize(("n_workers", "n_parts"), [(1, 1), (2, 2), (4, 4), (9, 5)])
def test_parts_of_a_batch_give_the_bits_of_the_whole(
    tiny_config: ExperimentConfig, policy: TrainedActor, n_workers: int, n_parts: int
) -> None:
    grid = simplex_grid(3, 6)[:20]
    whole = selection_of(tiny_config, policy, Watching(), lambda n: None).windows(Held, grid, observes=True)
    watching, steps = Watching(n_workers), []
    parts = selection_of(tiny_config, policy, watching, steps.append).windows(Held, grid, observes=True)
    assert len(watching.batches) == n_parts
    assert all(len(batch.env_ids) >= MIN_ROWS for batch in watching.batches)
    assert sum(steps) == len(grid) * Selection.steps_per_candidate(tiny_config)
    assert_array_equal(parts.scores.objective, whole.scores.objective)
    for ours, theirs in zip(parts[1:], whole[1:], strict=True):
        assert_array_equal(ours, theirs)
