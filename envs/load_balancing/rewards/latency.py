"""How long requests wait."""

from __future__ import annotations

import numpy as np

from envs.core.arrays import FloatArray
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.measurements import Measurements

LINEAR_TO_DEADLINES = 0.25
"""Mean latency, in deadlines, up to which the latency term is about linear: where a pool in good health spends its time."""
WORST_DEADLINES = 20.0
"""Mean latency, in deadlines, at which it reaches 1."""


def latency(config: LoadBalancingConfig, measurements: Measurements) -> FloatArray:
    """Waiting in units of deadlines per flow, ``x``, on a log scale: ``log(1 + 4 x) / log(1 + 80)``, held at 1.

    A scale that saturates early would make overload cheap, a linear one would hide everything below it.

    ``x`` is the time all flows spent in the system during the step, each divided by the deadline of its class, over the
    moving mean of arrivals per step: by Little's law its long-run mean is the mean of latency over deadline. Flows still
    waiting are charged as they wait; a lost or rejected one counts `loss_weight` deadlines.
    """
    step = measurements.step
    waiting = (step.flow_seconds / measurements.deadline_s).sum(-1)
    lost = config.reward.loss_weight * step.unanswered.sum(-1)
    x = (waiting + lost) / step.arrivals_per_step
    loss: FloatArray = np.log1p(x / LINEAR_TO_DEADLINES) / np.log1p(WORST_DEADLINES / LINEAR_TO_DEADLINES)
    return np.minimum(loss, 1.0)
