"""A batch as a Gymnasium vector env, with any autoreset mode."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.core.arrays import Array, FloatArray32
from envs.core.batch import BatchEnv
from envs.core.dynamics import Info
from envs.faces.infos import masked
from envs.faces.rendering import RENDER_MODES, check_mode, frames_per_second, render


class BatchVectorEnv(VectorEnv[FloatArray32, Array, Array]):
    """A batch as a `gymnasium.vector.VectorEnv`; next-step autoreset by default, as Gymnasium's wrappers expect.

    Parameters
    ----------
    batch
        The envs; every agent in them is one, those of an env one after another.
    autoreset_mode
        When an env that ended begins again.
    render_mode
        `ansi`, `rgb_array` or None.
    dt_s
        Seconds of a step, for pictures.

    Raises
    ------
    ValueError
        There is no such render mode.
    """

    def __init__(
        self,
        batch: BatchEnv,
        autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        dt_s: float = 1.0,
    ) -> None:
        self.batch, self.render_mode, self._dt_s = batch, check_mode(render_mode), dt_s
        self.num_envs = batch.n_rows
        self.single_observation_space = batch.observation_space
        self.single_action_space = batch.action_space
        self.observation_space = batch_space(batch.observation_space, batch.n_rows)
        self.action_space = batch_space(batch.action_space, batch.n_rows)
        fps = frames_per_second(dt_s)
        self.metadata = {"render_modes": list(RENDER_MODES), "render_fps": fps, "autoreset_mode": autoreset_mode}
        self._mode = autoreset_mode
        self._ended = np.zeros(batch.n_rows, np.bool_)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray32, Info]:
        """Begin episodes; ``options["reset_mask"] (n_envs,)`` restricts it to some envs. One seed serves the batch.

        ``options["context"]``, ``(n_terms,)`` or ``(n_envs, n_terms)``, holds a context from now on. ``info["reward"]`` is
        the reward of the states that the episodes begin with.
        """
        if isinstance(seed, list):
            raise ValueError("seed must be one integer for the batch (each env has its own stream of it), got a list")
        given = options or {}
        if "context" in given:
            self.batch.set_context(given["context"])
        mask = given.get("reset_mask")
        where = np.ones(self.num_envs, np.bool_) if mask is None else mask
        self._ended[where] = False
        return self.batch.reset(seed, where), masked(self.batch.reset_info(), where)

    def step(self, actions: Array) -> tuple[FloatArray32, Array, Array, Array, Info]:
        """One step of every env; under next-step autoreset an ended env is reset instead, with reward 0."""
        restarted = self._ended.copy() if self._mode is AutoresetMode.NEXT_STEP else np.zeros(self.num_envs, np.bool_)
        observation, reward, terminated, truncated, info = self.batch.step(np.asarray(actions))
        info = masked(info, ~restarted)
        if restarted.any():
            observation = self.batch.reset(mask=restarted)
            terminated, truncated = terminated & ~restarted, truncated & ~restarted
        self._ended = terminated | truncated
        if self._mode is AutoresetMode.SAME_STEP and self._ended.any():
            info["final_obs"], info["_final_obs"] = observation.copy(), self._ended.copy()
            observation = self.batch.reset(mask=self._ended)
        return observation, reward, terminated, truncated, info

    def render(self) -> tuple[Any, ...] | None:
        """Every env now: text, or an array ``(height, width, 3)``; None without a render mode."""
        if self.render_mode is None:
            return None
        return tuple(render(self.batch, env, self.render_mode, self._dt_s) for env in range(self.batch.n_envs))
