"""How many steps a lower agent takes. Importing it costs no torch."""

from __future__ import annotations

from hierarchy.config import ExperimentConfig


def steps_of_round(config: ExperimentConfig) -> int:
    """Lower steps of a round of its warm start: of the futures in which actions are tried, and of the way between them."""
    warm = config.lower.warm_start
    in_futures = sum(size.n_envs * size.n_moments * (warm.tries + 1) * warm.ahead_steps for size in warm.jobs)
    return in_futures + sum(size.n_envs for size in warm.jobs) * config.env.episode_steps


def warm_steps(config: ExperimentConfig) -> int:
    """Lower steps of its warm start."""
    return config.lower.warm_start.rounds * steps_of_round(config)


def n_lower_steps(config: ExperimentConfig) -> int:
    """All lower steps, those of its warm start first."""
    return warm_steps(config) + config.lower.timesteps
