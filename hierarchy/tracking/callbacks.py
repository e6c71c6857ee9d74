"""What training logs while it runs: progress, and metrics by step."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import unwrap_vec_normalize

from hierarchy.lower.vec_env import BatchVecEnv
from hierarchy.tracking.sinks import Sink
from hierarchy.upper.meta_env import MetaEnv

LastUpdate = Callable[[], Mapping[str, float]]
"""What an algorithm says of its last update, name -> value; nothing before the first."""

CORNER = 0.95
"""A context is at a corner of the simplex when one weight is at least this large."""


class LowerCallback(BaseCallback):
    """Once a rollout: mean reward terms, what is set under contexts that put each term first, speed, the last update."""

    def __init__(self, sink: Sink, last_update: LastUpdate) -> None:
        super().__init__()
        self._sink, self._last_update = sink, last_update
        self._term_sums: dict[str, float] = {}
        self._set: NDArray[np.float64] = np.zeros((2, 0))  # sums of what was set and counts, by the term put first
        self._means = np.zeros(0)
        self._n_steps = 0
        self._started_s = 0.0

    def _on_training_start(self) -> None:
        self._started_s = time.perf_counter()

    def _on_step(self) -> bool:
        env = self.training_env.unwrapped
        assert isinstance(env, BatchVecEnv)
        for name, term in env.reward_terms.items():
            self._term_sums[name] = self._term_sums.get(name, 0.0) + float(term.mean())
        self._add_settings(env.setting.mean(-1), env.context.argmax(-1), env.batch.n_terms)
        self._n_steps += 1
        return True

    def _add_settings(self, setting: NDArray[np.float64], first: NDArray[np.int64], n_terms: int) -> None:
        """What was set ``(n_envs,)`` under contexts that put the term ``first (n_envs,)``."""
        sums: NDArray[np.float64] = np.stack([np.bincount(first, by, n_terms) for by in (setting, np.ones(len(first)))])
        self._set = sums if self._set.shape != sums.shape else self._set + sums

    def _settings(self) -> dict[str, float]:
        """Means by the term that the context puts first; one that no context put first keeps the mean before."""
        env = self.training_env.unwrapped
        assert isinstance(env, BatchVecEnv)
        sums, counts = self._set
        if not len(self._means):
            self._means = np.full(len(sums), sums.sum() / counts.sum())
        self._means = np.where(counts > 0, sums / np.maximum(counts, 1.0), self._means)
        return {f"setting/{name}_first": mean for name, mean in zip(env.batch.term_names, self._means, strict=True)}

    def _on_rollout_end(self) -> None:
        self._sink.advance(self._n_steps * self.training_env.num_envs)
        values = {f"reward/{name}": total / self._n_steps for name, total in self._term_sums.items()}
        values |= self._settings()
        values["lower/steps_per_s"] = self.num_timesteps / (time.perf_counter() - self._started_s)
        values |= {f"lower/{name}": value for name, value in self._last_update().items()}
        self._sink.metrics(values, self.num_timesteps)
        self._term_sums, self._n_steps = {}, 0
        self._set = np.zeros((2, 0))


class UpperCallback(BaseCallback):
    """Every meta step of the batch: the objective and the context, means over the meta envs, and contexts at a corner."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink
        self._started_s = 0.0

    def _on_training_start(self) -> None:
        self._started_s = time.perf_counter()

    def _on_step(self) -> bool:
        env = self.training_env
        assert isinstance(env, MetaEnv)
        self._sink.advance(env.num_envs)
        names = env.windows.batch.term_names
        values = {f"context/{name}": float(w) for name, w in zip(names, env.context.mean(0), strict=True)}
        values["upper/corner_share"] = float((env.context.max(-1) >= CORNER).mean())
        values["upper/objective"] = float(np.mean(env.objective))
        values["upper/meta_steps_per_s"] = self.num_timesteps / (time.perf_counter() - self._started_s)
        self._sink.metrics(values, self.num_timesteps)
        return True


class FlatCallback(BaseCallback):
    """Once a rollout: the mean objective of a step."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink
        self._sum, self._n_steps = 0.0, 0

    def _on_step(self) -> bool:
        env = unwrap_vec_normalize(self.training_env)
        assert env is not None
        self._sum += float(env.get_original_reward().mean())
        self._n_steps += 1
        return True

    def _on_rollout_end(self) -> None:
        self._sink.advance(self._n_steps * self.training_env.num_envs)
        self._sink.metrics({"flat/objective": self._sum / self._n_steps}, self.num_timesteps)
        self._sum, self._n_steps = 0.0, 0
