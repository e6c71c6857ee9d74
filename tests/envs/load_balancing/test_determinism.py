"""Same seed, same bits; arrivals and faults know nothing of the actions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import envs
from envs.core.rng import ARRIVALS, FAILURE, REGIME, Role
from envs.load_balancing.config import (
    ARRIVALS as SOURCES,
)
from envs.load_balancing.config import (
    DISPATCH_RULES,
    MMPP,
    ArrivalConfig,
    LoadBalancingConfig,
    Regimes,
    Telemetry,
    Trace,
    Workload,
)
from envs.load_balancing.kernel import accounts
from envs.load_balancing.kernel.accounts import STEP_SUMS
from envs.load_balancing.kernel.state import State
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.pools import (
    WeightedPool,
    everyone,
    leaves,
    run,
    same_bits,
    servers,
    started,
    steady,
    totals_of,
)

N_STEPS = 60


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.exponential(0.05, 800))
    path = tmp_path_factory.mktemp("trace") / "loops.tsv"
    rows = [f"{t:.6f}\t/?n={n}" for t, n in zip(times, rng.integers(1, 1000, 800), strict=True)]
    path.write_text("\n".join(["time\tquery", *rows]))
    return path


def arrivals_of(source: str, trace: Path | None) -> ArrivalConfig:
    own = {"mmpp": MMPP(burst_s=1.0, calm_s=2.0), "trace": Trace(path=str(trace))}
    return own[source] if source in own else SOURCES[source]()  # type: ignore[call-arg]


def troubled(source: str = "poisson", trace: Path | None = None, rule: str = "power_of_two") -> LoadBalancingConfig:
    """Failures, slow-downs and boots, short regimes, and telemetry that draws random numbers as well."""
    return LoadBalancingConfig(
        pool=servers(
            [2, 1, 1], failure_rate_hz=0.1, repair_s=2.0, slowdown_rate_hz=0.2, slowdown_s=1.0, boot_s=0.4, max_flows=16
        ),
        workload=Workload(arrivals=arrivals_of(source, trace), regimes=Regimes(mean_dwell_s=2.0)),
        dispatch=DISPATCH_RULES[rule](),  # type: ignore[call-arg]
        telemetry=Telemetry(noise=0.2, loss=0.2, delay_steps=2),
        episode_steps=10_000,
    )


def actions(n_envs: int, seed: int) -> np.ndarray:
    """Levels of three servers in two backends."""
    return np.random.default_rng(seed).integers(0, 4, (N_STEPS, n_envs, 6))


def fresh(state: State) -> np.ndarray:
    """Requests that came for the first time, ``(n_envs, n_classes)``."""
    return state.counts[..., accounts.ARRIVED] - state.counts[..., accounts.RETRIED]


def trajectory(config: LoadBalancingConfig, plan: np.ndarray, seed: int, env_ids: list[int]) -> tuple[np.ndarray, ...]:
    """Observations and rewards by step, and the statistics of all steps by name."""
    batch = envs.make(config, len(env_ids), seed, env_ids=env_ids)
    observations, rewards = [batch.reset()], []
    for action in plan:
        observation, reward, *_ = batch.step(action)
        observations.append(observation)
        rewards.append(reward)
    return np.array(observations), np.array(rewards), np.array(list(batch.simulation.statistics().values()))


def play(config: LoadBalancingConfig, n_envs: int, plan: np.ndarray, seed: int, role: Role = "train") -> WeightedPool:
    """A pool after the actions of a plan."""
    return go_on(WeightedPool(config, n_envs, seed, role), plan)


def go_on(pool: WeightedPool, plan: np.ndarray) -> WeightedPool:
    for action in plan:
        pool.act(action)
    return pool


@pytest.mark.parametrize("source", SOURCES)
def test_the_same_seed_gives_the_same_bits(source: str, trace: Path) -> None:
    config, plan = troubled(source, trace), actions(4, 1)
    assert same_bits(play(config, 4, plan, 7).state, play(config, 4, plan, 7).state)


def test_different_seeds_roles_and_envs_differ() -> None:
    config, plan = troubled(), actions(2, 1)
    roles: tuple[Role, ...] = ("select", "evaluate")
    pools = [play(config, 2, plan, seed) for seed in (0, 1)] + [play(config, 2, plan, 0, role) for role in roles]
    rows = [row.tobytes() for pool in pools for row in pool.state.features]
    assert len(set(rows)) == len(rows)


def test_an_env_gives_the_same_bits_in_every_batch() -> None:
    plan = actions(5, 2)
    observations, rewards, statistics = trajectory(troubled(), plan, 3, [0, 1, 2, 3, 4])
    for env in range(5):
        alone = trajectory(troubled(), plan[:, [env]], 3, [env])
        assert np.array_equal(alone[0][:, 0], observations[:, env])
        assert np.array_equal(alone[1][:, 0], rewards[:, env])
        assert np.array_equal(alone[2][:, 0], statistics[:, env])


def test_a_reset_with_a_seed_begins_everything_anew() -> None:
    batch, plan = envs.make(troubled(), 3, seed=5), actions(3, 4)
    first = [batch.reset(seed=11), *(batch.step(action)[0] for action in plan)]
    second = [batch.reset(seed=11), *(batch.step(action)[0] for action in plan)]
    other = [batch.reset(seed=12), *(batch.step(action)[0] for action in plan)]
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_reset_without_a_seed_goes_on_with_new_randomness() -> None:
    plan = actions(2, 4)
    pool = play(troubled(), 2, plan, 5)
    first = [part.copy() for part in leaves(pool.state)]
    pool.reset(everyone(pool.dynamics))
    assert not all(np.array_equal(a, b) for a, b in zip(first, leaves(go_on(pool, plan).state), strict=True))


@pytest.mark.parametrize("source", SOURCES)
def test_arrivals_and_faults_do_not_depend_on_the_actions(source: str, trace: Path) -> None:
    config = troubled(source, trace)
    one, other = WeightedPool(config, 4, 3), WeightedPool(config, 4, 3)
    for first, second in zip(actions(4, 5), actions(4, 6), strict=True):
        one.act(first)
        other.act(second)
        a, b = one.state, other.state
        assert np.array_equal(fresh(a), fresh(b))
        assert same_bits(a.source, b.source)
        for purpose in (ARRIVALS, REGIME, FAILURE):
            assert np.array_equal(a.streams[:, purpose], b.streams[:, purpose])
        assert np.array_equal(a.servers.fault_s, b.servers.fault_s)
        assert np.array_equal(a.servers.slow, b.servers.slow)
        assert np.array_equal(a.servers.known_down, b.servers.known_down)
    assert fresh(a).sum() > 100
    assert a.servers.known_down.any() or (a.counts[..., accounts.LOST].sum() > 0)
    assert not np.array_equal(a.features, b.features)


def test_arrivals_do_not_depend_on_the_dispatch_rule_or_the_telemetry() -> None:
    plan = actions(3, 7)
    reference = play(troubled(), 3, plan, 3).state.source
    other = replace(troubled(rule="wrr"), telemetry=Telemetry())
    assert same_bits(reference, play(other, 3, plan, 3).state.source)


@pytest.mark.parametrize("rule", DISPATCH_RULES)
@pytest.mark.parametrize("source", SOURCES)
def test_an_episode_depends_on_nothing_of_the_one_before(source: str, rule: str, trace: Path) -> None:
    """From the same state of the streams a used batch and a fresh one do the same."""
    config, plan = troubled(source, trace, rule), actions(3, 8)
    used, fresh = envs.make(config, 3, 5), envs.make(config, 3, 6)
    used.reset()
    for action in plan:
        used.step(action)
    fresh.world.dynamics.streams[:] = used.world.dynamics.streams
    assert np.array_equal(used.reset(), fresh.reset())
    assert np.array_equal(used.reset_info()["reward_vector"], fresh.reset_info()["reward_vector"])
    for action in plan:
        after_use, after_nothing = used.step(action), fresh.step(action)
        assert np.array_equal(after_use[0], after_nothing[0])
        assert np.array_equal(after_use[1], after_nothing[1])
    statistics = [np.array(list(batch.simulation.statistics().values())) for batch in (used, fresh)]
    assert np.array_equal(*statistics)


def work_arrived(world: LoadBalancing) -> np.ndarray:
    """Work answered so far and work left, per env: all that has arrived."""
    sv = world.state.servers
    left = np.zeros(world.n_envs)
    for env, server in np.ndindex(*sv.status.shape):
        n = sv.n_running[env, server]
        left[env] += (sv.heap_finish[env, server, :n] - sv.virtual[env, server]).sum()
    done = totals_of(world).sums[:, STEP_SUMS.index("utilisation")] * world.config.dt_s * world.config.pool.capacity.sum()
    return left + done


def test_all_flows_of_two_arms_bring_the_same_work() -> None:
    """Requests of equal number bring equal work and class, however they are dispatched."""
    config = LoadBalancingConfig(pool=servers([4, 4], max_flows=512), workload=steady(0.5, interactive_share=0.5), dt_s=1.0)
    one, other = run(started(config, 2), 40, [1.0, 0.0]), run(started(config, 2), 40, [1.0, 1.0])
    assert np.array_equal(one.state.counts[..., accounts.ARRIVED], other.state.counts[..., accounts.ARRIVED])
    assert not np.array_equal(one.state.servers.n_running, other.state.servers.n_running)
    assert np.allclose(work_arrived(one), work_arrived(other))
