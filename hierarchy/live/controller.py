"""The control loop on a real balancer: measure, decide, hold against the rules of safety, write."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, NamedTuple, Protocol

import numpy as np

from envs.core.arrays import Array, FloatArray, IntArray
from envs.core.validation import one_line
from envs.haproxy.balancer import Balancer, Notice
from envs.haproxy.looking import Seen
from envs.haproxy.runtime import RuntimeApiError
from envs.load_balancing.actions import in_force
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.measurements import Measurements
from hierarchy.live.power import Power, PowerConfig, Powered
from hierarchy.live.safety import NOT_A_WEIGHT, POWER, Held, Intervention, Safety, Standing, held, weights_of
from hierarchy.live.telemetry import Telemetry, TelemetryConfig

Trouble = Literal["", "unreachable", "log", "policy", "slow", "write"]
"""Why weights are held: HAProxy does not answer, the log is not believed, there is no decision or it comes too late, or what
was written is not what HAProxy has."""


ONE = np.ones(1, np.bool_)
"""The env that a real balancer is."""


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
        Integer weights ``(L, S)`` that the balancer has then in the backends that are looked at, or would have; None where
        that is not known.
    interventions
        Of the rules of safety.
    held_because
        Why the last weights stay; empty where they need not.
    took_s
        From the beginning of measuring to the end of writing.
    trouble
        The kind of what is held for.
    noticed
        What nobody here has done: another process, weights that somebody else has set.
    powered
        Which servers are switched off, and whether what drained ones would cost is saved.
    missing
        Requests so far that have ended without a line of the log.
    """

    number: int
    time_s: float
    asked: FloatArray | None
    weights: IntArray | None
    interventions: tuple[Intervention, ...] = ()
    held_because: str = ""
    took_s: float = 0.0
    trouble: Trouble = ""
    noticed: tuple[Notice, ...] = ()
    powered: Powered = Powered()
    missing: int = 0


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
    telemetry
        When the log is not believed.
    slow_s
        Seconds after which a decision is not written.
    power
        Switches servers, where weights are written; nothing does by default.

    Attributes
    ----------
    telemetry
        Knows how many lines of the log are missing.
    n_held
        Steps in which weights were held, by kind.
    """

    def __init__(
        self,
        balancer: Balancer,
        policy: Decides,
        rules: Safety,
        applies: bool,
        now: Callable[[], float] = time.perf_counter,
        *,
        telemetry: TelemetryConfig | None = None,
        slow_s: float = math.inf,
        power: Power | None = None,
    ) -> None:
        self._balancer, self._policy, self._rules, self._applies, self._now = balancer, policy, rules, applies, now
        self._slow_s = slow_s
        self.telemetry = Telemetry(telemetry or TelemetryConfig())
        self.power = power or Power(PowerConfig(), balancer.settings.servers)
        self.n_held: Counter[Trouble] = Counter()
        self._whole = whole_weights(balancer.config)
        self._largest = float(self._whole.max())
        self._n_steps = 0

    def step(self) -> Decision:
        """Measure, decide and write. Whatever goes wrong, the last weights stay."""
        self._n_steps += 1
        began_s = self._now()
        decision = self._steered()
        if decision.trouble:
            self.n_held[decision.trouble] += 1
        return decision._replace(
            number=self._n_steps,
            took_s=self._now() - began_s,
            time_s=self._balancer.time_s,
            noticed=self._balancer.noticed(),
            powered=self.power.powered(),
            missing=self.telemetry.lines.missing,
        )

    def _steered(self) -> Decision:
        try:
            measurements = self._balancer.measure()
        except Exception as error:
            return self._kept("unreachable", one_line(error))
        finally:
            self._record(self._balancer.measurements)
        seen = self._balancer.seen
        assert seen is not None
        self._observe(seen)
        doubt = self.telemetry.record(
            self._balancer.time_s, seen.pid, int(seen.ended.sum()), self._balancer.n_lines, seen.n_dropped_logs
        )
        if doubt:
            return self._kept("log", doubt)
        return self._decided(measurements, seen)

    def _record(self, measurements: Measurements) -> None:
        """Show a step to the statistics of the world, which must see every one, and before anybody decides."""
        self._balancer.world.statistics.record(measurements, ONE)

    def _observe(self, seen: Seen) -> None:
        """Let the policy observe the weights that are in force, where they are others than it has asked for."""
        weighting, there = self._balancer.weighting, seen.weights[: len(self._whole)]
        asked = weighting.relative[0] * self._whole / self._largest
        measured = np.clip(there * self._largest / (self._rules.highest * np.maximum(self._whole, 1e-12)), 0.0, 1.0)
        weighting.put_in_force(np.where(weights_of(self._rules, asked) == there, weighting.relative[0], measured)[None])

    def _decided(self, measurements: Measurements, seen: Seen) -> Decision:
        began_s = self._now()
        try:
            asked = np.asarray(self._policy.decide(measurements), np.float64)[0] / self._largest
        except Exception as error:  # a policy may fail in any way
            return self._kept("policy", f"no decision ({one_line(error)})")
        ready = self.power.ready(seen)
        standing = Standing(seen.weights, ~seen.look.down & ready, seen.untouchable, ~ready)
        given = held(self._rules, np.broadcast_to(asked, seen.weights.shape), standing)
        if any(one.rule == NOT_A_WEIGHT for one in given.interventions):
            return self._kept("policy", "no decision (not a weight)")._replace(interventions=given.interventions)
        took_s = self._now() - began_s
        if took_s > self._slow_s:
            kept = self._kept("slow", f"the decision took {took_s:.3f} s, more than {self._slow_s:g} s")
            return kept._replace(asked=asked)
        if self._applies:
            try:
                self._balancer.write(given.weights)
            except RuntimeApiError as error:
                with suppress(RuntimeApiError):  # some may have been set: what there is now stays
                    self._balancer.look()
                return self._kept("write", str(error))._replace(asked=asked)
            self._switch(given)
        return Decision(0, 0.0, asked, given.weights, given.interventions)

    def _switch(self, given: Held) -> None:
        """Let servers be on that have weight, or would have if they were."""
        wanted = np.asarray((given.weights > 0).any(0))
        for one in given.interventions:
            wanted[one.server] |= one.rule == POWER
        assert self._balancer.seen is not None
        self.power.follow(wanted, self._balancer.seen)

    def _kept(self, trouble: Trouble, why: str) -> Decision:
        seen = self._balancer.seen
        return Decision(0, 0.0, None, None if seen is None else seen.weights, held_because=why, trouble=trouble)


def whole_weights(config: LoadBalancingConfig) -> FloatArray:
    """Dispatch weights ``(n_backends, S)`` of relative weights of 1; the largest of them is the largest there may be."""
    ones = np.ones((1, config.n_backends, config.pool.n_servers))
    weights: FloatArray = in_force(config, ones, config.pool.capacity[None])[0]
    return weights
