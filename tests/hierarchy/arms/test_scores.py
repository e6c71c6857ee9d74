"""Candidates are ranked within the bounds of their world, which hold in the mean over seeds."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs.load_balancing.config import Constraints
from hierarchy.arms.balancing import configured, find_numbers, start_balancing
from hierarchy.arms.found import Chosen
from hierarchy.arms.jobs import Jobs
from hierarchy.arms.running import Batch, play
from hierarchy.arms.scores import Scores, ranking
from hierarchy.arms.selection import Selection
from hierarchy.arms.start import Agents
from hierarchy.config import ExperimentConfig
from hierarchy.executors.inline import Inline

NOBODY = Agents()


def of_costs(objective: list[float], *costs: list[float]) -> Scores:
    return Scores(np.array(objective), np.array(costs).T)


def test_bounds_come_before_the_objective_and_hold_in_the_mean() -> None:
    within = of_costs([1.0, 1.0], [0.5, -0.6])
    at_the_bound = of_costs([0.9, 0.9], [0.5, -0.5])
    beyond = of_costs([9.0, 9.0], [0.2, 0.2])
    further = of_costs([99.0, 99.0], [0.1, 0.1], [0.2, 0.2])
    made_up_for = of_costs([99.0, 99.0], [0.3, 0.3], [-9.0, -9.0])
    assert ranking([further, beyond, at_the_bound, within, made_up_for]) == [3, 2, 1, 4, 0]
    assert [one.beyond for one in (within, at_the_bound, beyond)] == pytest.approx([0.0, 0.0, 0.2])


def test_seeds_are_joined_with_their_costs() -> None:
    one, more = of_costs([1.0, 2.0], [0.1, 0.2]), of_costs([3.0], [0.3])
    both = one.then(more)
    assert len(both) == 3
    assert_array_equal(both.objective, [1.0, 2.0, 3.0])
    assert_array_equal(both.excess[:, 0], [0.1, 0.2, 0.3])


def bounded(config: ExperimentConfig, **bounds: float) -> ExperimentConfig:
    return dataclasses.replace(config, env=dataclasses.replace(config.env, constraints=Constraints(**bounds)))


def selection_of(config: ExperimentConfig) -> Selection:
    return Selection(config, envs.describe(config.env), NOBODY, Jobs(Inline()))


def test_excess_is_a_share_of_the_bound(tiny_config: ExperimentConfig) -> None:
    config = bounded(tiny_config, spend_usd_per_h=0.25, late=0.0)
    batch = Batch(configured("sed", config.env), "select", range(3), 4)
    episodes = play(config, NOBODY, {}, partial(start_balancing, "sed"), batch)
    scores = Scores.of([episodes])
    assert_array_equal(scores.objective, episodes.objective)
    of_name = dict(zip(episodes.costs, scores.excess.T, strict=True))
    assert_allclose(of_name["spend_usd_per_h"], episodes.costs["spend_usd_per_h"] / 0.25 - 1.0)
    assert_array_equal(of_name["late"], episodes.costs["late"])


def test_numbers_of_a_rule_are_the_best_within_the_bounds(tiny_config: ExperimentConfig) -> None:
    """Servers that are on cost what they cost; the search has to give up some of what they earn."""
    settings = dataclasses.replace(tiny_config.ablation, n_trials=32, n_trial_seeds=4, select_windows=50)
    config = dataclasses.replace(tiny_config, ablation=settings)
    free, kept, nearest = (
        find_numbers("autoscale", selection_of(bounded(config, spend_usd_per_h=bound)), {}) for bound in (1.0, 0.2, 0.1)
    )
    batch = Batch(configured("autoscale", config.env), "select", range(8), settings.select_windows)

    def spent(best: Chosen) -> float:
        found = play(config, NOBODY, {"autoscale": best}, partial(start_balancing, "autoscale"), batch)
        return float(found.statistics["cost_usd_per_h"].mean())

    assert spent(free) > 0.2 >= spent(kept)
    assert free.mean > kept.mean
    assert (free.beyond, kept.beyond) == (0.0, 0.0)
    assert nearest.beyond == pytest.approx(spent(nearest) / 0.1 - 1.0), "nothing keeps this bound"
    assert spent(nearest) <= spent(kept)
