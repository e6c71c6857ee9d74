"""What a lower agent has to record while it learns, made from its env and SB3's logger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.state import Tree
from hierarchy.protocols import Observer
from hierarchy.sb3.watching import ObserverCallback
from hierarchy.vec_env import BatchVecEnv

SINGLE_TASK = "flat/objective"
"""Name of the mean reward of a step of an agent with one task: one without a hierarchy, rewarded by the objective."""


class Figures(Protocol):
    """What is gathered step by step, whatever the agent learns by."""

    def take_in(self, env: BatchVecEnv) -> None:
        """A step of an env."""

    def taken(self) -> dict[str, float]:
        """Figures by name of the steps since the last call, at least one."""

    def get_state(self) -> Tree:
        """All that is gathered, as copies."""

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""


class ContextFigures:
    """Mean reward terms, and what is set under contexts that put each term first."""

    def __init__(self) -> None:
        self._n_steps = 0
        self._terms: dict[str, float] = {}  # sums
        self._set: FloatArray = np.zeros((2, 0))  # sums of what was set and counts, by the term put first
        self._means: FloatArray = np.zeros(0)

    def take_in(self, env: BatchVecEnv) -> None:
        """A step of an env."""
        for name, term in env.reward_terms.items():
            self._terms[name] = self._terms.get(name, 0.0) + float(term.mean())
        setting, first = env.setting.mean(-1), env.context.argmax(-1)
        sums: FloatArray = np.stack([np.bincount(first, by, env.batch.n_terms) for by in (setting, np.ones(len(first)))])
        self._set = sums if self._set.shape != sums.shape else self._set + sums
        self._n_steps += 1

    def taken(self) -> dict[str, float]:
        """Means since the last call; a term that no context put first keeps the mean before."""
        sums, counts = self._set
        if not len(self._means):
            self._means = np.full(len(sums), sums.sum() / counts.sum())
        self._means = np.where(counts > 0, sums / np.maximum(counts, 1.0), self._means)
        values = {f"reward/{name}": total / self._n_steps for name, total in self._terms.items()}
        values |= {f"setting/{name}_first": mean for name, mean in zip(self._terms, self._means, strict=True)}
        self._terms, self._set, self._n_steps = {}, np.zeros((2, 0)), 0
        return values

    def get_state(self) -> Tree:
        """Sums, counts and means, as copies."""
        moving = {"terms": dict(self._terms), "set": self._set.copy(), "means": self._means.copy()}
        return {**moving, "n_steps": self._n_steps}

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        self._terms, self._n_steps = dict(state["terms"]), int(state["n_steps"])
        self._set, self._means = np.array(state["set"]), np.array(state["means"])


class TaskFigures:
    """The mean reward of a step, as the env gave it."""

    def __init__(self) -> None:
        self._sum, self._n_steps = 0.0, 0

    def take_in(self, env: BatchVecEnv) -> None:
        """A step of an env."""
        self._sum += float(env.reward.mean())
        self._n_steps += 1

    def taken(self) -> dict[str, float]:
        """The mean since the last call."""
        mean = self._sum / self._n_steps
        self._sum, self._n_steps = 0.0, 0
        return {SINGLE_TASK: mean}

    def get_state(self) -> Tree:
        """Sum and count."""
        return {"sum": self._sum, "n_steps": self._n_steps}

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        self._sum, self._n_steps = float(state["sum"]), int(state["n_steps"])


def figures_of(contextual: bool) -> Figures:
    """Of an agent that follows contexts, or of one with a single task."""
    return ContextFigures() if contextual else TaskFigures()


class RolloutFigures(ObserverCallback):
    """Once a rollout of an agent of SB3: figures of its steps, speed, the last update.

    An agent with a single task has the first alone.
    """

    def __init__(self, observers: Sequence[Observer], contextual: bool) -> None:
        super().__init__(observers)
        self._contextual, self._figures = contextual, figures_of(contextual)
        self._update: dict[str, float] = {}  # figures of the last update

    def _begin(self) -> None:
        logged = self.logger.name_to_value.items()
        self._update |= {name.removeprefix("train/"): float(v) for name, v in logged if name.startswith("train/")}

    def _observe(self) -> None:
        env = self.training_env.unwrapped
        assert isinstance(env, BatchVecEnv)
        self._figures.take_in(env)

    def _on_rollout_end(self) -> None:
        values = self._figures.taken()
        if self._contextual:
            values["lower/steps_per_s"] = self.steps_per_s
            values |= {f"lower/{name}": value for name, value in self._update.items()}
        self.record(values)

    def get_state(self) -> Tree:
        """What was gathered, and the last update."""
        return {"figures": self._figures.get_state(), "update": dict(self._update)}

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        self._figures.set_state(state["figures"])
        self._update = dict(state["update"])
