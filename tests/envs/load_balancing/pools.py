"""Small pools, steady workloads, and the worlds made of them, for the tests of `envs`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import settings
from numpy.typing import ArrayLike

import envs
from envs.core.rng import Role
from envs.load_balancing.actions import Weighting
from envs.load_balancing.config import LoadBalancingConfig, Poisson, Regimes, ServerPool, Workload, WorkloadClass
from envs.load_balancing.kernel import accounts
from envs.load_balancing.kernel.accounts import Step
from envs.load_balancing.kernel.deadlines import enter
from envs.load_balancing.kernel.dispatch.dispatcher import rank_in_all
from envs.load_balancing.kernel.servers.clock import schedule
from envs.load_balancing.kernel.servers.queue import admit
from envs.load_balancing.kernel.state import State
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.statistics import LoadStatistics, Totals
from envs.load_balancing.world import LoadBalancing

PROPERTY = settings(deadline=None, derandomize=True, max_examples=100)
"""Property tests: the same examples every time, however long one takes."""


def servers(cores: Sequence[int], speed: Sequence[float] = (), price: Sequence[float] = (), **fields: Any) -> ServerPool:
    """A pool with speed, price (in $/h) and memory 1 unless given, whose servers start soon."""
    ones = [1.0] * len(cores)
    soon = {"boot_s": 0.5, "min_billed_s": 1.0, "max_flows": 64}
    return ServerPool(
        cores=list(cores),
        speed=list(speed or ones),
        price_usd_per_h=list(price or ones),
        memory_gb=ones,
        **{**soon, **fields},
    )


def steady(load: float, interactive_share: float = 1.0, deadline_s: float = 10.0, **fields: Any) -> Workload:
    """A single regime without days and retries; flows of 1 s of work, worth 1 $ in time and costing 1 $ when late."""
    flow = WorkloadClass(mean_work_s=1.0, deadline_s=deadline_s, value_usd=1.0, penalty_usd=1.0)
    regimes = Regimes(loads=[load], interactive_shares=[interactive_share])
    plain = {"arrivals": Poisson(), "retries": 0.0, "interactive": flow, "batch": flow}
    return Workload(regimes=regimes, **{**plain, **fields})


def everyone(world: Any) -> np.ndarray:
    """The mask of all envs."""
    return np.ones(world.n_envs, np.bool_)


def started(config: LoadBalancingConfig, n_envs: int = 1, seed: int = 0, role: Role = "train") -> LoadBalancing:
    """A world at the start of an episode."""
    world = LoadBalancing(config, range(n_envs), seed, role)
    world.reset_dynamics(everyone(world))
    return world


def same_weights(world: LoadBalancing, weights: ArrayLike = 1.0) -> np.ndarray:
    """Weights ``(n_envs, n_backends, n_servers)``, the same for all envs; and for all backends unless these are given."""
    shape = (world.n_envs, world.config.n_backends, world.config.pool.n_servers)
    return np.broadcast_to(np.asarray(weights, np.float64), shape).copy()


def advance(world: LoadBalancing, weights: np.ndarray) -> None:
    """One step of every env under dispatch weights ``(n_envs, n_backends, n_servers)``."""
    world.step_dynamics(weights, everyone(world))


def run(world: LoadBalancing, n_steps: int, weights: ArrayLike = 1.0) -> LoadBalancing:
    """Advance under constant weights."""
    in_force = same_weights(world, weights)
    for _ in range(n_steps):
        advance(world, in_force)
    return world


def copied(measurements: Measurements) -> Measurements:
    """Measurements of their own: nothing of a world stands behind them."""
    step = Step(*(part.copy() for part in measurements.step))
    return Measurements(*(part.copy() for part in measurements[:-1]), step=step)  # type: ignore[misc, arg-type]


def totals_of(world: LoadBalancing) -> Totals:
    """What has added up since the reset."""
    return LoadStatistics(world.config).totals(world.measurements)


def figures_of(world: LoadBalancing, since: Totals | None = None) -> dict[str, np.ndarray]:
    """Figures since some totals, or since the reset."""
    return LoadStatistics(world.config).since(world.measurements, since)


class WeightedPool:
    """A world at the start of an episode, and the weighting that an agent acts on it through.

    Attributes
    ----------
    projected
        Where the last action was not valid ``(n_envs,)``.
    """

    def __init__(self, config: LoadBalancingConfig, n_envs: int = 1, seed: int = 0, role: Role = "train") -> None:
        self.dynamics = started(config, n_envs, seed, role)
        self.weighting = Weighting(config, n_envs)
        self.weighting.reset(self.dynamics.measurements, everyone(self.dynamics))
        self.projected = np.zeros(n_envs, np.bool_)

    @property
    def state(self) -> State:
        return self.dynamics.state

    def act(self, action: Any) -> np.ndarray:
        """One step under the agent's actions ``(n_envs, n_servers * n_backends)``; the relative weights in force."""
        all_envs = everyone(self.dynamics)
        weights, self.projected = self.weighting.apply(np.asarray(action), self.dynamics.measurements, all_envs)
        self.dynamics.step_dynamics(weights, all_envs)
        return self.weighting.relative

    def reset(self, mask: np.ndarray) -> None:
        """Begin an episode where ``mask (n_envs,)`` is set."""
        self.dynamics.reset_dynamics(mask)
        self.weighting.reset(self.dynamics.measurements, mask)


