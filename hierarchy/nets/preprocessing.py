"""What is done to observations before a policy observes them, and to rewards before it learns: the same code in training
and in acting. Observations are normalised by running moments, clipped, and stacked; rewards are scaled and clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn
from torch import nn

from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32
from envs.core.layout import context_of
from envs.core.state import Tree, restore, state_of
from hierarchy.nets.context_kinds import ContextKinds

CLIP_NORMALISED = 10.0
"""Normalised observations are held within this bound: SB3's default."""
CLIP_SCALED_REWARD = 10.0
"""Scaled rewards are held within this bound where the settings name none: SB3's default."""
EPSILON = 1e-8
"""Added to a variance before it divides: SB3's default."""
FIRST_COUNT = 1e-4
"""What moments weigh before the first sample: SB3's default."""


@dataclass(frozen=True)
class Preprocessing:
    """What is done to observations."""

    n_terms: int = 0
    """length of the context, which ends an observation and is never normalised"""
    history: int = 1
    """observations that are stacked, the newest last"""
    normalise: bool = False
    """shift and scale by running moments"""

    def n_unstacked(self, n_features: int) -> int:
        """Length of an observation of the world, given that of a policy's."""
        return n_features // self.history

    def stacked_space(self, space: spaces.Box) -> spaces.Box:
        """What a policy observes of a world whose observation is ``space``."""
        return spaces.Box(np.tile(space.low, self.history), np.tile(space.high, self.history), dtype=np.float32)


def updated(mean: Any, var: Any, count: float, batch: Array) -> tuple[Any, Any, float]:
    """Running moments with one more batch ``(n, ...)`` taken in (Chan et al., 1979), as SB3 has them."""
    moments = RunningMeanStd()
    moments.mean, moments.var, moments.count = mean, var, count
    moments.update(batch)
    return moments.mean, moments.var, moments.count


class Normaliser(nn.Module):
    """Observations ``(..., n_features)`` in units of their spread; moments run in training and are saved with the policy.

    The context is left as it is: its weights are a mix; shifted and stretched they would be another.
    """

    mean: th.Tensor
    var: th.Tensor
    count: th.Tensor

    def __init__(self, n_features: int, n_terms: int) -> None:
        super().__init__()
        self._n_terms = n_terms
        self.register_buffer("mean", th.zeros(n_features, dtype=th.float64))
        self.register_buffer("var", th.ones(n_features, dtype=th.float64))
        self.register_buffer("count", th.tensor(FIRST_COUNT, dtype=th.float64))

    def update(self, observations: FloatArray32) -> None:
        """Take in a batch ``(n, n_features)``."""
        mean, var, count = updated(self.mean.numpy(), self.var.numpy(), float(self.count), observations)
        context_of(mean, self._n_terms)[...] = 0.0
        context_of(var, self._n_terms)[...] = 1.0
        self.set_state({"mean": mean, "var": var, "count": count})

    def normalise(self, observations: FloatArray32) -> FloatArray32:
        """Centred, scaled and clipped; in double precision, so that a mean large beside its spread costs nothing."""
        scaled = (observations - self.mean.numpy()) / np.sqrt(self.var.numpy() + EPSILON)
        clipped: FloatArray32 = np.clip(scaled, -CLIP_NORMALISED, CLIP_NORMALISED).astype(np.float32)
        return clipped

    def get_state(self) -> Tree:
        """The moments."""
        return {"mean": self.mean.numpy().copy(), "var": self.var.numpy().copy(), "count": float(self.count)}

    def set_state(self, state: Tree) -> None:
        """Go on with other moments."""
        for name, buffer in self.named_buffers():
            buffer.copy_(th.as_tensor(np.asarray(state[name], np.float64)))


