"""The load-balancing world: settings and streams in, a batch of running balancers out."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.core.arrays import BoolArray, FloatArray
from envs.core.dynamics import Dynamics, Info, Transition
from envs.core.oracle import Oracle
from envs.core.rng import Role
from envs.core.state import Tree, copied, restore_attributes
from envs.core.world import World
from envs.load_balancing import actions, randomisation, rewards
from envs.load_balancing.actions import Weighting
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.constraints import constraints
from envs.load_balancing.drawn import drawn
from envs.load_balancing.drifting import Drifting
from envs.load_balancing.error_budget import BudgetStatistics, ErrorBudget
from envs.load_balancing.guiding import Guiding
from envs.load_balancing.kernel import loop
from envs.load_balancing.kernel.accounts import COMPLETED, IN_FLIGHT, LATE, LOST, ON_TIME, REJECTED
from envs.load_balancing.kernel.redraw import redraw
from envs.load_balancing.measurements import Measurements, simulated
from envs.load_balancing.notes import notes
from envs.load_balancing.observation import ServerObservation
from envs.load_balancing.oracle import RegimeOracle
from envs.load_balancing.params import new_state, params
from envs.load_balancing.reports import ServerReports
from envs.load_balancing.rewards.penalties import penalty
from envs.load_balancing.rules import RULES
from envs.load_balancing.rules.acting import acting_rule
from envs.load_balancing.rules.base import base_rule_of, with_numbers
from envs.load_balancing.scene import scene
from envs.load_balancing.spec import describe
from envs.load_balancing.statistics import LoadStatistics
from envs.load_balancing.team import of_team
from envs.load_balancing.team_measurements import TeamMeasurements

__all__ = ["RULES", "LoadBalancing", "acting_rule", "base_rule_of", "compose", "describe", "drawn", "notes", "with_numbers"]


class LoadBalancing(Dynamics):
    """A pool of servers behind a balancer; the env's specification, with the settings that it has by default.

    **Observation.** Float32 ``(107,)``: the features of four servers, 21 each, 20 features of all traffic, then the context.
    Of server ``i`` the index is the one below plus ``21 i``. Times are shown as ``log(1 + t / 0.1 s)``; all features of an
    absent server are 0.

    ===== ========================== === === ============================================================
    Index Name                       Min Max What and in which unit
    ===== ========================== === === ============================================================
    0     n_flow_on                  0   20  requests in flight, log(1 + n)
    1     fct_mean                   0   20  time from arrival to answer of recent requests: mean, log s
    2     fct_p90                    0   20  the same: 90th percentile, log s
    3     fct_std                    0   20  the same: standard deviation, log s
    4     fct_avg_decay              0   20  the same: mean, older requests count less, log s
    5     fct_p90_decay              0   20  the same: 90th percentile, older requests count less, log s
    6     flow_duration_mean         0   20  time from the start of service to the answer: mean, log s
    7     flow_duration_p90          0   20  the same: 90th percentile, log s
    8     flow_duration_std          0   20  the same: standard deviation, log s
    9     flow_duration_avg_decay    0   20  the same: mean, older requests count less, log s
    10    flow_duration_p90_decay    0   20  the same: 90th percentile, older requests count less, log s
    11    n_flow_on_interactive      0   20  requests of the class in flight, log(1 + n), as the one below
    12    n_flow_on_batch            0   20
    13    utilisation                0   1   share of its cores in use during the last step
    14    capacity                   0   20  nominal, log(1 + c / 4), c in seconds of work a second
    15    price                      0   20  of the server fully used, log(1 + p / 0.25 $/h)
    16    since_switch               0   20  since it was switched on or off, log(1 + t / 5 s), as the one below
    17    still_billed               0   20  what is left of the least time that a start is paid for
    18    weight_interactive         0   1   relative weight in force in the class's backend, as the one below
    19    weight_batch               0   1
    20    active                     0   1   1 unless the server is known to be down
    84    arrived_interactive_1s     0   20  requests that came, moving mean over 1 s, log(1 + r / 10 Hz)
    85    arrived_interactive_5s     0   20  the same over 5 s
    86    arrived_interactive_30s    0   20  the same over 30 s
    87    arrived_batch_1s           0   20  the same of the other class, over 1 s
    88    arrived_batch_5s           0   20  the same of the other class, over 5 s
    89    arrived_batch_30s          0   20  the same of the other class, over 30 s
    90    latency_interactive_1s     0   20  of requests answered of late, moving mean over 1 s, log s
    91    latency_interactive_5s     0   20  the same over 5 s
    92    latency_interactive_30s    0   20  the same over 30 s
    93    latency_batch_1s           0   20  the same of the other class, over 1 s
    94    latency_batch_5s           0   20  the same of the other class, over 5 s
    95    latency_batch_30s          0   20  the same of the other class, over 30 s
    96    unanswered_interactive_1s  0   20  lost and rejected ones, moving mean over 1 s, log(1 + r / 10 Hz)
    97    unanswered_interactive_5s  0   20  the same over 5 s
    98    unanswered_interactive_30s 0   20  the same over 30 s
    99    unanswered_batch_1s        0   20  the same of the other class, over 1 s
    100   unanswered_batch_5s        0   20  the same of the other class, over 5 s
    101   unanswered_batch_30s       0   20  the same of the other class, over 30 s
    102   day_sin                    -1  1   the time of day on a circle, as the one below; 0 and 1 without days
    103   day_cos                    -1  1
    104   fairness                   0   1   weight of the term in the reward, as the two below
    105   latency                    0   1
    106   cost                       0   1
    ===== ========================== === === ============================================================

    ``telemetry.ground_truth`` adds memory (over 16 GB) and cores (over 8) before the capacity; without
    ``telemetry.samples`` features 1 to 10 of a server are 0. With one backend for all
    requests (``backends: joint``) there is one ``weight``.

    **Action.** ``MultiDiscrete([5] * 8)``: a level of each server in the backend of each class, server by server, in
    relative weights 0, 1/8, 1/4, 1/2 and 1; a server without weight in any backend drains and stops. ``actions.mode`` makes
    it a ``Box`` of weights in [0, 1] or of their changes in [-1, 1], or ``MultiDiscrete([41])``: a rule is followed, or one
    of forty plans held in place of it. In every backend one server that is
    not known to be down always keeps a weight. A request goes to the server with the shortest expected delay in its backend,
    where weights times capacity are taken for the capacities; ``dispatch.rule`` has others.

    **Reward.** ``-(fairness, latency, cost) . context``, each term in [0, 1]: how unevenly the servers are used; waiting in
    units of deadlines, on a log scale; cost over that of all servers fully used. ``reward.switching_cost``,
    ``reward.late_limit`` and ``reward.shaping`` take off more.

    **Episode end.** None terminates; an episode is truncated after 2,000 steps of 0.25 s, and what is in flight then counts
    as late, at its age.

    **Info.** ``weights (2, 4)``, relative, in force, by backend; ``reward_terms`` by name and ``reward_vector (3,)``, minus
    the terms; ``costs`` of constraints by name, none by default; ``projected``, whether another action was taken than the
    one given, which was not valid; ``action_set``, the valid levels ``(40,)`` where servers can be absent, or None.

    **Randomness.** Arrivals, work, regimes, faults, dispatch, telemetry and contexts have streams of their own, keyed by
    seed, role and env: the same seed gives the same bits, and the same requests come whatever is done. `randomise` draws a
    world of its own for every episode, in which speeds and mix may `drift`.

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
        self.params = params(config, held_out=role == "evaluate")
        self._ranges = randomisation.ranges(config)
        self.state = new_state(config, self.streams)
        self._drifting = Drifting(config, self.n_envs) if config.drift.moves else None
        self.reports = ServerReports(config.telemetry, self.state.features)
        self.n_agents = config.balancers.n
        self._measured: TeamMeasurements | Measurements | None = None
        self.masks_actions = config.actions.mode == "levels" and bool(config.randomise.n_servers)

    @property
    def action_space(self) -> spaces.Space[NDArray[np.generic]]:
        """Of one env."""
        return actions.action_space(self.config)

    @property
    def measurements(self) -> Measurements | TeamMeasurements:
        """Of the balancer; of several, what each of them measures and what is measured of all."""
        if self._measured is None:
            state, reports = self.state, self.reports.now
            share = self.params.balancers.share
            self._measured = simulated(state, reports) if self.n_agents == 1 else TeamMeasurements(state, reports, share)
        return self._measured

    def _move(self) -> None:
        """What was measured of several balancers is not of now any more; the arrays of a single one are."""
        if self.n_agents > 1:
            self._measured = None

    def reset_dynamics(self, mask: BoolArray) -> Transition:
        """A new episode in a newly drawn world where ``mask (n_envs,)`` is set; streams go on."""
        randomisation.draw(self.config, self._ranges, self.state, mask)
        if self._drifting is not None:
            self._drifting.begin(self.state, mask)
        loop.reset(self.params, self.state, mask)
        self.reports.reset(mask)
        self.reports.record(self.streams, mask)
        self._move()
        return self._transition()

    def step_dynamics(self, action: FloatArray, running: BoolArray) -> Transition:
        """One step of `dt_s` under dispatch weights ``(n_envs, n_balancers * n_backends, n_servers)``.

        Raises
        ------
        ValueError
            Weights have another shape.
        """
        if action.shape != self.state.servers.weight.shape:
            raise ValueError(f"weights must have shape {self.state.servers.weight.shape}, got {action.shape}")
        if self._drifting is not None:
            self._drifting.move(self.state, running)
        loop.advance(self.params, self.state, np.ascontiguousarray(action), running)
        self.reports.record(self.streams, running)
        self._move()
        return self._transition()

    def _transition(self) -> Transition:
        """Valid levels of each server, where servers can be absent."""
        if not self.masks_actions:
            return Transition()
        return Transition(action_set=actions.valid_levels(self.config, self.state.servers.present))

    def settle(self, mask: BoolArray) -> None:
        """Settle the flows in flight of the episodes that end in ``mask``."""
        loop.settle(self.state, mask)
        self._move()

    def credit(self) -> None:
        """Count flows in flight that are not late yet as answered in time.

        At the end of an episode they count as late. Here somebody would go on: if they did, whatever can wait would have to
        be served before a future ends.
        """
        counts = self.state.counts
        answered_late = counts[..., COMPLETED] - counts[..., ON_TIME]
        late_in_flight = counts[..., LATE] - counts[..., LOST] - counts[..., REJECTED] - answered_late
        counts[..., ON_TIME] += counts[..., IN_FLIGHT] - late_in_flight
        self._move()

    def redraw(self) -> None:
        redraw(self.params, self.state)

    def get_state(self) -> Tree:
        drift = {} if self._drifting is None else {"drift": self._drifting.get_state()}
        return {"kernel": copied(self.state), "reports": self.reports.get_state(), **drift}

    def set_state(self, state: Tree) -> None:
        restore_attributes(self, {"state": state["kernel"]}, ["state"])
        self.reports.set_state(state["reports"])
        if self._drifting is not None:
            self._drifting.set_state(state["drift"])
        self._measured = None


