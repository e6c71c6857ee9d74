"""What is measured of a pool behind a balancer: the only thing that observations, statistics and reward terms read.

The simulator's event loop fills these arrays; a real balancer fills the same ones.
"""

from __future__ import annotations

from typing import NamedTuple

from envs.core.arrays import BoolArray, FloatArray, FloatArray32, IntArray
from envs.load_balancing.kernel.accounts import IN_FLIGHT, Step
from envs.load_balancing.kernel.reservoir import FEATURES
from envs.load_balancing.kernel.state import State


class Measurements(NamedTuple):
    """Arrays that are written anew every step: copy what is to be kept. C is the number of classes, S of
    servers, R of spans.
    """

    present: BoolArray  # (n_envs, S) servers that are there in this episode
    known_down: BoolArray  # (n_envs, S) known to have failed, or absent
    cores: IntArray  # (n_envs, S)
    capacity: FloatArray  # (n_envs, S) nominal, seconds of work a second
    price_usd_per_h: FloatArray  # (n_envs, S) of a server fully used
    utilisation: FloatArray  # (n_envs, S) share of the cores in use during the last step
    answered: IntArray  # (n_envs, S) requests completed since the reset
    features: FloatArray32  # (n_envs, S, 11) as they are, see `kernel.reservoir.FEATURES`; times in s
    reports: FloatArray32  # (n_envs, S, 11) the same as telemetry reports them: late, lost or noisy
    n_flows: IntArray  # (n_envs, C, S) requests of each class on each server now
    since_switch_s: FloatArray  # (n_envs, S) since it was last switched on or off, or since the reset
    still_billed_s: FloatArray  # (n_envs, S) what is left of the least time that a start is paid for
    arrived_hz: FloatArray  # (n_envs, C, R) moving means over spans of `kernel.recent.SPANS_S`, as the two below
    latency_s: FloatArray  # (n_envs, C, R) of completed requests
    unanswered_hz: FloatArray  # (n_envs, C, R) lost and rejected
    time_of_day: FloatArray  # (n_envs,) in [0, 1); 0 where there are no days
    deadline_s: FloatArray  # (n_envs, C) of this episode
    counts: IntArray  # (n_envs, C, n_counts) since the reset, in flight now; see `kernel.accounts.CLASS_COUNTS`
    times: FloatArray  # (n_envs, C, n_times) since the reset; see `kernel.accounts.CLASS_TIMES`
    histogram: IntArray  # (n_envs, C, n_bins) latencies since the reset, see `core.histogram`
    sums: FloatArray  # (n_envs, n_sums) over the steps since the reset; `kernel.accounts.STEP_SUMS`
    n_starts: IntArray  # (n_envs,) starts of drained servers since the reset
    step: Step  # figures of the last step

    @property
    def n_envs(self) -> int:
        """Size of the batch."""
        return len(self.n_starts)

    @property
    def n_present(self) -> FloatArray:
        """Servers that are there, ``(n_envs,)``."""
        n: FloatArray = self.present.sum(-1).astype(float)
        return n

    @property
    def max_cost_usd_per_h(self) -> FloatArray:
        """Cost of all servers that are there, fully used, ``(n_envs,)``."""
        cost: FloatArray = self.price_usd_per_h.sum(-1)
        return cost

    @property
    def in_flight(self) -> FloatArray:
        """Requests in the system now, ``(n_envs, C)``."""
        return self.counts[..., IN_FLIGHT].astype(float)

    def feature(self, name: str) -> FloatArray:
        """A measured feature of the servers by name, ``(n_envs, S)``."""
        return self.features[..., FEATURES.index(name)].astype(float)


def simulated(state: State, reports: FloatArray32) -> Measurements:
    """The measurements of a simulated pool with one balancer: the event loop's own arrays, and what telemetry reports."""
    servers, step, recent = state.servers, state.step, state.recent
    return Measurements(
        present=servers.present,
        known_down=servers.known_down[:, 0],
        cores=servers.cores,
        capacity=servers.capacity,
        price_usd_per_h=servers.price_usd_per_h,
        utilisation=step.utilisation,
        answered=state.answered,
        features=state.features,
        reports=reports,
        n_flows=servers.n_flows,
        since_switch_s=state.since_switch_s,
        still_billed_s=state.still_billed_s,
        arrived_hz=recent.arrived_hz,
        latency_s=recent.latency_s,
        unanswered_hz=recent.unanswered_hz,
        time_of_day=state.time_of_day,
        deadline_s=state.deadline_s,
        counts=state.counts,
        times=state.times,
        histogram=state.histogram,
        sums=state.sums[:, 0],
        n_starts=state.n_starts,
        step=step._replace(
            arrived=step.arrived[:, 0], arrivals_per_step=step.arrivals_per_step[:, 0], cost_usd=step.cost_usd[:, 0]
        ),
    )
