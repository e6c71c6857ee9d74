"""Figures of meta steps are those of the contexts that were set in them, and of the actor as it is watched."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import envs
from hierarchy.upper.figures import CORNER, MetaStepFigures
from hierarchy.upper.meta_env import MetaEnv
from hierarchy.upper.saturation import SaturationWatch
from tests.hierarchy.lower.test_figures import watching


def test_contexts_are_those_of_the_meta_step_also_at_the_end_of_an_episode(tiny_config: Any, scripted_lower: Any) -> None:
    period, n_windows = tiny_config.upper.meta_period, tiny_config.upper.episode_windows
    simulation = envs.simulate(dataclasses.replace(tiny_config.env, episode_steps=period * n_windows), 2)
    env = MetaEnv(simulation, scripted_lower(2), period, n_windows)
    watch = SaturationWatch(lambda observation: observation[:, :3])
    watch.saturated = np.array([[True, False, True], [True, True, True]])
    watch.n_restarts = 4
    callback, kept = watching(lambda observers: MetaStepFigures(observers, watch), env)
    env.reset()
    corner, edge = np.array([1.0, -1.0, -1.0]), np.array([1.0, 1.0, -1.0])
    objectives = []
    for _ in range(n_windows):
        env.step(np.stack([corner, edge]))
        callback.on_step()
        objectives.append(env.objective.mean())
    assert len(set(objectives)) == len(kept.metrics) == n_windows
    for objective, (_, values) in zip(objectives, kept.metrics, strict=True):
        weights = [values[f"context/{name}"] for name in env.term_names]
        assert weights == pytest.approx([0.75, 0.25, 0.0])
        assert [values[f"upper/saturated/{name}"] for name in env.term_names] == [1.0, 0.5, 1.0]
        assert values["upper/saturated_share"] == 0.5
        assert values["upper/restarts"] == 4
        assert values["upper/corner_share"] == 0.5
        assert values["upper/objective"] == pytest.approx(objective)
    assert CORNER > 0.5
