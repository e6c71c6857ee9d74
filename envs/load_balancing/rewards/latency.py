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
    """How long requests wait, or what that costs: see `reward.latency_measure`."""
    return MEASURES[config.reward.latency_measure](config, measurements)


def forgone(config: LoadBalancingConfig, measurements: Measurements) -> FloatArray:
    """Value that late and lost requests forgo and penalties for them, over what all servers cost fully used; may be above 1.

    A request counts in the step in which its deadline passes, answered or not. The cost term has the same unit, so profit is
    the revenue of all that comes less the sum of both, but for rejected requests that come back.
    """
    step, classes = measurements.step, config.workload.classes
    late_usd = np.array([one.value_usd + one.penalty_usd for one in classes])
    lost_usd = np.array([one.price_of_loss_usd - one.penalty_usd for one in classes])  # beside being late
    most_usd = measurements.max_cost_usd_per_h * config.dt_s / 3600.0
    cost_usd = step.late @ late_usd + step.unanswered @ lost_usd
    loss: FloatArray = np.divide(cost_usd, most_usd, out=np.zeros(len(cost_usd)), where=most_usd > 0)
    return loss


def waiting(config: LoadBalancingConfig, measurements: Measurements) -> FloatArray:
    """Waiting in units of deadlines per flow, ``x``, on a log scale: ``log(1 + 4 x) / log(1 + 80)``, held at 1.

    A scale that saturates early would make overload cheap, a linear one would hide everything below it.

    ``x`` is the time all flows spent in the system during the step, each divided by the deadline of its class, over the
    moving mean of arrivals per step: by Little's law its long-run mean is the mean of latency over deadline. Flows still
    waiting are charged as they wait; a lost or rejected one counts `loss_weight` deadlines.
    """
    step = measurements.step
    waited = (step.flow_seconds / measurements.deadline_s).sum(-1)
    lost = config.reward.loss_weight * step.unanswered.sum(-1)
    x = (waited + lost) / step.arrivals_per_step
    loss: FloatArray = np.log1p(x / LINEAR_TO_DEADLINES) / np.log1p(WORST_DEADLINES / LINEAR_TO_DEADLINES)
    return np.minimum(loss, 1.0)


MEASURES = {"deadlines": waiting, "forgone": forgone}
"""By `reward.latency_measure`."""
