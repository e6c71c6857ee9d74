"""The control loop on a real balancer: measure, decide, hold against the rules of safety, write."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from envs.core.arrays import Array, FloatArray, IntArray
from envs.haproxy.balancer import Balancer
from envs.haproxy.runtime import RuntimeApiError
from envs.load_balancing.actions import in_force
from envs.load_balancing.measurements import Measurements
from hierarchy.live.safety import Intervention, Safety, Standing, held


class Decides(Protocol):
    """Sets weights by measurements: a :class:`hierarchy.pair.Pair`, or a rule."""

    def decide(self, measurements: Measurements) -> Array:
        """Weights ``(1, n_backends, S)`` until the next step."""


class Decision(NamedTuple):
    """What became of a step.

    Attributes
    ----------
    number, time_s
        Of the step, and since the balancer was made.
    asked
        Relative weights ``(n_backends, S)`` that were decided for, None where none could be.
    weights
        Integer weights ``(C, S)`` that the balancer has then, or would have; None where that is not known.
    interventions
        Of the rules of safety.
    held_because
        Why the last weights stay; empty where they need not.
    took_s
        From the end of measuring to the end of writing.
    """

    number: int
    time_s: float
    asked: FloatArray | None
    weights: IntArray | None
    interventions: tuple[Intervention, ...] = ()
    held_because: str = ""
    took_s: float = 0.0


class Controller:
    """Steers a balancer, one step at a time.

    Parameters
    ----------
    balancer
        What is steered.
    policy
        Sets weights.
    rules
        Of safety.
    applies
        Whether weights are written; else they are only decided.
    """

    def __init__(
        self, balancer: Balancer, policy: Decides, rules: Safety, applies: bool, now: Callable[[], float] = time.perf_counter
    ) -> None:
        self._balancer, self._policy, self._rules, self._applies, self._now = balancer, policy, rules, applies, now
        config = balancer.config
        ones = np.ones((1, config.n_backends, config.pool.n_servers))
        self._largest = float(in_force(config, ones, config.pool.capacity[None]).max())
        self._n_steps = 0

    def step(self) -> Decision:
        """Measure, decide and write. Whatever goes wrong, the last weights stay."""
        self._n_steps += 1
        try:
            measurements = self._balancer.measure()
        except Exception as error:
            return self._kept(_said(error))
        began_s = self._now()
        try:
            asked = np.asarray(self._policy.decide(measurements), np.float64)[0] / self._largest
        except Exception as error:  # a policy may fail in any way
            return self._kept(f"no decision ({_said(error)})")
        shown = self._balancer.seen
        assert shown is not None
        shape = shown.weights.shape
        given = held(
            self._rules,
            np.broadcast_to(asked, shape),
            Standing(shown.weights, ~self._balancer.down, shown.untouchable),
        )
        if self._applies:
            try:
                self._balancer.write(given.weights)
            except RuntimeApiError as error:
                return self._kept(str(error))._replace(asked=asked)
        took_s = self._now() - began_s
        return Decision(self._n_steps, self._balancer.time_s, asked, given.weights, given.interventions, took_s=took_s)

    def _kept(self, why: str) -> Decision:
        seen = self._balancer.seen
        return Decision(self._n_steps, self._balancer.time_s, None, None if seen is None else seen.weights, held_because=why)


def _said(error: Exception) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
