"""What needs more than the settings: a recording is read, a factory called, agents and arms are held against the world."""

from __future__ import annotations

import envs
from envs.core.validation import SettingError
from hierarchy.arms.constant import actions_of
from hierarchy.building.windows import episode_steps
from hierarchy.config import ExperimentConfig
from hierarchy.executors import EXECUTORS


def notes(config: ExperimentConfig) -> tuple[str, ...]:
    """What one should know before the figures of the arms are read."""
    return envs.notes(config.env, episode_steps(config, config.ablation.episode_windows))


def check_experiment(config: ExperimentConfig) -> None:
    """Make the world of an experiment in the roles that it is needed in, and hold the other settings against it.

    Raises
    ------
    ValueError
        The world can't be made, a setting doesn't fit it, or what is to run jobs can't be had; one line that names it.
    """
    EXECUTORS[config.executor].side_by_side()
    try:
        simulation = envs.simulate(config.env, 1, config.seed)
        envs.simulate(config.env, 1, config.seed, "evaluate")
    except SettingError as error:
        raise error.under("env") from None
    spec = envs.describe(config.env)
    try:
        simulation.objective(simulation.statistics())
    except ValueError as error:
        raise ValueError(f"env.{error}") from None
    try:
        config.lower.check_world(spec.n_parts, simulation.dynamics.action_space, simulation.costs.names)
    except SettingError as error:
        raise error.under("lower") from None
    if config.lower.paired and simulation.world.nominal_action is None:
        raise SettingError("lower.paired", "false in a world without a nominal action", True)
    if config.ablation.constants:
        actions_of(spec)
    context = config.lower.context.fixed
    if context and len(context) != spec.n_terms:
        raise SettingError("lower.context.fixed", f"{spec.n_terms} weights ({', '.join(spec.terms)}), or none", context)
    fixed = config.ablation.fixed
    if fixed is not None and len(fixed) != spec.n_terms:
        raise SettingError("ablation.fixed", f"{spec.n_terms} weights ({', '.join(spec.terms)})", fixed)
