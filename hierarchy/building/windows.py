"""How long windows and episodes are, and how many contexts are set in one. Importing it costs no torch."""

from __future__ import annotations

from hierarchy.config import ExperimentConfig


def lower_steps_per_window(config: ExperimentConfig) -> int:
    """Lower steps in a meta step."""
    return config.env.episode_steps if config.upper.meta_step == "episode" else config.upper.meta_period


def episode_steps(config: ExperimentConfig, n_windows: int) -> int:
    """Lower steps of an episode of ``n_windows`` windows, of which a meta step of a whole episode is one."""
    return lower_steps_per_window(config) * (1 if config.upper.meta_step == "episode" else n_windows)


def n_contexts_of(config: ExperimentConfig, n_agents: int) -> int:
    """Contexts that an upper agent sets in an env with so many agents."""
    return n_agents if config.upper.context_per_balancer else 1