class Stack:
    """The last observations of every env, ``(n_envs, history * n_features)``, the newest last; zeros before the first."""

    def __init__(self, n_envs: int, n_features: int, history: int) -> None:
        self._n_features = n_features
        self._stacked = np.zeros((n_envs, history * n_features), np.float32)

    def ending_with(self, env: int, observation: FloatArray32) -> FloatArray32:
        """What the stack of an env would be with one more observation ``(n_features,)``."""
        return np.concatenate([self._stacked[env, self._n_features :], observation])

    def push(self, observations: FloatArray32, starts: BoolArray) -> FloatArray32:
        """The stack with ``observations (n_envs, n_features)``, and nothing before them where an episode starts."""
        before = np.where(starts[:, None], np.float32(0.0), self._stacked[:, self._n_features :])
        self._stacked = np.concatenate([before, observations], axis=1)
        return self._stacked

    def get_state(self) -> Tree:
        """The stack."""
        return {"stacked": self._stacked.copy()}

    def set_state(self, state: Tree) -> None:
        """Go on with another stack."""
        self._stacked = np.array(state["stacked"], np.float32)


class Preprocessor:
    """Observations of a batch as a policy observes them.

    Parameters
    ----------
    n_features
        Of an observation of the world.
    normaliser
        Whose moments are used; None leaves observations as they are.
    """

    def __init__(self, preprocessing: Preprocessing, n_envs: int, n_features: int, normaliser: Normaliser | None) -> None:
        self.normaliser = normaliser
        self._stack = Stack(n_envs, n_features, preprocessing.history) if preprocessing.history > 1 else None

    def observe(self, observations: FloatArray32, starts: BoolArray) -> FloatArray32:
        """``(n_envs, n_features)`` to what the policy observes; ``starts (n_envs,)`` where an episode starts."""
        scaled = observations if self.normaliser is None else self.normaliser.normalise(observations)
        return scaled if self._stack is None else self._stack.push(scaled, starts)

    def last(self, env: int, observation: FloatArray32) -> FloatArray32:
        """What the policy would observe next in an env; nothing is remembered of it."""
        scaled = observation if self.normaliser is None else self.normaliser.normalise(observation)
        return scaled if self._stack is None else self._stack.ending_with(env, scaled)

    def get_state(self) -> Tree:
        """What moves in acting: the stack. Moments are the normaliser's."""
        return {} if self._stack is None else self._stack.get_state()

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        if self._stack is not None:
            self._stack.set_state(state)


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
        scaled = np.clip(rewards / np.sqrt(self._var[kinds] + EPSILON), -self.bound, self.bound)
        self.returns[dones] = 0
        return scaled.astype(np.float32)

    def get_moments(self) -> Tree:
        """The moments of returns by kind of context, ``(n_kinds,)``."""
        return {"mean": self._mean.copy(), "var": self._var.copy(), "count": self._count.copy()}

    def set_moments(self, state: Tree) -> None:
        """Go on with other moments."""
        self._mean, self._var, self._count = (np.array(state[name], float) for name in ("mean", "var", "count"))


class PreprocessedVecEnv(VecEnvWrapper):
    """An env as an agent learns in it: its moments run with every step.

    Attributes
    ----------
    raw_reward
        ``(n_envs,)`` of the last step, as the env gave it.
    """

    def __init__(self, env: VecEnv, preprocessing: Preprocessing, reward_scale: RewardScale | None) -> None:
        space = env.observation_space
        assert isinstance(space, spaces.Box)
        super().__init__(env, observation_space=preprocessing.stacked_space(space))
        n_features = space.shape[0]
        normaliser = Normaliser(n_features, preprocessing.n_terms) if preprocessing.normalise else None
        self._preprocessor = Preprocessor(preprocessing, env.num_envs, n_features, normaliser)
        self.reward_scale = reward_scale
        self.raw_reward = np.zeros(env.num_envs, np.float32)

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
        observations, self.raw_reward, dones, infos = self.venv.step_wait()
        last = {env: infos[env].get("terminal_observation") for env in np.flatnonzero(dones).tolist()}
        assert isinstance(observations, np.ndarray)
        if self.normaliser is not None:
            self.normaliser.update(observations)
        for env, observation in last.items():
            if observation is not None:
                infos[env]["terminal_observation"] = self._preprocessor.last(env, observation)
        scale, rewards = self.reward_scale, self.raw_reward
        rewards = rewards if scale is None else scale.scale(rewards, dones, self._contexts)
        return self._preprocessor.observe(observations, dones), rewards, dones, infos

    def _observed(self, observations: VecEnvObs, starts: BoolArray) -> FloatArray32:
        assert isinstance(observations, np.ndarray)
        if self.normaliser is not None:
            self.normaliser.update(observations)
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