def inject(world: LoadBalancing, server: int, work_s: float, flow_class: int = 0) -> None:
    """Give a flow to a server of every env, past the dispatcher, at the start of the next step."""
    state = world.state
    for env in range(world.n_envs):
        state.counts[env, flow_class, [accounts.ARRIVED, accounts.IN_FLIGHT]] += 1
        slot = admit(world.params.pool, state.servers, env, server, state.clock_s[env], work_s, flow_class)
        enter(state.in_flight, env, flow_class, server * world.config.pool.max_flows + slot)
        rank_in_all(world.params.dispatch, state.dispatcher, state.servers, env, server)


def fail(world: LoadBalancing, server: int, after_s: float = 0.0) -> None:
    """Let a server of every env fail; the pool needs a failure rate above 0, however small."""
    sv = world.state.servers
    for env in range(world.n_envs):
        sv.fault_s[env, server] = world.state.clock_s[env] + after_s
        schedule(sv, env, server)


def count(world: LoadBalancing, kind: int) -> np.ndarray:
    """A count since the reset, ``(n_envs, n_classes)``."""
    return world.state.counts[..., kind].copy()


def held(world: LoadBalancing) -> np.ndarray:
    """Flows on each server ``(n_envs, n_servers)``."""
    return world.state.servers.n_running + world.state.servers.n_waiting


def leaves(state: Any) -> Iterator[np.ndarray]:
    """All arrays of a state, the nested ones too."""
    for part in state:
        if isinstance(part, tuple):
            yield from leaves(part)
        else:
            yield part


def same_bits(a: Any, b: Any) -> bool:
    """Whether two states hold the same in every array."""
    return all(np.array_equal(x, y) for x, y in zip(leaves(a), leaves(b), strict=True))


def random_steps(config: LoadBalancingConfig, n_envs: int = 4, seed: int = 0, n_steps: int = 80):  # type: ignore[no-untyped-def]
    """A batch under random actions and contexts; yields it with the reward and info of each step."""
    batch = envs.make(replace(config, episode_steps=10_000), n_envs, seed)
    batch.set_context(np.random.default_rng(seed).dirichlet(np.ones(3), n_envs))
    batch.reset()
    batch.action_space.seed(seed)
    for _ in range(n_steps):
        _, reward, _, _, info = batch.step(np.array([batch.action_space.sample() for _ in range(n_envs)]))
        yield batch, reward, info


def standard_errors(samples: np.ndarray, expected: float) -> float:
    """How many standard errors the mean of independent samples is from what is expected."""
    samples = np.asarray(samples, np.float64)
    return float(abs(samples.mean() - expected) / (samples.std(ddof=1) / np.sqrt(len(samples))))
