"""What an upper agent has to record while it learns, made from its meta envs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hierarchy.protocols import Observer
from hierarchy.sb3.watching import ObserverCallback
from hierarchy.upper.meta_env import MetaEnv
from hierarchy.upper.saturation import SaturationWatch

CORNER = 0.95
"""A context is at a corner of the simplex when one weight is at least this large."""


class MetaStepFigures(ObserverCallback):
    """Every meta step of the batch: the objective and the context, means over the meta envs; contexts at a corner; and the
    share of states in which the actor is saturated, for each term and in all of them.
    """

    def __init__(self, observers: Sequence[Observer], watch: SaturationWatch) -> None:
        super().__init__(observers)
        self._watch = watch

    def _observe(self) -> None:
        env = self.training_env
        assert isinstance(env, MetaEnv)
        names = env.term_names
        values = {f"context/{name}": float(w) for name, w in zip(names, env.context.mean(0), strict=True)}
        values["upper/corner_share"] = float((env.contexts.max(-1) >= CORNER).mean())
        saturated = self._watch.saturated
        values |= {
            f"upper/saturated/{name}": float(s)
            for name, s in zip(names, saturated.reshape(-1, len(names)).mean(0), strict=True)
        }
        values["upper/saturated_share"] = self._watch.share
        values["upper/restarts"] = self._watch.n_restarts
        values["upper/objective"] = float(np.mean(env.objective))
        values["upper/meta_steps_per_s"] = self.steps_per_s
        self.record(values)
