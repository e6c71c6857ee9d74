"""What an upper agent has to record while it learns, made from its meta envs."""

from __future__ import annotations

import numpy as np

from hierarchy.sb3 import ObserverCallback
from hierarchy.upper.meta_env import MetaEnv

CORNER = 0.95
"""A context is at a corner of the simplex when one weight is at least this large."""


class MetaStepFigures(ObserverCallback):
    """Every meta step of the batch: the objective and the context, means over the meta envs, and contexts at a corner."""

    def _observe(self) -> None:
        env = self.training_env
        assert isinstance(env, MetaEnv)
        names = env.term_names
        values = {f"context/{name}": float(w) for name, w in zip(names, env.context.mean(0), strict=True)}
        values["upper/corner_share"] = float((env.context.max(-1) >= CORNER).mean())
        values["upper/objective"] = float(np.mean(env.objective))
        values["upper/meta_steps_per_s"] = self.steps_per_s
        self.record(values)
