"""What a lower agent has to record while it learns, made from its env and SB3's logger."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envs.core.arrays import FloatArray, IntArray
from envs.core.state import Tree
from hierarchy.nets.preprocessed_env import PreprocessedVecEnv
from hierarchy.protocols import Observer
from hierarchy.sb3.watching import ObserverCallback
from hierarchy.vec_env import BatchVecEnv

SINGLE_TASK = "flat/objective"
"""Name of the mean reward of a step of an agent with one task: one without a hierarchy, rewarded by the objective."""


class RolloutFigures(ObserverCallback):
    """Once a rollout: mean reward terms, what is set under contexts that put each term first, speed, the last update."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        super().__init__(observers)
        self._term_sums: dict[str, float] = {}
        self._set: FloatArray = np.zeros((2, 0))  # sums of what was set and counts, by the term put first
        self._means: FloatArray = np.zeros(0)
        self._update: dict[str, float] = {}  # figures of the last update
        self._n_steps = 0

    @property
    def _env(self) -> BatchVecEnv:
        env = self.training_env.unwrapped
        assert isinstance(env, BatchVecEnv)
        return env

    def _begin(self) -> None:
        logged = self.logger.name_to_value.items()
        self._update |= {name.removeprefix("train/"): float(v) for name, v in logged if name.startswith("train/")}

    def _observe(self) -> None:
        env = self._env
        for name, term in env.reward_terms.items():
            self._term_sums[name] = self._term_sums.get(name, 0.0) + float(term.mean())
        self._take_in(env.setting.mean(-1), env.context.argmax(-1), env.batch.n_terms)
        self._n_steps += 1

    def _take_in(self, setting: FloatArray, first: IntArray, n_terms: int) -> None:
        """What was set ``(n_envs,)`` under contexts that put the term ``first (n_envs,)``."""
        sums: FloatArray = np.stack([np.bincount(first, by, n_terms) for by in (setting, np.ones(len(first)))])
        self._set = sums if self._set.shape != sums.shape else self._set + sums

    def _settings(self) -> dict[str, float]:
        """Means by the term that the context puts first; one that no context put first keeps the mean before."""
        sums, counts = self._set
        if not len(self._means):
            self._means = np.full(len(sums), sums.sum() / counts.sum())
        self._means = np.where(counts > 0, sums / np.maximum(counts, 1.0), self._means)
        names = self._env.batch.term_names
        return {f"setting/{name}_first": mean for name, mean in zip(names, self._means, strict=True)}

    def _on_rollout_end(self) -> None:
        values = {f"reward/{name}": total / self._n_steps for name, total in self._term_sums.items()}
        values |= self._settings()
        values["lower/steps_per_s"] = self.steps_per_s
        self.record(values | {f"lower/{name}": value for name, value in self._update.items()})
        self._term_sums, self._n_steps = {}, 0
        self._set = np.zeros((2, 0))

    def get_state(self) -> Tree:
        """What was set, and the last update."""
        return {"means": self._means.copy(), "update": dict(self._update)}

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        self._means, self._update = np.array(state["means"]), dict(state["update"])


class SingleTaskFigures(ObserverCallback):
    """Once a rollout: the mean reward of a step, as the env gave it."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        super().__init__(observers)
        self._sum, self._n_steps = 0.0, 0

    def _observe(self) -> None:
        env = self.training_env
        assert isinstance(env, PreprocessedVecEnv)
        self._sum += float(env.raw_reward.mean())
        self._n_steps += 1

    def _on_rollout_end(self) -> None:
        self.record({SINGLE_TASK: self._sum / self._n_steps})
        self._sum, self._n_steps = 0.0, 0
