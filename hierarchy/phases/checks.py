"""What needs more than the settings: a recording is read, a factory called, agents and arms are held against the world."""

from __future__ import annotations

import envs
from envs.core.validation import SettingError
from envs.core.world import World
from hierarchy.arms.constant import actions_of
from hierarchy.building.windows import episode_steps
from hierarchy.config import ExperimentConfig


def notes(config: ExperimentConfig) -> tuple[str, ...]:
    """What one should know before the figures of the arms are read."""
    return envs.notes(config.env, episode_steps(config, config.ablation.episode_windows))


def check_experiment(config: ExperimentConfig) -> None:
    """Make the world of an experiment in the roles that it is needed in, and hold the other settings against it.

    Raises
    ------
    ValueError
        The world can't be made, or a setting doesn't fit it; one line that names the setting.
    """
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
        config.lower.check_world(spec.n_parts, simulation.dynamics.action_space)
    except SettingError as error:
        raise error.under("lower") from None
    if config.lower.paired and simulation.world.nominal_action is None:
        raise SettingError("lower.paired", "false in a world without a nominal action", True)
    check_warm_start(config, simulation.world)
    if config.ablation.constants:
        actions_of(spec)
    fixed = config.ablation.fixed
    if fixed is not None and len(fixed) != spec.n_terms:
        raise SettingError("ablation.fixed", f"{spec.n_terms} weights ({', '.join(spec.terms)})", fixed)


def check_warm_start(config: ExperimentConfig, world: World) -> None:
    """Whether actions can be tried in a world, and all that they are rewarded by is among what is measured.

    Raises
    ------
    SettingError
        They can't, or it isn't.
    """
    warm, every_steps = config.lower.warm_start, world.actuator.every_steps
    if warm.rounds == 0:
        return
    if world.nominal_action is None:
        raise SettingError("lower.warm_start.rounds", "0 in a world without a nominal action", warm.rounds)
    if world.penalty is not None:
        raise SettingError("lower.warm_start.rounds", "0 in a world with a penalty beside the mix", warm.rounds)
    if warm.ahead_steps % every_steps:
        allowed = f"a multiple of {every_steps}, the steps that an action stands for"
        raise SettingError("lower.warm_start.ahead_steps", allowed, warm.ahead_steps)
