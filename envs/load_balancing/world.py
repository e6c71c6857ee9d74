"""The load-balancing world: settings and streams in, a batch of running balancers out."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.core.arrays import BoolArray, FloatArray
from envs.core.dynamics import Dynamics, Info, Transition
from envs.core.rng import Role
from envs.core.state import Tree, copied, restore_attributes
from envs.core.statistics import Statistics
from envs.core.world import World
from envs.load_balancing import actions, randomisation, rewards
from envs.load_balancing.actions import Weighting
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel import loop
from envs.load_balancing.kernel.state import new_state, params
from envs.load_balancing.measurements import Measurements, simulated
from envs.load_balancing.observation import ServerObservation
from envs.load_balancing.oracle import RegimeOracle
from envs.load_balancing.reports import ServerReports
from envs.load_balancing.rules import RULES
from envs.load_balancing.scene import scene
from envs.load_balancing.spec import describe
from envs.load_balancing.statistics import LoadStatistics, misses_deadlines

__all__ = ["RULES", "LoadBalancing", "compose", "describe"]


class LoadBalancing(Dynamics):
    """Dynamics of the world: the event loop under dispatch weights.

    Parameters
    ----------
    config
        Settings; one config gives one world.
    env_ids, seed, role
        See :class:`envs.core.dynamics.Dynamics`; on a trace the role `evaluate` replays the held-out part.
    """

    def __init__(self, config: LoadBalancingConfig, env_ids: Sequence[int], seed: int, role: Role) -> None:
        super().__init__(env_ids, seed, role)
        self.config = config
        split = config.workload.split or ("held_out" if role == "evaluate" else "train")
        self.params = params(config, split)
        self._ranges = randomisation.ranges(config)
        self.state = new_state(config, self.streams)
        self.reports = ServerReports(config.telemetry, self.state.features)
        self._measurements = simulated(self.state, self.reports.now)
        self.masks_actions = config.actions.mode == "levels" and bool(config.randomise.n_servers)

    @property
    def action_space(self) -> spaces.Space[NDArray[np.generic]]:
        """Of one env."""
        return actions.action_space(self.config)

    @property
    def measurements(self) -> Measurements:
        return self._measurements

    def reset_dynamics(self, mask: BoolArray) -> Transition:
        """A new episode in a newly drawn world where ``mask (n_envs,)`` is set; streams go on."""
        randomisation.draw(self.config, self._ranges, self.state, mask)
        loop.reset(self.params, self.state, mask)
        self.reports.reset(mask)
        self.reports.record(self.streams, mask)
        return self._transition()

    def step_dynamics(self, action: FloatArray, running: BoolArray) -> Transition:
        """One step of `dt_s` under dispatch weights ``(n_envs, n_servers)``."""
        loop.advance(self.params, self.state, action, running)
        self.reports.record(self.streams, running)
        return self._transition()

    def _transition(self) -> Transition:
        """Valid levels of each server, where servers can be absent."""
        if not self.masks_actions:
            return Transition()
        return Transition(action_set=actions.valid_levels(self.config, self.state.servers.present))

    def settle(self, mask: BoolArray) -> None:
        """Settle the flows in flight of the episodes that end in ``mask``."""
        loop.settle(self.state, mask)

    def get_state(self) -> Tree:
        return {"kernel": copied(self.state), "reports": self.reports.get_state()}

    def set_state(self, state: Tree) -> None:
        restore_attributes(self, {"state": state["kernel"]}, ["state"])
        self.reports.set_state(state["reports"])


class Weights:
    """`info` of the world: the relative weights in force."""

    def __init__(self, weighting: Weighting) -> None:
        self._weighting = weighting

    def before_reset(self, measurements: Measurements, mask: BoolArray) -> None: ...

    def extract(self, measurements: Measurements, moved: BoolArray) -> Info:
        return {"weights": self._weighting.relative}


def urgency_rule(measurements: Measurements, statistics: Statistics) -> FloatArray:
    """A hand-written rule for contexts ``(n_envs, n_terms)``: latency-first where a class misses its deadline, else
    cost-first.
    """
    names = list(rewards.TERMS)
    missed = misses_deadlines(measurements.deadline_s, statistics)
    mixes: FloatArray = np.eye(len(names))[np.where(missed, names.index("latency"), names.index("cost"))]
    return mixes


def compose(config: LoadBalancingConfig, env_ids: Sequence[int], seed: int, role: Role) -> World:
    """The world of a config, composed."""
    dynamics = LoadBalancing(config, env_ids, seed, role)
    weighting = Weighting(config, dynamics.n_envs)
    return World(
        dynamics=dynamics,
        observation_function=ServerObservation(config, weighting),
        reward_terms=rewards.terms(config),
        information_function=Weights(weighting),
        penalty=rewards.penalty(config, weighting),
        actuator=weighting,
        statistics=LoadStatistics(config),
        objective=config.objective,
        oracle=RegimeOracle(dynamics),
        context_rule=urgency_rule,
        reward_range=(-1.0, 0.0),
        nominal_action=actions.nominal_action(config),
        scene=functools.partial(scene, config),
    )
