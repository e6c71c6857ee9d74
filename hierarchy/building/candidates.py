"""The upper agents that are trained to keep the best: their seeds, and what they cost. Importing it costs no torch."""

from __future__ import annotations

import numpy as np

from hierarchy.building.windows import episode_steps, lower_steps_per_window
from hierarchy.config import ExperimentConfig


def seeds(config: ExperimentConfig) -> list[int]:
    """A seed for each: that of the settings, then others that are drawn from it."""
    others = np.random.SeedSequence(config.seed).generate_state(config.upper.candidates - 1)
    return [config.seed, *others.tolist()]


def selection_steps(config: ExperimentConfig, fine_tunes: bool = False) -> int:
    """Lower steps that a candidate is run on selection seeds; none where there is nothing to choose."""
    if config.upper.candidates == 1 and not n_untrained(config, fine_tunes):
        return 0
    return config.upper.candidate_seeds * episode_steps(config, config.ablation.select_windows)


def fitting_steps(config: ExperimentConfig, fine_tunes: bool = False) -> int:
    """Lower steps of the windows that a memory is fitted to; one that is fine-tuned is fitted already."""
    return 0 if fine_tunes else config.upper.memory.fit_episodes * episode_steps(config, config.upper.episode_windows)


def lower_steps_of_one(config: ExperimentConfig) -> int:
    """Lower steps that a candidate takes, selection included."""
    return config.upper.meta_steps * lower_steps_per_window(config) + selection_steps(config)


def n_untrained(config: ExperimentConfig, fine_tunes: bool = False) -> int:
    """Candidates that stay as they begin: one that sets the best fixed mix, and one that begins as the others do, with a mix
    for every state or as the agent that is fine-tuned.
    """
    return int(config.upper.from_fixed_best) + int(fine_tunes or config.upper.ahead_windows > 0)


def n_lower_steps(config: ExperimentConfig) -> int:
    """Lower steps of all candidates, and of what their memory is fitted to."""
    of_trained = config.upper.candidates * lower_steps_of_one(config)
    return of_trained + n_untrained(config) * selection_steps(config) + fitting_steps(config)


def n_beside(config: ExperimentConfig) -> int:
    """Those of them that other processes may do: of all but the first."""
    return (config.upper.candidates - 1) * lower_steps_of_one(config)
