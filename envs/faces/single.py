"""A batch of one as a Gymnasium env."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from envs.core.arrays import Array, FloatArray32
from envs.core.batch import BatchEnv
from envs.core.dynamics import Info
from envs.faces.infos import of_env
from envs.faces.rendering import RENDER_MODES, check_mode, frames_per_second, render


class SingleEnv(gymnasium.Env[FloatArray32, Array]):
    """A batch of one as a `gymnasium.Env`.

    Observation, action, reward and the rest are specified, index by index, in the docstring of the world's dynamics:
    `envs.load_balancing.world.LoadBalancing` and `envs.spark.world.Stream`. The context follows the world's observation.

    Parameters
    ----------
    batch
        A batch of one env.
    render_mode
        `ansi`, `rgb_array` or None.
    dt_s
        Seconds of a step, for pictures.

    Raises
    ------
    ValueError
        The batch has more than one env or agent, or there is no such render mode.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES)}  # noqa: RUF012  # Gymnasium's own, overridden per env

    def __init__(self, batch: BatchEnv, render_mode: str | None = None, dt_s: float = 1.0) -> None:
        if batch.n_envs != 1:
            raise ValueError(f"n_envs must be 1 for a single env, got {batch.n_envs}")
        if batch.n_agents != 1:
            raise ValueError(f"n_agents must be 1 for a single env (see make_vec), got {batch.n_agents}")
        self.batch, self.render_mode, self._dt_s = batch, check_mode(render_mode), dt_s
        self.metadata = {**self.metadata, "render_fps": frames_per_second(dt_s)}
        self.observation_space: spaces.Space[Any] = batch.observation_space
        self.action_space: spaces.Space[Any] = batch.action_space
        self.reward_space: spaces.Box = batch.reward_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[FloatArray32, Info]:
        """Begin an episode; ``options["context"] (n_terms,)`` holds a context from now on.

        ``info["reward"]`` is the reward of the state that the episode begins with.
        """
        super().reset(seed=seed)
        if options and "context" in options:
            self.batch.set_context(options["context"])
        observation = self.batch.reset(seed)[0]
        return observation, of_env(self.batch.reset_info(), 0)

    def step(self, action: Array) -> tuple[FloatArray32, float, bool, bool, Info]:
        """One step of `dt_s`."""
        observation, reward, terminated, truncated, info = self.batch.step(np.asarray(action)[None])
        return observation[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), of_env(info, 0)

    def render(self) -> Any:
        """The env now: text, or an array ``(height, width, 3)``; None without a render mode."""
        return None if self.render_mode is None else render(self.batch, 0, self.render_mode, self._dt_s)
