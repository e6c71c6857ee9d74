"""One decision of the deployed pair: from answers measured to weights set, both networks and all features included."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import numpy as np

from envs.core.jit import kernel
from envs.load_balancing.kernel.reservoir import measure as read_reservoir
from envs.load_balancing.kernel.reservoir import sample
from envs.load_balancing.world import LoadBalancing
from hierarchy.building import lower, upper
from hierarchy.config import ExperimentConfig
from runs.benchmarks.plan import Case, Plan, Target

N_ANSWERS = 25
N_WINDOWS = 2
N_DECISIONS = 4000


@kernel
def _take_in(reservoir, streams, servers, latency_s, t, features):  # type: ignore[no-untyped-def]
    """Answers of one interval into the reservoir, and the features read from it."""
    for i in range(servers.shape[0]):
        sample(reservoir, streams, 0, servers[i], t, latency_s[i], latency_s[i])
    for server in range(features.shape[1]):
        features[0, server, 0] = 1.0
        read_reservoir(reservoir, 0, server, t, features[0, server, 1:])


class Pair:
    """Both agents, deciding for one balancer; the upper one sets the context anew at every decision."""

    def __init__(self) -> None:
        config = ExperimentConfig()
        policy = lower.build(config).actor
        self._windows = upper.windows(config, policy, "train", [0], N_WINDOWS)
        self._windows.reset()
        self._upper = upper.build(config, policy).actor.start(1)
        self._lower = policy.start(1)
        batch = self._windows.batch
        assert isinstance(batch.dynamics, LoadBalancing)
        self._batch, self._world = batch, batch.dynamics
        self._since = self._world.totals()
        self._windows.run(np.full(batch.n_terms, 1.0 / batch.n_terms), config.upper.meta_period)
        self._now_s = config.upper.meta_period * config.env.dt_s
        gc.collect()
        gc.freeze()  # what is here stays: a collection need not look at it in the middle of a decision

    def decide(self, servers: np.ndarray, latency_s: np.ndarray) -> np.ndarray:
        """Weights for the next interval, given the answers ``(n,)`` of the last one and the statistics of a full window."""
        state = self._world.state
        self._now_s += self._world.config.dt_s
        _take_in(state.reservoir, state.streams, servers, latency_s, self._now_s, state.features)
        seen = self._windows.meta_observation(self._world.statistics(self._since))
        self._batch.set_context(self._upper.act(seen))
        self._world.request(self._lower.act(self._batch.look()))
        return self._world.weights


def decisions_ms(quantile: float, scale: float) -> Callable[[], float]:
    """A quantile of the time of a decision."""
    pairs: list[Pair] = []

    def measure() -> float:
        if not pairs:
            pairs.append(Pair())
        rng = np.random.default_rng(0)
        elapsed_s = []
        for _ in range(max(10, round(scale * N_DECISIONS))):
            servers, latency_s = rng.integers(0, 4, N_ANSWERS), rng.exponential(0.1, N_ANSWERS)
            started_s = time.perf_counter()
            pairs[0].decide(servers, latency_s)
            elapsed_s.append(time.perf_counter() - started_s)
        return float(1e3 * np.quantile(elapsed_s, quantile))

    return measure


def plan(scale: float) -> Plan:
    """Median and 99th percentile."""
    return Plan(
        cases=[
            Case("decision, median", "ms", decisions_ms(0.5, scale)),
            Case("decision, p99", "ms", decisions_ms(0.99, scale)),
        ],
        targets={"decision, p99": Target("at most", 1.0)},
    )
