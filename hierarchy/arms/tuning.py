"""A fixed mix by Bayesian optimisation, for as many lower steps as the upper agent trains for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from envs.core.arrays import FloatArray
from envs.core.spec import WorldSpec
from hierarchy.arms.search import tuned
from hierarchy.arms.selection import Selection
from hierarchy.building.windows import episode_steps, lower_steps_per_window
from hierarchy.config import ExperimentConfig
from hierarchy.pair import Held

TRIAL_SEEDS = 4
"""Episodes of a trial of the tuner; the same for all trials, so that they are compared on the same requests."""


def n_trials(config: ExperimentConfig) -> int:
    """Trials that take as many lower steps as the upper agent's training."""
    per_trial = TRIAL_SEEDS * episode_steps(config, config.ablation.select_windows)
    return max(1, config.upper.meta_steps * lower_steps_per_window(config) // per_trial)


def n_tuning_steps(config: ExperimentConfig, spec: WorldSpec) -> int:
    """Env steps of all trials."""
    return n_trials(config) * TRIAL_SEEDS * episode_steps(config, config.ablation.select_windows)


def tune(selection: Selection, found: Mapping[str, Any]) -> FloatArray:
    """The best mix ``(k,)`` of all trials."""
    score = partial(selection.scores, Held, n_seeds=TRIAL_SEEDS)
    return tuned(score, selection.spec.n_terms, n_trials(selection.config), selection.config.seed)
