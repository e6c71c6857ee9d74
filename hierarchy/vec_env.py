"""A batch of a world as a Stable-Baselines3 `VecEnv`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices, VecEnvObs, VecEnvStepReturn

from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32
from envs.core.batch import BatchEnv
from envs.core.state import Tree
from hierarchy.executors.remote import Remote
from hierarchy.twins import Decided


class ArrayVecEnv(VecEnv):
    """Base of vec envs whose state is arrays, not a list of env objects.

    Attributes and methods are those of the whole batch: SB3's per-env calls are answered with the same value for every
    index asked for.

    Attributes
    ----------
    n_contexts
        Contexts that an action sets side by side, in envs whose actions are contexts.
    """

    n_contexts = 1

    def __init__(self, num_envs: int, observation_space: spaces.Box, action_space: spaces.Space[Any]) -> None:
        self.render_mode = None
        super().__init__(num_envs, observation_space, action_space)
        self._actions: Array = np.zeros(0)

    def step_async(self, actions: Array) -> None:
        self._actions = actions

    def close(self) -> None:
        """Nothing is held open."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        value = getattr(self, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        result = getattr(self, method_name)(*args, **kwargs)
        return [result for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        return [False for _ in self._get_indices(indices)]

    def _take_seed(self) -> int | None:
        """The seed set by :meth:`seed`, once. One seed serves the batch: every env has its own stream of it."""
        seed: int | None = self._seeds[0]
        self._reset_seeds()
        return seed

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Set the master seed of the next reset."""
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        self._seeds = [seed] * self.num_envs
        return self._seeds


class BatchVecEnv(ArrayVecEnv):
    """Same-step autoreset, with the terminal observation and `TimeLimit.truncated` in the infos, as SB3 expects.

    A step goes on until the world listens to an action again.

    Parameters
    ----------
    batch
        What is learned in.
    twin
        A `Twin` of the batch, whose rewards are taken off: what no action changes says nothing about actions. It runs beside
        the batch where it has a process of its own.

    Attributes
    ----------
    steps_per_action
        Steps of the world that an action stands for.
    reward, reward_terms, costs, setting, context
        Of the last action: reward ``(n_envs,)``, mean terms of its steps by name ``(n_envs,)``, mean costs of its steps
        ``(n_envs, n_constraints)``, what was set ``(n_envs, n)``, and the contexts ``(n_envs, n_terms)`` that it was set
        under.
    """

    def __init__(self, batch: BatchEnv, twin: Remote | None = None) -> None:
        self.batch, self._twin = batch, twin
        self.steps_per_action = batch.world.actuator.every_steps
        self.reward: FloatArray32 = np.zeros(batch.n_rows, np.float32)
        self.reward_terms: dict[str, FloatArray] = {}
        self.costs: FloatArray = np.zeros((batch.n_rows, len(batch.simulation.costs.names)))
        self.setting, self.context = self._setting(), batch.of_rows(batch.context)
        self._no_infos: list[dict[str, Any]] = [{} for _ in range(batch.n_rows)]
        super().__init__(batch.n_rows, batch.observation_space, batch.action_space)

    def _setting(self) -> FloatArray:
        """What was last set by every agent."""
        return self.batch.setting.reshape(self.batch.n_rows, -1)

    def reset(self) -> VecEnvObs:
        return self.begin(self._take_seed(), None)

    def begin(self, seed: int | None, mask: BoolArray | None) -> FloatArray32:
        """Begin episodes in all rows or where ``mask (n_rows,)`` is set, in the twin, too: observations."""
        beside = None if self._twin is None else self._twin.call("reset", seed, mask)
        observation = self.batch.reset(seed, mask)
        if beside is not None:
            beside.result()
        return observation

    def advance(self, action: Array) -> tuple[FloatArray32, FloatArray32, BoolArray, BoolArray]:
        """What :meth:`decide` leads to, the twin's rewards taken off: observations, rewards, terminated and truncated, of
        all rows. Nothing begins anew.
        """
        context = self.batch.context.copy()
        self.context = self.batch.of_rows(context)
        beside = None if self._twin is None else self._twin.call("decide", context)
        observation, reward, terminated, truncated, info = self.decide(self.batch, action)
        self.setting = self._setting()
        terms = -info["reward_vector"].T / self.steps_per_action
        self.reward_terms = dict(zip(self.batch.term_names, terms, strict=True))
        for column, cost in enumerate(info["costs"].values()):
            self.costs[:, column] = cost / self.steps_per_action
        if beside is not None:
            reward -= beside.result()
        self.reward = reward.astype(np.float32)
        return observation, self.reward, terminated, truncated

    def step_wait(self) -> VecEnvStepReturn:
        observation, reward, terminated, truncated = self.advance(self._actions)
        done = terminated | truncated
        infos = self._no_infos
        if done.any():
            infos = [{} for _ in range(self.num_envs)]
            for env in np.flatnonzero(done):
                infos[env] = {
                    "terminal_observation": observation[env],
                    "TimeLimit.truncated": bool(truncated[env] and not terminated[env]),
                }
            observation = self.begin(None, done)
        return observation, reward, done, infos

    def get_state(self) -> Tree:
        """All that moves: the batch and its twin."""
        beside = {} if self._twin is None else {"twin": self._twin.call("get_state").result()}
        return {"batch": self.batch.get_state(), **beside}

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        self.batch.set_state(state["batch"])
        if self._twin is not None:
            self._twin.call("set_state", state["twin"]).result()

    @staticmethod
    def decide(batch: BatchEnv, action: Array) -> Decided:
        """See :meth:`envs.core.batch.BatchEnv.decide`; the reward ``(n_envs,)`` is the agent's."""
        return batch.decide(action)
