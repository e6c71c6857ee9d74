"""A fixed mix by Bayesian optimisation, for as many lower steps as the upper agent trains for."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.simplex import to_simplex
from envs.core.spec import WorldSpec
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
    """The best mix ``(k,)`` that Optuna's TPE finds; every trial builds on those before."""
    import optuna

    logging.getLogger("optuna").setLevel(logging.WARNING)
    names = [f"w{k}" for k in range(selection.spec.n_terms)]

    def mix_of(weights: Mapping[str, float]) -> FloatArray:
        return to_simplex(np.array([weights[name] for name in names]))

    def score(trial: optuna.Trial) -> float:
        mix = mix_of({name: trial.suggest_float(name, -1.0, 1.0) for name in names})
        return float(selection.scores(Held, mix[None], TRIAL_SEEDS).mean())

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=selection.config.seed))
    study.optimize(score, n_trials(selection.config))
    return mix_of(study.best_params)
