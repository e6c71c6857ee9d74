"""Several balancers as a team: what each measures by itself, what is measured of all, and the functions of both.

What acts, observes and is paid has a row for every balancer, those of an env one after another; statistics and the objective
are of the pool.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np

from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32
from envs.core.constraints import Constraint
from envs.core.state import Tree, restore, state_of
from envs.core.statistics import Spread
from envs.core.terms import Function, RewardTerm, reward_term
from envs.core.world import World
from envs.load_balancing.actions import Weighting
from envs.load_balancing.config import CLASSES, LoadBalancingConfig
from envs.load_balancing.kernel.accounts import ARRIVED_SQUARED, COST_USD, JAIN, Step
from envs.load_balancing.kernel.state import State
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.observation import ServerObservation
from envs.load_balancing.rules.each import together
from envs.load_balancing.scene import team_scene
from envs.load_balancing.statistics import LoadStatistics, Totals


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


class TeamObservation(ServerObservation):
    """What every balancer observes, by itself."""

    def extract(self, measurements: Any, moved: BoolArray) -> FloatArray32:
        """Fresh observations ``(n_envs * n_balancers, n_features)``; of a server they show the whole price."""
        return super().extract(measurements.observed, moved)


class TeamActuator:
    """Sets the weights of all balancers, each of whose actions is what one balancer's would be.

    Parameters
    ----------
    actuator
        Of one balancer, for as many envs as there are balancers in all.
    n_balancers
        In each env.
    """

    def __init__(self, actuator: Weighting, n_balancers: int) -> None:
        self._actuator, self._n = actuator, n_balancers

    @property
    def setting(self) -> FloatArray:
        """What was last set ``(n_envs, n_balancers * n)``, for pictures."""
        of_rows = self._actuator.setting
        return of_rows.reshape(len(of_rows) // self._n, -1)

    @property
    def levels(self) -> tuple[float, ...]:
        """What the values of a choice mean; none where they are numbers."""
        return self._actuator.levels

    @property
    def every_steps(self) -> int:
        """Steps between two actions that are listened to."""
        return self._actuator.every_steps

    @property
    def due(self) -> BoolArray:
        """Where the next actions are listened to ``(n_envs,)``: all balancers have one clock."""
        return self._actuator.due[:: self._n]

    def reset(self, measurements: TeamMeasurements, mask: BoolArray) -> None:
        """Episodes have begun in ``mask (n_envs,)``."""
        self._actuator.reset(measurements.local, mask.repeat(self._n))

    def apply(self, action: Array, measurements: TeamMeasurements, running: BoolArray) -> tuple[Array, BoolArray]:
        """Dispatch weights ``(n_envs, n_balancers * n_backends, n_servers)``, and which balancers' actions were not valid
        ``(n_envs * n_balancers,)``.
        """
        weights, changed = self._actuator.apply(action, measurements.local, running.repeat(self._n))
        return together(weights, self._n), changed

    def get_state(self) -> Tree:
        """What is in force."""
        return state_of(self._actuator)

    def set_state(self, state: Tree) -> None:
        """Go back to a state of :meth:`get_state`."""
        restore(self._actuator, state)


class TeamTerm(RewardTerm):
    """A term of every balancer by itself ``(n_envs * n_balancers,)``, or for each the mean of all by their shares.

    Parameters
    ----------
    term
        Of one balancer.
    share
        Of requests and costs, that each balancer has ``(n_balancers,)``.
    is_shared
        Whether all are paid alike.
    """

    def __init__(self, term: RewardTerm, share: FloatArray, is_shared: bool) -> None:
        self._term, self._share, self._is_shared = term, share, is_shared
        self._n = len(share)

    def before_reset(self, measurements: TeamMeasurements, mask: BoolArray) -> None:
        self._term.before_reset(measurements.local, mask.repeat(self._n))

    def extract(self, measurements: TeamMeasurements, moved: BoolArray) -> FloatArray:
        own = self._term.extract(measurements.local, moved.repeat(self._n))
        return (own.reshape(-1, self._n) @ self._share).repeat(self._n) if self._is_shared else own

    def get_state(self) -> Tree:
        return state_of(self._term)

    def set_state(self, state: Tree) -> None:
        restore(self._term, state)


class PoolTerm(RewardTerm):
    """A term of the pool that a team serves ``(n_envs,)``."""

    def __init__(self, term: RewardTerm) -> None:
        self._term = term

    def before_reset(self, measurements: TeamMeasurements, mask: BoolArray) -> None:
        self._term.before_reset(measurements.pooled, mask)

    def extract(self, measurements: TeamMeasurements, moved: BoolArray) -> FloatArray:
        return self._term.extract(measurements.pooled, moved)

    def get_state(self) -> Tree:
        return state_of(self._term)

    def set_state(self, state: Tree) -> None:
        restore(self._term, state)


class TeamStatistics(LoadStatistics):
    """Statistics of the pool that a team serves."""

    def __init__(self, config: LoadBalancingConfig) -> None:
        super().__init__(config)
        self._of_pool = LoadStatistics(config)

    def totals(self, measurements: Any) -> Totals:
        return self._of_pool.totals(measurements.pooled)

    def since(self, measurements: Any, totals: Totals | None = None) -> dict[str, FloatArray]:
        return self._of_pool.since(measurements.pooled, totals)

    def spread(self, measurements: Any) -> Spread:
        return self._of_pool.spread(measurements.pooled)


def of_team(world: World, config: LoadBalancingConfig, weighting: Weighting) -> World:
    """The world of one balancer as one of a team: its functions for each by itself, statistics and costs of all."""
    share, is_shared = np.array(config.balancers.share), config.balancers.reward == "team"

    def of_each(term: RewardTerm | Function) -> TeamTerm:
        return TeamTerm(reward_term(term), share, is_shared)

    def of_pool(constraint: Constraint) -> Constraint:
        cost, per = (None if one is None else PoolTerm(reward_term(one)) for one in (constraint.cost, constraint.per))
        assert cost is not None
        return replace(constraint, cost=cost, per=per)

    return world.variant(
        observation_function=TeamObservation(config, weighting),
        reward_terms={name: of_each(term) for name, term in world.reward_terms.items()},
        penalty=None if world.penalty is None else of_each(world.penalty),
        constraints={name: of_pool(one) for name, one in world.constraints.items()},
        actuator=TeamActuator(weighting, len(share)),
        statistics=TeamStatistics(config),
        scene=functools.partial(team_scene, config),
    )
