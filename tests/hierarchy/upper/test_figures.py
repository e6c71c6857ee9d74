"""Figures of meta steps are those of the contexts that were set in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import envs
from hierarchy.upper.figures import CORNER, MetaStepFigures
from hierarchy.upper.meta_env import MetaEnv, Windows
from tests.hierarchy.lower.test_figures import watching


def test_contexts_are_those_of_the_meta_step_also_at_the_end_of_an_episode(tiny_config: Any, scripted_lower: Any) -> None:
    batch = envs.make(tiny_config.env, 2)
    env = MetaEnv(Windows(batch, scripted_lower(2)), tiny_config.upper)
    callback, kept = watching(MetaStepFigures, env)
    env.reset()
    corner, edge = np.array([1.0, -1.0, -1.0]), np.array([1.0, 1.0, -1.0])
    for _ in range(tiny_config.upper.episode_windows):
        env.step(np.stack([corner, edge]))
        callback.on_step()
    assert len(kept.metrics) == tiny_config.upper.episode_windows
    for _, values in kept.metrics:
        weights = [values[f"context/{name}"] for name in batch.term_names]
        assert weights == pytest.approx([0.75, 0.25, 0.0], abs=2e-3)
        assert values["upper/corner_share"] == 0.5
        assert values["upper/objective"] == pytest.approx(values["upper/objective"])
    assert CORNER > 0.5
