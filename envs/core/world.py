"""A world as it is composed: dynamics, and functions of what is measured of them.

The parts are those of Ecole (Prouvost et al., "Ecole: A Gym-like Library for Machine Learning in Combinatorial Optimization
Solvers", 2020), on a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from envs.core.arrays import Array, FloatArray
from envs.core.constraints import Constraint
from envs.core.dynamics import Actuator, Direct, Dynamics, InformationFunction, NoInformation, ObservationFunction
from envs.core.objectives import Objective, name_of, unit_of
from envs.core.oracle import Oracle
from envs.core.scene import SceneFunction
from envs.core.spec import WorldSpec, described
from envs.core.statistics import MeanStatistics, WindowStatistics, minus_all
from envs.core.terms import Function, RewardTerm


class World:
    """The parts of an environment. :meth:`variant` replaces some of them.

    Parameters
    ----------
    dynamics
        How the batch moves.
    observation_function
        What the lower agent observes.
    reward_terms
        Losses by name, in the order of the context's weights.
    information_function
        What `info` holds beside the rest; nothing by default.
    penalty
        A loss that comes off beside the mix.
    constraints
        Costs by name that are to stay within bounds; none by default.
    actuator
        What makes settings of actions; :class:`Direct` by default.
    statistics
        Figures of windows; the means of the reward terms by default.
    objective
        What the upper agent maximises, a function of the statistics; minus the sum of all by default.
    oracle
        What nobody can measure; knows no regimes by default.
    context
        The mix ``(n_terms,)`` that holds until another one is set; None draws mixes, or keeps equal ones.
    reward_range
        Bounds of each entry of the reward vector, minus a term each.
    nominal_action
        What one would do without learning, in the shape of one env's action, if there is such a thing.
    scene
        What a picture of an env shows of its parts; without it the settings and the features observed are shown.
    """

    def __init__(
        self,
        dynamics: Dynamics,
        observation_function: ObservationFunction,
        reward_terms: Mapping[str, RewardTerm | Function],
        *,
        information_function: InformationFunction | None = None,
        penalty: RewardTerm | Function | None = None,
        constraints: Mapping[str, Constraint] | None = None,
        actuator: Actuator | None = None,
        statistics: WindowStatistics | None = None,
        objective: Objective = minus_all,
        oracle: Oracle | None = None,
        context: FloatArray | None = None,
        reward_range: tuple[float, float] = (-np.inf, np.inf),
        nominal_action: Array | None = None,
        scene: SceneFunction | None = None,
    ) -> None:
        self._given = {name: value for name, value in locals().items() if name != "self"}
        self.dynamics, self.observation_function, self.reward_terms = dynamics, observation_function, reward_terms
        self.information_function: InformationFunction = information_function or NoInformation()
        self.penalty, self.objective, self.scene = penalty, objective, scene
        self.constraints: Mapping[str, Constraint] = constraints or {}
        self.actuator: Actuator = actuator or Direct(dynamics)
        self.statistics: WindowStatistics = statistics or MeanStatistics(dynamics.n_envs, reward_terms)
        self.oracle = oracle or Oracle(dynamics)
        self.context = context
        self.reward_range, self.nominal_action = reward_range, nominal_action

    def variant(self, **parts: Any) -> World:
        """The same world but for some parts; what was not given to this one is made anew, of the new parts."""
        return World(**{**self._given, **parts})

    @property
    def term_names(self) -> tuple[str, ...]:
        return tuple(self.reward_terms)

    @property
    def shows_action_set(self) -> bool:
        """Whether the valid actions are part of the observation."""
        return self.dynamics.masks_actions and not self.observation_function.carries_action_set


def specified(world: World, family: str, dt_s: float) -> WorldSpec:
    """The specification of a world, as far as its parts have it."""
    n_features, n_settings = world.observation_function.space.shape[0], world.actuator.setting.shape[1]
    names = getattr(world.observation_function, "feature_names", tuple(f"feature_{i}" for i in range(n_features)))
    return WorldSpec(
        family=family,
        dt_s=dt_s,
        terms=world.term_names,
        n_parts=getattr(world.observation_function, "n_parts", 0),
        features=tuple(names),
        shared=tuple(getattr(world.observation_function, "shared_names", ())),
        shows_action_set=world.shows_action_set,
        action_space=described(world.dynamics.action_space),
        levels=tuple(getattr(world.actuator, "levels", ())),
        observed=world.statistics.observed_names,
        metrics=world.statistics.metric_names,
        timeline=world.statistics.timeline_names,
        regimes=(),
        setting="setting",
        setting_names=("setting",) if n_settings == 1 else tuple(f"setting {i}" for i in range(n_settings)),
        objective=name_of(world.objective),
        objective_unit=unit_of(world.objective),
        n_agents=world.dynamics.n_agents,
    )
