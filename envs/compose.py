"""A batched environment composed of a world's parts, and the context that weighs its reward terms."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from envs.context import ContextSampling, check_context
from envs.rng import CONTEXT, fill_uniform, next_u64

FloatArray = NDArray[np.float64]
FloatArray32 = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
Info = dict[str, Any]


class ObservationFunction(Protocol):
    """What an agent sees of the dynamics; `update` once a step moves what it remembers (telemetry that is late)."""

    @property
    def space(self) -> spaces.Box: ...
    def reset(self, world: Any, mask: BoolArray) -> None: ...
    def update(self, world: Any) -> None: ...
    def observe(self, world: Any) -> FloatArray32: ...


class Spread(NamedTuple):
    """How single answers are spread, all envs together: counts between edges."""

    label: str
    edges: FloatArray  # (n_bins + 1,)
    counts: FloatArray  # (n_bins,)


class Dynamics(Protocol):
    """A world: how a batch moves and what it names. Everything above it knows these names only."""

    n_envs: int
    env_ids: tuple[int, ...]
    term_names: tuple[str, ...]
    metric_names: tuple[str, ...]
    observed_names: tuple[str, ...]
    timeline_names: tuple[str, ...]
    setting_name: str
    has_context_rule: bool

    @property
    def observation(self) -> ObservationFunction: ...
    @property
    def action_space(self) -> spaces.Space[Any]: ...
    @property
    def nominal_action(self) -> NDArray[Any]: ...
    @property
    def streams(self) -> NDArray[np.uint64]: ...
    @property
    def recorded_position(self) -> FloatArray | None: ...
    @property
    def n_regimes(self) -> int: ...
    @property
    def regime(self) -> NDArray[np.int64]: ...
    @property
    def regime_names(self) -> tuple[str, ...]: ...
    @property
    def setting(self) -> FloatArray: ...
    @property
    def spread(self) -> Spread | None: ...
    def suggested_context(self, statistics: dict[str, FloatArray]) -> FloatArray: ...
    def reseed(self, seed: int) -> None: ...
    def reset(self, mask: BoolArray) -> None: ...
    def act(self, action: NDArray[Any]) -> Info: ...
    def settle(self, mask: BoolArray) -> None: ...
    def terms(self) -> FloatArray: ...
    def extra_reward(self) -> FloatArray: ...
    def totals(self) -> Any: ...
    def statistics(self, since: Any = None) -> dict[str, FloatArray]: ...
    def observed(self, values: dict[str, FloatArray]) -> FloatArray32: ...


class Unlearned(Protocol):
    """An episode under a rule that needs no learning: its world, and what runs it on."""

    @property
    def world(self) -> Dynamics: ...
    def run(self, n_steps: int, last: bool) -> None: ...


class BatchEnv:
    """A batch of one world under a context; no autoreset, the faces in `envs.gymnasium_api` add that.

    Observation: the world's, then the context, float32. Reward: ``-context . terms`` plus what the world adds. With
    ``sampling`` contexts are drawn, else they start equal and stay until :meth:`set_context`.
    """

    def __init__(self, dynamics: Dynamics, episode_steps: int, sampling: ContextSampling | None = None) -> None:
        self.dynamics = dynamics
        self.n_envs = dynamics.n_envs
        self.n_terms = len(dynamics.term_names)
        self.episode_steps = episode_steps
        self.elapsed = np.zeros(self.n_envs, np.int64)
        self.context = np.full((self.n_envs, self.n_terms), 1.0 / self.n_terms)
        self._sampling = sampling
        world = dynamics.observation.space
        self.observation_space = spaces.Box(
            np.concatenate([world.low, np.zeros(self.n_terms, np.float32)]),
            np.concatenate([world.high, np.ones(self.n_terms, np.float32)]),
            dtype=np.float32,
        )
        self.action_space = dynamics.action_space
        self.reward_space = spaces.Box(-1.0, 0.0, (self.n_terms,), np.float32)

    def set_context(self, context: NDArray[Any]) -> None:
        """Hold a context from now on, ``(n_terms,)`` for all or ``(n_envs, n_terms)``; ends the sampling of contexts."""
        self.context = check_context(context, self.n_envs, self.dynamics.term_names)
        self._sampling = None

    def _draw_contexts(self, mask: BoolArray) -> None:
        if self._sampling is None:
            return
        for env in np.flatnonzero(mask):
            self.context[env] = self._sampling.draw(self.n_terms, int(next_u64(self.dynamics.streams[env, CONTEXT])))

    def _switch_contexts(self) -> None:
        if self._sampling is None or self._sampling.switch_probability == 0:
            return
        draw = np.empty((self.n_envs, 1))
        fill_uniform(self.dynamics.streams[:, CONTEXT], draw)
        self._draw_contexts(draw[:, 0] < self._sampling.switch_probability)

    def observe(self) -> FloatArray32:
        """Observations now ``(n_envs, n_features)``, a fresh array."""
        world = self.dynamics.observation.observe(self.dynamics)
        return np.concatenate([world, self.context.astype(np.float32)], axis=1)

    def reset(self, seed: int | None = None, mask: BoolArray | None = None) -> FloatArray32:
        """Begin an episode in all envs, or where ``mask (n_envs,)`` is set; a seed begins all streams anew."""
        if seed is not None:
            self.dynamics.reseed(seed)
        where = np.ones(self.n_envs, np.bool_) if mask is None else mask
        self.dynamics.reset(where)
        self.elapsed[where] = 0
        self._draw_contexts(where)
        return self.observe()

    def advance(self, action: ArrayLike) -> tuple[FloatArray32, BoolArray]:
        """One step for those who do not look at the reward: observation and truncated."""
        _, truncated = self._move(action)
        return self._seen(), truncated

    def step(self, action: ArrayLike) -> tuple[FloatArray32, FloatArray, BoolArray, BoolArray, Info]:
        """One step: observation, reward, terminated, truncated (all with leading ``n_envs``) and info.

        ``info["reward_terms"]`` holds every term by name ``(n_envs,)``, ``info["reward_vector"]`` minus the terms
        ``(n_envs, n_terms)``.
        """
        info, truncated = self._move(action)
        terms = self.dynamics.terms()
        reward = -(self.context * terms).sum(-1) + self.dynamics.extra_reward()
        info["reward_terms"] = dict(zip(self.dynamics.term_names, terms.T, strict=True))
        info["reward_vector"] = -terms
        return self._seen(), reward, np.zeros(self.n_envs, np.bool_), truncated, info

    def _move(self, action: ArrayLike) -> tuple[Info, BoolArray]:
        info = self.dynamics.act(np.asarray(action))
        self.elapsed += 1
        truncated = self.elapsed >= self.episode_steps
        if truncated.any():
            self.dynamics.settle(truncated)
        return info, truncated

    def _seen(self) -> FloatArray32:
        self._switch_contexts()
        self.dynamics.observation.update(self.dynamics)
        return self.observe()
