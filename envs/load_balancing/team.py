"""Several balancers as a team: the functions of a world for each by itself, and for all of them.

What acts, observes and is paid has a row for every balancer, those of an env one after another; statistics, costs that are
bounded and the objective are of the pool.
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
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.observation import ServerObservation
from envs.load_balancing.rules.each import together
from envs.load_balancing.scene import team_scene
from envs.load_balancing.statistics import LoadStatistics, Totals
from envs.load_balancing.team_measurements import TeamMeasurements


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
