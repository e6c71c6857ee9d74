"""The best constant action: what an agent that looks at nothing could get, in worlds whose actions are few."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

import envs
from envs.core.action_sets import every_action
from hierarchy.arms.episodes import Advance, Episodes, nothing, run_unmixed
from hierarchy.config import ExperimentConfig
from hierarchy.upper import agent as upper
from hierarchy.upper.meta_env import Windows


class Constant:
    """Stands for a lower agent: every env does the same all the time, ``actions (n_envs, ...)``."""

    def __init__(self, actions: NDArray[Any]) -> None:
        self._actions = actions

    def reset(self, mask: NDArray[np.bool_] | None = None) -> None:
        """Nothing is remembered."""

    def act(self, observation: NDArray[np.float32]) -> NDArray[Any]:
        """The actions, whatever is observed."""
        return self._actions


def n_lower_steps(config: ExperimentConfig, space: spaces.Space[Any]) -> int:
    """Env steps that the choice takes."""
    settings = config.ablation
    episode_steps = upper.episode_steps(config, settings.select_windows)
    return len(every_action(space)) * settings.n_select_seeds * episode_steps


def best_constant(config: ExperimentConfig, progress: Advance = nothing) -> NDArray[np.int64]:
    """The action with the best objective on selection seeds; all actions are run side by side on the same seeds."""
    settings = config.ablation
    actions = every_action(envs.make(config.env, 1).action_space)
    env_ids = list(range(settings.n_select_seeds)) * len(actions)
    batch = upper.batch(config, "select", env_ids, settings.select_windows)
    lower = Constant(np.repeat(actions, settings.n_select_seeds, axis=0))
    scores = run_unmixed(Windows(batch, lower), config, progress).objective
    best: NDArray[np.int64] = actions[scores.reshape(len(actions), -1).mean(-1).argmax()]
    return best


def run_constant(
    config: ExperimentConfig, action: NDArray[Any], env_ids: list[int], progress: Advance = nothing
) -> Episodes:
    """One evaluation episode of a constant action on every seed."""
    batch = upper.batch(config, "evaluate", env_ids, config.ablation.episode_windows)
    return run_unmixed(Windows(batch, Constant(np.stack([action] * len(env_ids)))), config, progress)
