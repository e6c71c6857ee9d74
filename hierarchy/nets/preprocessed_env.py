"""An env as an agent learns in it: observations as its policy observes them, whose moments run, and rewards scaled."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32
from envs.core.layout import context_of
from envs.core.state import Tree, restore, state_of
from hierarchy.nets.context_kinds import ContextKinds
from hierarchy.nets.preprocessing import EPSILON, FIRST_COUNT, Normaliser, Preprocessing, Preprocessor

CLIP_SCALED_REWARD = 10.0
"""Scaled rewards are held within this bound where the settings name none: SB3's default."""


def updated(mean: Any, var: Any, count: float, batch: Array) -> tuple[Any, Any, float]:
    """Running moments with one more batch ``(n, ...)`` taken in (Chan et al., 1979), as SB3 has them."""
    moments = RunningMeanStd()
    moments.mean, moments.var, moments.count = mean, var, count
    moments.update(batch)
    return moments.mean, moments.var, moments.count


def take_in(normaliser: Normaliser, observations: FloatArray32) -> None:
    """Have the moments of a normaliser run on over a batch ``(n, n_features)``; a context has none."""
    mean, var, count = updated(normaliser.mean.numpy(), normaliser.var.numpy(), float(normaliser.count), observations)
    context_of(mean, normaliser.n_terms)[...] = 0.0
    context_of(var, normaliser.n_terms)[...] = 1.0
    normaliser.set_state({"mean": mean, "var": var, "count": count})


class RewardScale:
    """Rewards ``(n_envs,)`` in units of the running spread of discounted returns, held within a bound.

    Under contexts of each kind by themselves, if there are contexts: the critic would else see nothing but the mixes whose
    rewards are large.

    Attributes
    ----------
    returns
        Discounted, since each env's episode began ``(n_envs,)``.
    """

    def __init__(self, n_envs: int, gamma: float, bound: float, n_terms: int = 0) -> None:
        self.bound = bound
        self._gamma, self._n_terms, self._kinds = gamma, n_terms, ContextKinds(n_terms)
        self.returns = np.zeros(n_envs)
        n_kinds = len(self._kinds)
        self._mean, self._var, self._count = np.zeros(n_kinds), np.ones(n_kinds), np.full(n_kinds, FIRST_COUNT)

    def restart(self) -> None:
        """All episodes start."""
        self.returns = np.zeros(len(self.returns))

    def scale(self, rewards: FloatArray32, dones: BoolArray, contexts: FloatArray) -> FloatArray32:
        """Rewards of a step under ``contexts (n_envs, k)``; after it episodes are over where ``dones (n_envs,)`` is set."""
        self.returns = self.returns * self._gamma + rewards
        kinds = self._kinds.of(contexts[:, : self._n_terms])
        for kind in np.unique(kinds):
            moments = float(self._mean[kind]), float(self._var[kind]), float(self._count[kind])
            self._mean[kind], self._var[kind], self._count[kind] = updated(*moments, self.returns[kinds == kind])
        self.returns[dones] = 0
        return self.scaled(rewards, contexts)

    def scaled(self, rewards: FloatArray32, contexts: FloatArray) -> FloatArray32:
        """Rewards ``(n,)`` under contexts ``(n, k)`` by the spreads that there are now."""
        kinds = self._kinds.of(contexts[:, : self._n_terms])
        scaled = np.clip(rewards / np.sqrt(self._var[kinds] + EPSILON), -self.bound, self.bound)
        return scaled.astype(np.float32)

    @property
    def moments(self) -> dict[str, FloatArray]:
        """The moments of returns by kind of context, ``(n_kinds,)``; views."""
        return {"mean": self._mean, "var": self._var, "count": self._count}

    def get_moments(self) -> Tree:
        """Copies of them."""
        return {name: array.copy() for name, array in self.moments.items()}

    def set_moments(self, state: Tree) -> None:
        """Go on with other moments."""
        self._mean, self._var, self._count = (np.array(state[name], float) for name in ("mean", "var", "count"))


class PreprocessedVecEnv(VecEnvWrapper):
    """An env as an agent learns in it: its moments run with every step."""

    def __init__(self, env: VecEnv, preprocessing: Preprocessing, reward_scale: RewardScale | None) -> None:
        space = env.observation_space
        assert isinstance(space, spaces.Box)
        super().__init__(env, observation_space=preprocessing.stacked_space(space))
        n_features = space.shape[0]
        normaliser = Normaliser(n_features, preprocessing.n_terms) if preprocessing.normalise else None
        self._preprocessor = Preprocessor(preprocessing, env.num_envs, n_features, normaliser)
        self.reward_scale = reward_scale

    @property
    def normaliser(self) -> Normaliser | None:
        """Of the observations, if they are normalised."""
        return self._preprocessor.normaliser

    @property
    def _contexts(self) -> FloatArray:
        """That the last rewards were got under ``(n_envs, k)``; of no terms in an env that has none."""
        contexts: FloatArray = getattr(self.venv, "context", np.zeros((self.num_envs, 0)))
        return contexts

    def reset(self) -> VecEnvObs:
        if self.reward_scale is not None:
            self.reward_scale.restart()
        return self._observed(self.venv.reset(), np.ones(self.num_envs, np.bool_))

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = self.venv.step_wait()
        last = {env: infos[env].get("terminal_observation") for env in np.flatnonzero(dones).tolist()}
        assert isinstance(observations, np.ndarray)
        if self.normaliser is not None:
            take_in(self.normaliser, observations)
        for env, observation in last.items():
            if observation is not None:
                infos[env]["terminal_observation"] = self._preprocessor.last(env, observation)
        if self.reward_scale is not None:
            rewards = self.reward_scale.scale(rewards, dones, self._contexts)
        return self._preprocessor.observe(observations, dones), rewards, dones, infos

    def _observed(self, observations: VecEnvObs, starts: BoolArray) -> FloatArray32:
        assert isinstance(observations, np.ndarray)
        if self.normaliser is not None:
            take_in(self.normaliser, observations)
        return self._preprocessor.observe(observations, starts)

    def get_moments(self) -> Tree:
        """Moments of observations and returns: what a policy is of no use without."""
        normaliser, scale = self.normaliser, self.reward_scale
        moments = {} if normaliser is None else {"observations": normaliser.get_state()}
        return moments if scale is None else moments | {"returns": scale.get_moments()}

    def set_moments(self, moments: Tree) -> None:
        """Go on with other moments."""
        if self.normaliser is not None:
            self.normaliser.set_state(moments["observations"])
        if self.reward_scale is not None:
            self.reward_scale.set_moments(moments["returns"])

    def get_state(self) -> Tree:
        """All that moves: moments, stacks, discounted returns so far, and the env itself."""
        returns = {} if self.reward_scale is None else {"returns": self.reward_scale.returns.copy()}
        preprocessing = self._preprocessor.get_state()
        return {"moments": self.get_moments(), "stack": preprocessing, "env": state_of(self.venv), **returns}

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        self.set_moments(state["moments"])
        self._preprocessor.set_state(state["stack"])
        if self.reward_scale is not None:
            self.reward_scale.returns = np.array(state["returns"])
        restore(self.venv, state["env"])
