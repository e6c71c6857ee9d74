"""What needs more than the settings: a recording is read, a factory is called, the terms of the world are counted."""

from __future__ import annotations

import envs
from envs.core.action_sets import every_action
from envs.core.validation import SettingError
from hierarchy.config import ExperimentConfig
from hierarchy.objectives import objective


def check_world(config: ExperimentConfig) -> None:
    """Make the world of an experiment, and hold the settings of its agents and arms against it.

    Raises
    ------
    ValueError
        The world can't be made, or a setting doesn't fit it; one line.
    """
    batch = envs.make(config.env, 1, config.seed)
    envs.make(config.env, 1, config.seed, "evaluate")
    if config.upper.objective is not None:
        objective(batch.reports.statistics(), config.upper, batch.reports)
    if config.ablation.constants:
        every_action(batch.action_space)
    if config.lower.policy == "equivariant":
        from hierarchy.lower.agent import check_parts

        check_parts(batch.dynamics.n_parts, batch.action_space)
    fixed, terms = config.ablation.fixed, batch.term_names
    if fixed is not None and len(fixed) != len(terms):
        raise SettingError("ablation.fixed", f"{len(terms)} weights ({', '.join(terms)})", fixed)