class Weights:
    """`info` of the world: the relative weights in force."""

    def __init__(self, weighting: Weighting) -> None:
        self._weighting = weighting

    def before_reset(self, measurements: Measurements, mask: BoolArray) -> None: ...

    def extract(self, measurements: Measurements, moved: BoolArray) -> Info:
        return {"weights": self._weighting.relative}


def compose(config: LoadBalancingConfig, env_ids: Sequence[int], seed: int, role: Role) -> World:
    """The world of a config, composed."""
    dynamics = LoadBalancing(config, env_ids, seed, role)
    return around(config, dynamics, RegimeOracle(dynamics))


def around(config: LoadBalancingConfig, dynamics: Dynamics, oracle: Oracle | None = None) -> World:
    """The functions of what is measured around a balancer, simulated or real, that has the measurements of this world."""
    n_rows = dynamics.n_envs * dynamics.n_agents
    weighting = (Guiding if config.actions.mode == "guided" else Weighting)(config, n_rows)
    world = World(
        dynamics=dynamics,
        observation_function=ServerObservation(config, weighting),
        reward_terms=rewards.terms(config),
        information_function=Weights(weighting),
        penalty=penalty(config, weighting),
        constraints=constraints(config, dynamics.n_envs),
        actuator=weighting,
        statistics=LoadStatistics(config),
        objective=config.objective,
        oracle=oracle,
        reward_range=rewards.bounds(config),
        nominal_action=actions.nominal_action(config),
        scene=functools.partial(scene, config),
    )
    whole = world if dynamics.n_agents == 1 else of_team(world, config, weighting)
    if config.error_budget is None:
        return whole
    budget = ErrorBudget(config.error_budget, config.dt_s, dynamics.n_envs)
    return whole.variant(statistics=BudgetStatistics(whole.statistics, budget))
