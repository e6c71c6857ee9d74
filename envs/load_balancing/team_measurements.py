"""What is measured where there are several balancers: by each of them, and of all together."""

from __future__ import annotations

import functools

import numpy as np

from envs.core.arrays import Array, FloatArray, FloatArray32
from envs.load_balancing.config import CLASSES
from envs.load_balancing.kernel.accounts import ARRIVED_SQUARED, COST_USD, JAIN, Step
from envs.load_balancing.kernel.state import State
from envs.load_balancing.measurements import Measurements


class TeamMeasurements:
    """What is measured of one instant: by every balancer, and of all of them together.

    Parameters
    ----------
    state
        Of the event loop.
    reports
        What telemetry reports of views ``(n_envs, n_views, 11)``.
    share
        Of costs, that each balancer pays ``(n_balancers,)``.
    """

    def __init__(self, state: State, reports: FloatArray32, share: FloatArray) -> None:
        self._state, self._reports, self._share = state, reports, share
        self.n_balancers = len(share)

    @functools.cached_property
    def local(self) -> Measurements:
        """As each balancer measures: arrays ``(n_envs * n_balancers, ...)``.

        Requests are its own; use and states of servers are those of the pool, and it pays its share of every server's price.
        """
        state, servers, recent = self._state, self._state.servers, self._state.recent
        price = servers.price_usd_per_h[:, None, :] * self._share[:, None]
        return Measurements(
            present=self._shared(servers.present),
            known_down=_flat(servers.known_down),
            cores=self._shared(servers.cores),
            capacity=self._shared(servers.capacity),
            price_usd_per_h=_flat(price),
            utilisation=self._shared(state.step.utilisation),
            answered=self._own(state.answered),
            features=self._own(state.features),
            reports=self._own(self._reports),
            n_flows=self._own(servers.n_flows),
            since_switch_s=self._shared(state.since_switch_s),
            still_billed_s=self._shared(state.still_billed_s),
            arrived_hz=self._own(recent.arrived_hz),
            latency_s=self._own(recent.latency_s),
            unanswered_hz=self._own(recent.unanswered_hz),
            time_of_day=self._shared(state.time_of_day),
            deadline_s=self._own(state.deadline_s),
            counts=self._own(state.counts),
            times=self._own(state.times),
            histogram=self._own(state.histogram),
            sums=_flat(state.sums),
            n_starts=self._shared(state.n_starts),
            step=self._local_step(state.step),
        )

    @property
    def observed(self) -> Measurements:
        """The same with the whole price of every server, which is what one balancer alone would know of it."""
        return self.local._replace(price_usd_per_h=self._shared(self._state.servers.price_usd_per_h))

    def _local_step(self, step: Step) -> Step:
        return Step(
            flow_seconds=self._own(step.flow_seconds),
            unanswered=self._own(step.unanswered),
            late=self._own(step.late),
            arrived=step.arrived.reshape(-1),
            arrivals_per_step=step.arrivals_per_step.reshape(-1),
            all_arrived_squared=self._shared(step.all_arrived_squared),
            utilisation=self._shared(step.utilisation),
            cost_usd=step.cost_usd.reshape(-1),
        )

    @functools.cached_property
    def pooled(self) -> Measurements:
        """Of the pool, all balancers together ``(n_envs, ...)``. Samples of servers are the means of theirs."""
        state, servers, recent = self._state, self._state.servers, self._state.recent
        waited_s, completed = self._sum(recent.waited_s), self._sum(recent.completed)
        features = self._split(state.features).mean(1)
        features[..., 0] *= self.n_balancers
        return Measurements(
            present=servers.present,
            known_down=np.logical_and.reduce(servers.known_down, axis=1),
            cores=servers.cores,
            capacity=servers.capacity,
            price_usd_per_h=servers.price_usd_per_h,
            utilisation=state.step.utilisation,
            answered=self._sum(state.answered),
            features=features,
            reports=features,
            n_flows=self._sum(servers.n_flows),
            since_switch_s=state.since_switch_s,
            still_billed_s=state.still_billed_s,
            arrived_hz=self._sum(recent.arrived_hz),
            latency_s=np.divide(waited_s, completed, out=np.zeros_like(waited_s), where=completed > 0),
            unanswered_hz=self._sum(recent.unanswered_hz),
            time_of_day=state.time_of_day,
            deadline_s=state.deadline_s[:, : len(CLASSES)],
            counts=self._sum(state.counts),
            times=self._sum(state.times),
            histogram=self._sum(state.histogram),
            sums=self._pooled_sums(state),
            n_starts=state.n_starts,
            step=self._pooled_step(state.step),
        )

    def _pooled_step(self, step: Step) -> Step:
        return Step(
            flow_seconds=self._sum(step.flow_seconds),
            unanswered=self._sum(step.unanswered),
            late=self._sum(step.late),
            arrived=step.arrived.sum(1),
            arrivals_per_step=step.arrivals_per_step.sum(1),
            all_arrived_squared=step.all_arrived_squared,
            utilisation=step.utilisation,
            cost_usd=step.cost_usd.sum(1),
        )

    @staticmethod
    def _pooled_sums(state: State) -> FloatArray:
        """Steps, use and servers on are the same for all; costs add up; evenness is the mean of what they know."""
        sums: FloatArray = state.sums[:, 0].copy()
        sums[:, ARRIVED_SQUARED] = state.step.all_arrived_squared
        sums[:, COST_USD] = state.sums[..., COST_USD].sum(1)
        sums[:, JAIN] = state.sums[..., JAIN].mean(1)
        return sums

    def _shared(self, of_pool: Array) -> Array:
        """What is the same for all balancers."""
        return of_pool.repeat(self.n_balancers, axis=0)

    def _split(self, of_all: Array) -> Array:
        """Lanes or views ``(n_envs, n_balancers * n, ...)`` by balancer ``(n_envs, n_balancers, n, ...)``."""
        return of_all.reshape(len(of_all), self.n_balancers, -1, *of_all.shape[2:])

    def _own(self, of_all: Array) -> Array:
        """Those of each balancer ``(n_envs * n_balancers, n, ...)``."""
        return _flat(self._split(of_all))

    def _sum(self, of_all: Array) -> Array:
        total: Array = self._split(of_all).sum(1)
        return total


def _flat(of_balancers: Array) -> Array:
    """``(n_envs, n_balancers, ...)`` as ``(n_envs * n_balancers, ...)``."""
    return of_balancers.reshape(-1, *of_balancers.shape[2:])
