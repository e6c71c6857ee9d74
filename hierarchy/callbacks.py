"""What training tells while it runs: progress, and metrics for the tracker."""

from __future__ import annotations

import time

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from hierarchy.meta_env import MetaEnv
from hierarchy.progress import Progress
from hierarchy.tracking import Run
from hierarchy.vec_env import BatchVecEnv


class LowerCallback(BaseCallback):
    """Once a rollout: mean reward terms, speed, and what PPO says of its last update."""

    def __init__(self, progress: Progress, run: Run | None) -> None:
        super().__init__()
        self._progress, self._run = progress, run
        self._term_sums: dict[str, float] = {}
        self._n_steps = 0
        self._started_s = 0.0

    def _on_training_start(self) -> None:
        self._started_s = time.perf_counter()

    def _on_step(self) -> bool:
        env = self.training_env
        assert isinstance(env, BatchVecEnv)
        for name, term in env.reward_terms.items():
            self._term_sums[name] = self._term_sums.get(name, 0.0) + float(term.mean())
        self._n_steps += 1
        return True

    def _on_rollout_end(self) -> None:
        self._progress.advance(self._n_steps * self.training_env.num_envs)
        if self._run is not None:
            elapsed_s = time.perf_counter() - self._started_s
            values = {f"reward/{name}": total / self._n_steps for name, total in self._term_sums.items()}
            values["lower/steps_per_s"] = self.num_timesteps / elapsed_s
            for name, value in self.logger.name_to_value.items():
                if name.startswith("train/"):
                    values[name.replace("train/", "lower/")] = float(value)
            self._run.metrics(values, self.num_timesteps)
        self._term_sums, self._n_steps = {}, 0


class UpperCallback(BaseCallback):
    """Every meta step of the batch: the objective and the context, means over the meta envs."""

    def __init__(self, progress: Progress, run: Run | None) -> None:
        super().__init__()
        self._progress, self._run = progress, run
        self._started_s = 0.0

    def _on_training_start(self) -> None:
        self._started_s = time.perf_counter()

    def _on_step(self) -> bool:
        env = self.training_env
        assert isinstance(env, MetaEnv)
        self._progress.advance(env.num_envs)
        if self._run is not None:
            names = env.windows.world.term_names
            values = {f"context/{name}": float(w) for name, w in zip(names, env.windows.context.mean(0), strict=True)}
            values["upper/objective"] = float(np.mean(env.objective))
            values["upper/meta_steps_per_s"] = self.num_timesteps / (time.perf_counter() - self._started_s)
            self._run.metrics(values, self.num_timesteps)
        return True
