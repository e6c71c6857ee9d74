"""The load-balancing world: settings and streams in, a batch of running balancers out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.core.batch import World
from envs.core.dynamics import Dynamics, Info, Transition
from envs.core.histogram import EDGES_S
from envs.core.reports import Reports, Spread, Statistics
from envs.core.rng import Role
from envs.core.terms import BoolArray
from envs.load_balancing import actions, randomisation, rewards
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel import accounts
from envs.load_balancing.kernel import loop as kernel
from envs.load_balancing.kernel.accounts import Step
from envs.load_balancing.kernel.arrivals import trace
from envs.load_balancing.kernel.arrivals.traffic import recorded_position
from envs.load_balancing.kernel.reservoir import FEATURES
from envs.load_balancing.kernel.servers.state import n_present
from envs.load_balancing.observation import Observation
from envs.load_balancing.params import new_state, params
from envs.load_balancing.statistics import METRICS, OBSERVED, TIMELINE, Totals, hurried, scaled, statistics

TERCILES = ("low", "middle", "high")

FloatArray = NDArray[np.float64]


class LoadBalancing(Dynamics, Reports):
    """Dynamics of the world, and the accounts that it keeps of itself.

    Parameters
    ----------
    config
        Settings; one config gives one world.
    env_ids, seed, role
        See :class:`envs.core.batch.Dynamics`; on a trace the role `evaluate` replays the held-out part.
    """

    metric_names: tuple[str, ...] = METRICS
    observed_names: tuple[str, ...] = tuple(OBSERVED)
    timeline_names: tuple[str, ...] = TIMELINE
    setting_name: str = "weight of server"
    has_context_rule: bool = True
    objective = "profit"

    def __init__(self, config: LoadBalancingConfig, env_ids: Sequence[int], seed: int, role: Role) -> None:
        super().__init__(env_ids, seed, role)
        self.config = config
        self.params = params(config, held_out=role == "evaluate")
        self._ranges = randomisation.ranges(config)
        self.state = new_state(config, self.streams)
        self.masks_actions = config.actions.mode == "levels" and bool(config.randomise.n_servers)
        shape = (self.n_envs, config.pool.n_servers)
        self.relative_weights = np.ones(shape)
        self.weight_change = np.zeros(self.n_envs)
        self.projected = np.zeros(self.n_envs, np.bool_)
        self._waiting_actions = np.ones((config.actions.delay_steps, *shape))
        self._everyone = np.ones(self.n_envs, np.bool_)

    @property
    def action_space(self) -> spaces.Space[NDArray[np.generic]]:
        """Of one env."""
        return actions.action_space(self.config)

    @property
    def n_parts(self) -> int:
        """The servers."""
        return self.config.pool.n_servers

    @property
    def action_set(self) -> BoolArray | None:
        """Valid levels of each server ``(n_envs, n_servers * n_levels)``; None when all are in every episode."""
        return actions.valid_levels(self.config, self.state.servers.present) if self.masks_actions else None

    @property
    def deadline_s(self) -> FloatArray:
        """Of each class in this episode, ``(n_envs, n_classes)``."""
        return self.state.deadline_s

    def reset_dynamics(self, mask: BoolArray) -> Transition:
        """A new episode in a newly drawn world where ``mask (n_envs,)`` is set; streams go on."""
        randomisation.draw(self.config, self._ranges, self.state, mask)
        kernel.reset(self.params, self.state, mask)
        self.relative_weights = np.where(mask[:, None], self.state.servers.present, self.relative_weights)
        self._waiting_actions[:, mask] = 1.0
        self.weight_change[mask] = 0.0
        self.projected[mask] = False
        return Transition(action_set=self.action_set)

    def step_dynamics(self, action: NDArray[np.generic], running: BoolArray) -> Transition:
        before = self.relative_weights
        self.projected = self.request(action) & running
        if not running.all():
            self.relative_weights = np.where(running[:, None], self.relative_weights, before)
        self.advance(self.weights, running)
        return Transition(action_set=self.action_set)

    def request(self, action: NDArray[np.generic]) -> BoolArray:
        """Set the weights that the agent's actions ask for, or the nearest valid ones; where they differ, ``(n_envs,)``."""
        asked = actions.requested(self.config, action, self.relative_weights)
        if len(self._waiting_actions):
            delayed = self._waiting_actions[0].copy()
            self._waiting_actions = np.roll(self._waiting_actions, -1, axis=0)
            self._waiting_actions[-1] = asked
            asked = delayed
        asked = np.where(self.state.servers.present, asked, 0.0)
        relative, changed = actions.project(asked, self.relative_weights, self.state.servers.known_down)
        if self.config.reward.switching_cost > 0:
            self.weight_change = np.abs(relative - self.relative_weights).sum(-1) / n_present(self.state.servers)
        self.relative_weights = relative
        return changed

    @property
    def weights(self) -> FloatArray:
        """Dispatch weights ``(n_envs, n_servers)`` that the agent's relative ones mean."""
        return actions.in_force(self.config, self.relative_weights, self.state.servers.capacity)

    def advance(self, weights: FloatArray, running: BoolArray | None = None) -> None:
        """One step of `dt_s` under dispatch weights ``(n_envs, n_servers)``, as a rule without learning sets them."""
        kernel.advance(self.params, self.state, weights, self._everyone if running is None else running)

    def settle(self, mask: BoolArray) -> None:
        """Settle the flows in flight of the episodes that end in ``mask``."""
        kernel.settle(self.state, mask)

    @property
    def step(self) -> Step:
        """What the last step did, for the reward terms; overwritten by the next."""
        return self.state.step

    @property
    def utilisation(self) -> FloatArray:
        """Share of the cores in use during the last step, ``(n_envs, n_servers)``."""
        return self.state.step.utilisation

    def measured(self, field: str) -> FloatArray:
        """A measured feature of the servers by name, ``(n_envs, n_servers)``."""
        return self.state.features[..., FEATURES.index(field)].astype(np.float64)

    @property
    def in_flight(self) -> FloatArray:
        """Flows in the system now, ``(n_envs, n_classes)``."""
        return self.state.counts[..., accounts.IN_FLIGHT].astype(np.float64)

    def totals(self) -> Totals:
        """A copy of everything that adds up, to measure a stretch from."""
        state = self.state
        return Totals(
            counts=state.counts.astype(np.float64),
            times=state.times.copy(),
            histogram=state.histogram.astype(np.float64),
            sums=state.sums.copy(),
            n_starts=state.n_starts.astype(np.float64),
        )

    def statistics(self, since: Totals | None = None) -> dict[str, FloatArray]:
        """Named figures ``(n_envs,)`` since then, or since the reset."""
        now = self.totals()
        start = since or Totals(*(np.zeros_like(part) for part in now))
        return statistics(self.config, self.state.servers, start, now)

    def observed(self, values: dict[str, FloatArray]) -> NDArray[np.float32]:
        """What the upper agent sees of a window's statistics, scaled, ``(n_envs, len(observed_names))``."""
        return scaled(values)

    @property
    def recorded_position(self) -> FloatArray | None:
        """How far into its split of the trace each env is, ``(n_envs,)`` in [0, 1); None without a trace."""
        return recorded_position(self.params.traffic, self.state.source)

    @property
    def n_regimes(self) -> int:
        """Of load times class mix; a trace has the nine of its terciles."""
        return trace.N_REGIMES if self.config.workload.arrivals.recorded else self.config.workload.regimes.n_regimes

    @property
    def regime(self) -> NDArray[np.int64]:
        """The regime now, ``(n_envs,)``; for oracles and plots, never part of an observation."""
        return self.state.source.regime

    @property
    def regime_names(self) -> tuple[str, ...]:
        """Of the regimes, for plots."""
        if self.config.workload.arrivals.recorded:
            return tuple(f"load {load}, batch {share}" for load in TERCILES for share in TERCILES)
        regimes = self.config.workload.regimes
        pairs = zip(regimes.load, regimes.interactive_share, strict=True)
        return tuple(f"load {load:g}, {share:.0%} interactive" for load, share in pairs)

    @property
    def setting(self) -> FloatArray:
        """What the agent last set, ``(n_envs, n_servers)``: relative weights."""
        return self.relative_weights

    @property
    def spread(self) -> Spread:
        """Latencies of all answers since the reset."""
        return Spread("latency (s)", EDGES_S, self.state.histogram.sum((0, 1)).astype(np.float64))

    def suggested_context(self, statistics: Statistics, term_names: tuple[str, ...]) -> FloatArray:
        """A hand-written rule ``(n_envs, n_terms)``: latency-first where a class misses its deadline, else cost-first."""
        first = np.where(hurried(self.deadline_s, statistics), term_names.index("latency"), term_names.index("cost"))
        mixes: FloatArray = np.eye(len(term_names))[first]
        return mixes


class Weights:
    """`info` of the world: the relative weights in force, and where the agent asked for others that are not valid."""

    def before_reset(self, dynamics: LoadBalancing, mask: BoolArray) -> None: ...

    def extract(self, dynamics: LoadBalancing, moved: BoolArray) -> Info:
        return {"weights": dynamics.relative_weights, "projected": dynamics.projected}


def load_balancing(config: LoadBalancingConfig, env_ids: Sequence[int], seed: int, role: Role) -> World:
    """The world of a config, composed."""
    dynamics = LoadBalancing(config, env_ids, seed, role)
    return World(
        dynamics=dynamics,
        observation_function=Observation(config, dynamics.n_envs),
        reward_terms=rewards.TERMS,
        information_function=Weights(),
        penalty=rewards.penalty(config.reward),
        reports=dynamics,
        reward_range=(-1.0, 0.0),
        nominal_action=actions.nominal_action(config),
    )
