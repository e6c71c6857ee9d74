"""The load-balancing world: settings and streams in, a batch of running balancers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.compose import Spread
from envs.histogram import EDGES_S
from envs.load_balancing import accounts, actions, kernel, randomisation, rewards
from envs.load_balancing.accounts import Step
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.observation import Observation
from envs.load_balancing.reservoir import FEATURES
from envs.load_balancing.servers import n_present
from envs.load_balancing.state import new_state, params
from envs.load_balancing.statistics import METRICS, OBSERVED, TIMELINE, Totals, hurried, scaled, statistics
from envs.rng import Role, streams
from envs.shaping import shaping

TERCILES = ("low", "middle", "high")

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class LoadBalancing:
    """Dynamics of the world, for :class:`envs.compose.BatchEnv`.

    Parameters
    ----------
    config
        Settings; one config gives one world.
    env_ids
        Names of the envs of the batch: with the seed and role they fix each env's streams.
    seed, role
        Master seed, and what the batch is for: streams of different roles share nothing, and on a trace
        `evaluate` replays the held-out part.
    """

    term_names: tuple[str, ...] = tuple(rewards.TERMS)
    metric_names: tuple[str, ...] = METRICS
    observed_names: tuple[str, ...] = tuple(OBSERVED)
    timeline_names: tuple[str, ...] = TIMELINE
    setting_name: str = "weight of server"
    has_context_rule: bool = True

    def __init__(self, config: LoadBalancingConfig, env_ids: Sequence[int], seed: int, role: Role) -> None:
        self.config = config
        self.n_envs = len(env_ids)
        self.env_ids = tuple(env_ids)
        self.role: Role = role
        split = config.workload.split or ("held_out" if role == "evaluate" else "train")
        self.params = params(config, split)
        self._ranges = randomisation.ranges(config)
        self.state = new_state(config, streams(seed, role, env_ids))
        self.observation = Observation(config, self.n_envs)
        shape = (self.n_envs, config.pool.n_servers)
        self.relative_weights = np.ones(shape)
        self.weight_change = np.zeros(self.n_envs)
        self._waiting_actions = np.ones((config.actions.delay_steps, *shape))
        self._potential = np.zeros(self.n_envs)

    @property
    def action_space(self) -> spaces.Space[NDArray[np.generic]]:
        """Of one env."""
        return actions.action_space(self.config)

    @property
    def nominal_action(self) -> NDArray[Any]:
        """What one would do without learning, ``(n_servers,)``: the same weight for all."""
        return actions.nominal_action(self.config)

    @property
    def action_set(self) -> BoolArray | None:
        """Valid levels of each server ``(n_envs, n_servers * n_levels)``; None when all are in every episode."""
        if self.config.actions.mode != "levels" or not self.config.randomise.n_servers:
            return None
        return actions.valid_levels(self.config, self.state.servers.present)

    @property
    def deadline_s(self) -> FloatArray:
        """Of each class in this episode, ``(n_envs, n_classes)``."""
        return self.state.deadline_s

    @property
    def streams(self) -> NDArray[np.uint64]:
        return self.state.streams

    def reseed(self, seed: int) -> None:
        """Begin the streams anew from another master seed."""
        self.state.streams[:] = streams(seed, self.role, self.env_ids)

    def reset(self, mask: BoolArray) -> None:
        """A new episode in a newly drawn world where ``mask (n_envs,)`` is set; streams go on."""
        randomisation.draw(self.config, self._ranges, self.state, mask)
        kernel.reset(self.params, self.state, mask)
        self.relative_weights = np.where(mask[:, None], self.state.servers.present, self.relative_weights)
        self._waiting_actions[:, mask] = 1.0
        self._potential[mask] = rewards.potential(self)[mask]
        self.observation.reset(self, mask)

    def act(self, action: NDArray[np.generic]) -> dict[str, NDArray[Any]]:
        """One step under the agent's actions; says what was projected."""
        projected = self.request(action)
        self.advance(self.weights)
        return {"projected": projected, "weights": self.relative_weights}

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

    def advance(self, weights: FloatArray) -> None:
        """One step of `dt_s` under dispatch weights ``(n_envs, n_servers)``, as a rule without learning sets them."""
        kernel.advance(self.params, self.state, weights)

    def settle(self, mask: BoolArray) -> None:
        """Settle the flows in flight of the episodes that end in ``mask``."""
        kernel.settle(self.state, mask)

    def terms(self) -> FloatArray:
        """Reward terms of the last step ``(n_envs, n_terms)``, losses in [0, 1]."""
        return np.stack([term(self) for term in rewards.TERMS.values()], axis=-1)

    def extra_reward(self) -> FloatArray:
        """What is added to the reward beside the mix, ``(n_envs,)``."""
        extra = -rewards.penalties(self)
        if self.config.reward.shaping:
            before, self._potential = self._potential, rewards.potential(self)
            never = np.zeros(self.n_envs, np.bool_)
            extra = extra + shaping(before, self._potential, self.config.reward.shaping_gamma, never)
        return extra

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
        if self.config.workload.arrivals != "trace":
            return None
        return self.state.source.trace_index / len(self.params.traffic.trace_time_s)

    @property
    def n_regimes(self) -> int:
        """Of load times class mix; a trace has the nine of its terciles."""
        return 9 if self.config.workload.arrivals == "trace" else self.config.workload.regimes.n_regimes

    @property
    def regime(self) -> NDArray[np.int64]:
        """The regime now, ``(n_envs,)``; for oracles and plots, never part of an observation."""
        return self.state.source.regime

    @property
    def regime_names(self) -> tuple[str, ...]:
        """Of the regimes, for plots."""
        if self.config.workload.arrivals == "trace":
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

    def suggested_context(self, statistics: dict[str, FloatArray]) -> FloatArray:
        """A hand-written rule ``(n_envs, n_terms)``: latency-first where a class misses its deadline, else cost-first."""
        hurry = hurried(self.deadline_s, statistics)
        first = np.where(hurry, self.term_names.index("latency"), self.term_names.index("cost"))
        mixes: FloatArray = np.eye(len(self.term_names))[first]
        return mixes
