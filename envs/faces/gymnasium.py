"""Two Gymnasium faces over a batch: a vector env with any autoreset mode, and a single env as a batch of one."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.core.arrays import BoolArray, FloatArray32
from envs.core.batch import BatchEnv
from envs.core.dynamics import Info


def _per_env(info: Info, env: int) -> Info:
    out: Info = {}
    for key, value in info.items():
        if isinstance(value, dict):
            out[key] = _per_env(value, env)
        else:
            out[key] = None if value is None else value[env]
    return out


def _masked(info: Info, mask: BoolArray) -> Info:
    """An info of a batch in Gymnasium's vector form: each entry with a mask `_entry` that says where it holds."""
    out: Info = {}
    for key, value in info.items():
        out[key] = _masked(value, mask) if isinstance(value, dict) else value
        out[f"_{key}"] = mask.copy()
    return out


class BatchVectorEnv(VectorEnv[FloatArray32, NDArray[Any], NDArray[Any]]):
    """A batch as a `gymnasium.vector.VectorEnv`; next-step autoreset by default, as Gymnasium's wrappers expect."""

    def __init__(self, batch: BatchEnv, autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP) -> None:
        self.batch = batch
        self.num_envs = batch.n_envs
        self.single_observation_space = batch.observation_space
        self.single_action_space = batch.action_space
        self.observation_space = batch_space(batch.observation_space, batch.n_envs)
        self.action_space = batch_space(batch.action_space, batch.n_envs)
        self.metadata = {"render_modes": [], "autoreset_mode": autoreset_mode}
        self._mode = autoreset_mode
        self._ended = np.zeros(batch.n_envs, np.bool_)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray32, Info]:
        """Begin episodes; ``options["reset_mask"] (n_envs,)`` restricts it to some envs. One seed serves the batch.

        ``info["reward"]`` is the reward of the states that the episodes begin with.
        """
        if isinstance(seed, list):
            raise ValueError("seed must be one integer for the batch (each env has its own stream of it), got a list")
        mask = (options or {}).get("reset_mask")
        where = np.ones(self.num_envs, np.bool_) if mask is None else mask
        self._ended[where] = False
        return self.batch.reset(seed, where), _masked(self.batch.reset_info(), where)

    def step(self, actions: NDArray[Any]) -> tuple[FloatArray32, NDArray[Any], NDArray[Any], NDArray[Any], Info]:
        """One step of every env; under next-step autoreset an ended env is reset instead, with reward 0."""
        restarted = self._ended.copy() if self._mode is AutoresetMode.NEXT_STEP else np.zeros(self.num_envs, np.bool_)
        observation, reward, terminated, truncated, info = self.batch.step(np.asarray(actions))
        info = _masked(info, ~restarted)
        if restarted.any():
            observation = self.batch.reset(mask=restarted)
            terminated, truncated = terminated & ~restarted, truncated & ~restarted
        self._ended = terminated | truncated
        if self._mode is AutoresetMode.SAME_STEP and self._ended.any():
            info["final_obs"], info["_final_obs"] = observation.copy(), self._ended.copy()
            observation = self.batch.reset(mask=self._ended)
        return observation, reward, terminated, truncated, info


class SingleEnv(gymnasium.Env[FloatArray32, NDArray[Any]]):
    """A batch of one as a `gymnasium.Env`; observation and action as described in the world's modules."""

    def __init__(self, batch: BatchEnv) -> None:
        if batch.n_envs != 1:
            raise ValueError(f"n_envs must be 1 for a single env, got {batch.n_envs}")
        self.batch = batch
        self.metadata = {"render_modes": []}
        self.observation_space = batch.observation_space
        self.action_space = batch.action_space
        self.reward_space: spaces.Box = batch.reward_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[FloatArray32, Info]:
        """Begin an episode; ``options["context"] (n_terms,)`` holds a context from now on.

        ``info["reward"]`` is the reward of the state that the episode begins with.
        """
        super().reset(seed=seed)
        if options and "context" in options:
            self.batch.set_context(options["context"])
        observation = self.batch.reset(seed)[0]
        return observation, _per_env(self.batch.reset_info(), 0)

    def step(self, action: NDArray[Any]) -> tuple[FloatArray32, float, bool, bool, Info]:
        """One step of `dt_s`."""
        observation, reward, terminated, truncated, info = self.batch.step(np.asarray(action)[None])
        return observation[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), _per_env(info, 0)


class MultiObjectiveEnv(gymnasium.Env[FloatArray32, NDArray[Any]]):
    """A batch of one whose reward is the vector of minus its terms ``(n_terms,)``, as MO-Gymnasium has it.

    The weights of the terms are the caller's to choose, so the context in the observation stays equal and says nothing.
    `reward_space` and `reward_dim` are what MO-Gymnasium's wrappers and MORL-Baselines ask for.
    """

    def __init__(self, single: SingleEnv) -> None:
        self._single = single
        self.metadata = single.metadata
        self.observation_space = single.observation_space
        self.action_space = single.action_space
        self.reward_space: spaces.Box = single.reward_space
        self.reward_dim = single.batch.n_terms

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[FloatArray32, Info]:
        """Begin an episode."""
        super().reset(seed=seed)
        return self._single.reset(seed=seed, options=options)

    def step(self, action: NDArray[Any]) -> tuple[FloatArray32, NDArray[Any], bool, bool, Info]:
        """One step; the reward is a vector, which Gymnasium's type doesn't know."""
        observation, _, terminated, truncated, info = self._single.step(action)
        return observation, info["reward_vector"].astype(np.float32), terminated, truncated, info
