"""What the agent sees: inside its space, as late and as lossy as the telemetry is, and nothing of the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import envs
from envs.core.batch import BatchEnv
from envs.core.rng import TELEMETRY
from envs.load_balancing.actions import Weighting
from envs.load_balancing.config import Actions, LoadBalancingConfig, Poisson, Regimes, ServerPool, Telemetry, Workload
from envs.load_balancing.kernel.reservoir import FEATURES
from envs.load_balancing.observation import ServerObservation, feature_names, observation_space, shared_names
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.pools import (
    advance,
    everyone,
    held,
    inject,
    run,
    same_bits,
    same_weights,
    servers,
    standard_errors,
    started,
    steady,
)

N_STEPS = 60
ALL = np.ones(3, np.bool_)
TELEMETRIES = {
    "plain": Telemetry(),
    "ground_truth": Telemetry(ground_truth=True),
    "noise": Telemetry(noise=1.0),
    "nothing but noise": Telemetry(noise=8.0),
    "loss": Telemetry(loss=0.5),
    "delay": Telemetry(delay_steps=3),
    "everything": Telemetry(ground_truth=True, noise=0.5, loss=0.3, delay_steps=2),
}


def config_of(telemetry: Telemetry, **pool: object) -> LoadBalancingConfig:
    return LoadBalancingConfig(
        pool=ServerPool(**{"failure_rate_hz": 0.05, "repair_s": 2.0, "max_flows": 64, **pool}),  # type: ignore[arg-type]
        workload=Workload(regimes=Regimes(loads=[0.3, 1.5], mean_dwell_s=3.0)),
        telemetry=telemetry,
    )


def plan(batch: BatchEnv, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, (N_STEPS, batch.n_envs, 8))


def features(batch: BatchEnv, observation: np.ndarray) -> np.ndarray:
    """The measured features ``(n_envs, n_servers, 11)`` of an observation, in its own scale."""
    config = batch.world.dynamics.config  # type: ignore[attr-defined]
    return of_servers(config, observation)[..., : len(FEATURES)]


def of_servers(config: LoadBalancingConfig, observation: np.ndarray) -> np.ndarray:
    """What an observation says of the servers, ``(n_envs, n_servers, n_features)``."""
    n_servers, n_features = config.pool.n_servers, len(feature_names(config))
    return observation[:, : n_servers * n_features].reshape(len(observation), n_servers, n_features)


def seen_of(world: LoadBalancing, weighting: Weighting | None = None) -> np.ndarray:
    """What an agent observes of a world ``(n_envs, n_servers * n_features + n_shared)``, under equal weights by default."""
    observation = ServerObservation(world.config, weighting or Weighting(world.config, world.n_envs))
    return observation.extract(world.measurements, everyone(world))


def watched(telemetry: Telemetry, n_envs: int = 4, seed: int = 0) -> np.ndarray:
    """Measured features after the reset and after every step ``(N_STEPS + 1, n_envs, n_servers, 11)``."""
    batch = envs.make(config_of(telemetry), n_envs, seed)
    seen = [features(batch, batch.reset())]
    seen += [features(batch, batch.step(action)[0]) for action in plan(batch)]
    return np.array(seen)


@pytest.mark.parametrize("name", TELEMETRIES)
@pytest.mark.parametrize("service", ["ps", "fcfs"])
def test_the_space_holds_every_observation(name: str, service: str) -> None:
    batch = envs.make(config_of(TELEMETRIES[name], service=service), 3)
    observations = [batch.reset(), *(batch.step(action)[0] for action in plan(batch))]
    for row in np.concatenate(observations):
        assert batch.observation_space.contains(row)


def test_the_space_holds_what_an_endless_wait_looks_like() -> None:
    pool = servers([1, 1], speed=[1.0, 0.0], max_flows=50_000)
    world = started(
        LoadBalancingConfig(pool=pool, workload=steady(50.0), dt_s=100.0, telemetry=Telemetry(ground_truth=True))
    )
    for _ in range(10):
        run(world, 1)
        assert observation_space(world.config).contains(seen_of(world)[0])


@pytest.mark.parametrize("name", TELEMETRIES)
def test_the_space_has_the_named_features_of_every_server_then_the_context(name: str) -> None:
    config = config_of(TELEMETRIES[name])
    n_features, n_shared = len(feature_names(config)), len(shared_names(config))
    assert n_features == 21 + 2 * config.telemetry.ground_truth
    assert len(feature_names(replace(config, backends="joint"))) == n_features - 1
    assert observation_space(config).shape == (4 * n_features + n_shared,)
    assert envs.make(config, 1).observation_space.shape == (4 * n_features + n_shared + 3,)


def test_every_feature_stands_where_its_name_says() -> None:
    config = LoadBalancingConfig(
        pool=replace(servers([2, 1], [2.0, 0.5], [1.0, 0.25]), memory_gb=[8.0, 32.0], max_flows=8),
        workload=steady(0.0),
        telemetry=Telemetry(ground_truth=True),
    )
    world = started(config)
    inject(world, 0, 0.2)
    inject(world, 0, 50.0, flow_class=1)
    weighting = Weighting(config, 1)
    weighting.relative[0] = [[1.0, 0.25], [0.5, 0.0]]
    run(world, 1, [1.0, 1.0])
    world.state.servers.known_down[0, 0] = [False, True]
    rows = of_servers(config, seen_of(world, weighting))[0]
    seen = [dict(zip(feature_names(config), row.tolist(), strict=True)) for row in rows]
    assert seen[0]["n_flow_on"] == pytest.approx(np.log1p(1))
    assert seen[0]["fct_mean"] == pytest.approx(np.log1p(0.1 / 0.1), rel=1e-5)
    assert seen[0]["fct_std"] == 0.0
    assert seen[1]["fct_mean"] == seen[1]["n_flow_on"] == 0.0
    assert [row["memory"] for row in seen] == [0.5, 2.0]
    assert [row["cores"] for row in seen] == [0.25, 0.125]
    assert [row["utilisation"] for row in seen] == pytest.approx([(0.1 + 0.15 / 2) / 0.25, 0.0])
    assert [row["capacity"] for row in seen] == pytest.approx([np.log1p(4.0 / 4.0), np.log1p(0.5 / 4.0)])
    assert [row["price"] for row in seen] == pytest.approx([np.log1p(1.0 / 0.25), np.log1p(0.25 / 0.25)])
    assert [row["weight_interactive"] for row in seen] == [1.0, 0.25]
    assert [row["weight_batch"] for row in seen] == [0.5, 0.0]
    assert [row["n_flow_on_batch"] for row in seen] == pytest.approx([np.log1p(1), 0.0])
    assert [row["n_flow_on_interactive"] for row in seen] == [0.0, 0.0]
    assert [row["active"] for row in seen] == [1.0, 0.0]


def test_without_trouble_the_features_are_the_measured_ones() -> None:
    batch = envs.make(config_of(Telemetry()), 2)
    batch.reset()
    for action in plan(batch):
        seen = features(batch, batch.step(action)[0])
        truth = batch.world.dynamics.state.features  # type: ignore[attr-defined]
        assert np.allclose(np.expm1(seen[..., 0]), truth[..., 0], rtol=1e-5)
        assert np.allclose(0.1 * np.expm1(seen[..., 1:]), truth[..., 1:], rtol=1e-5)
        assert np.array_equal(truth[..., 0], held(batch.world.dynamics))  # type: ignore[arg-type]


@pytest.mark.parametrize("delay", [1, 2, 7])
def test_late_telemetry_shows_the_features_of_that_many_steps_before(delay: int) -> None:
    truth, late = watched(Telemetry()), watched(Telemetry(delay_steps=delay))
    assert np.array_equal(late[delay:], truth[:-delay])
    assert (late[:delay] == truth[0]).all()
    assert not np.array_equal(late, truth)


@pytest.mark.parametrize("fields", [{"loss": 0.4}, {"noise": 0.5}, {"loss": 0.4, "noise": 0.5}])
def test_lost_and_noisy_reports_come_late_as_they_are(fields: dict[str, float]) -> None:
    prompt, late = watched(Telemetry(**fields)), watched(Telemetry(**fields, delay_steps=3))
    assert np.array_equal(late[3:], prompt[:-3])


def test_late_telemetry_forgets_the_last_episode() -> None:
    batch = envs.make(config_of(Telemetry(delay_steps=4)), 2)
    batch.reset()
    for action in plan(batch)[:10]:
        batch.step(action)
    first = [batch.reset(), *(batch.step(action)[0] for action in plan(batch)[:4])]
    assert all((features(batch, observation) == 0).all() for observation in first)


def test_a_lost_report_leaves_the_last_one_standing() -> None:
    truth, seen = watched(Telemetry(), n_envs=32), watched(Telemetry(loss=0.3), n_envs=32)
    fresh = (seen[1:] == truth[1:]).all(-1)
    repeated = (seen[1:] == seen[:-1]).all(-1)
    assert (fresh | repeated).all()
    changed = (truth[1:] != seen[:-1]).any(-1)
    assert standard_errors(repeated[changed], 0.3) < 4


def test_noise_is_a_lognormal_factor_on_every_feature() -> None:
    truth, seen = watched(Telemetry(), n_envs=16), watched(Telemetry(noise=0.2), n_envs=16)
    positive = truth > 1e-3
    assert np.array_equal(seen == 0, truth == 0)
    factor = np.log(np.expm1(seen[positive].astype(np.float64)) / np.expm1(truth[positive].astype(np.float64)))
    assert standard_errors(factor, 0.0) < 4
    assert standard_errors(factor**2, 0.2**2) < 4


def test_bad_telemetry_changes_what_is_seen_and_nothing_that_happens() -> None:
    worlds = []
    for name in ("plain", "everything"):
        batch = envs.make(config_of(TELEMETRIES[name]), 3)
        batch.reset()
        for action in plan(batch):
            batch.step(action)
        batch.world.dynamics.streams[:, TELEMETRY] = 0
        worlds.append(batch.world.dynamics.state)  # type: ignore[attr-defined]
    assert same_bits(*worlds)


@pytest.mark.parametrize("name", ["delay", "loss", "noise"])
def test_the_reset_of_one_env_leaves_the_telemetry_of_the_others(name: str) -> None:
    """An episode that ends beside it neither shortens a delay nor draws noise for an env that goes on."""
    config = config_of(TELEMETRIES[name])
    left_alone, disturbed = envs.make(config, 2), envs.make(config, 2)
    for batch in (left_alone, disturbed):
        batch.reset()
    for step, action in enumerate(plan(left_alone)):
        expected = left_alone.step(action)[0][1]
        seen = disturbed.step(action)[0][1]
        assert np.array_equal(seen, expected)
        if step % 10 == 5:
            again = disturbed.reset(mask=np.array([True, False]))[1]
            assert np.array_equal(again, expected)


def spoil_the_future(world: LoadBalancing) -> None:
    """Other requests, regimes, faults and work from now on: everything that has not been measured yet."""
    rng, state = np.random.default_rng(99), world.state
    keep = state.streams[:, TELEMETRY].copy()
    state.streams[:] = rng.integers(0, 2**63, state.streams.shape, dtype=np.uint64)
    state.streams[:, TELEMETRY] = keep
    source, sv = state.source, state.servers
    bursts_until_s = [memory.until_s for memory in source.memories if hasattr(memory, "until_s")]
    for times in (source.time_s, source.stage_until_s, *bursts_until_s):
        times += rng.exponential(1.0, times.shape)
    source.work_s[:] *= 7.0
    source.flow_class[:] = 1 - source.flow_class
    source.regime[:] = (source.regime + 1) % world.config.workload.regimes.n_regimes
    source.is_request[:] = ~source.is_request
    for times in (sv.departure_s, sv.fault_s, sv.slow_s, sv.ready_s, sv.detection_s):
        times += rng.exponential(1.0, times.shape)
    sv.heap_finish[:] += 3.0
    sv.flow_work_s[:] *= 5.0


@pytest.mark.parametrize("name", ["plain", "everything"])
def test_the_future_is_not_in_the_observations(name: str) -> None:
    config = config_of(TELEMETRIES[name])
    here, there = envs.make(config, 3), envs.make(config, 3)
    for batch in (here, there):
        batch.reset()
    for action in plan(here)[:30]:
        here.step(action)
        there.step(action)
    spoil_the_future(there.world.dynamics)  # type: ignore[arg-type]
    observations = [batch.world.observation_function.extract(batch.simulation.measurements, ALL) for batch in (here, there)]
    assert np.array_equal(*observations)
    figures = [batch.world.statistics.observed(batch.simulation.statistics()) for batch in (here, there)]
    assert np.array_equal(*figures)
    for action in plan(here)[30:]:
        here.step(action)
        there.step(action)
    assert not np.array_equal(here.observe(), there.observe())


def test_regimes_are_not_in_the_observations() -> None:
    config = config_of(Telemetry(ground_truth=True))
    world = started(replace(config, workload=replace(config.workload, arrivals=Poisson())), 9)
    before = seen_of(world)
    assert (before == before[0]).all()
    assert len(set(world.state.source.regime.tolist())) > 1


def test_an_observation_is_a_fresh_array() -> None:
    batch = envs.make(config_of(Telemetry()), 2)
    first = batch.reset()
    kept = first.copy()
    for action in plan(batch)[:5]:
        batch.step(action)
    assert np.array_equal(first, kept)


def test_the_weights_seen_are_those_in_force() -> None:
    config = replace(config_of(Telemetry()), actions=Actions(mode="weights"))
    batch = envs.make(config, 2)
    batch.reset()
    asked = np.array([[0.2, 0.4, 0.6, 1.0, 0.3, 0.0, 0.5, 0.7], [1.0, 0.0, 0.5, 0.01, 0.8, 0.9, 0.1, 0.2]])
    observed = of_servers(config, batch.step(asked)[0])
    in_force = np.where(asked < 0.05, 0.0, asked).reshape(2, 4, 2)
    assert np.allclose(observed[..., -3:-1], in_force)


def test_a_known_failure_shows_as_inactive() -> None:
    world = started(LoadBalancingConfig(pool=servers([1, 1], failure_rate_hz=0.5, repair_s=1.0, detection_s=0.1)), 8)
    for _ in range(40):
        advance(world, same_weights(world))
        active = of_servers(world.config, seen_of(world))[..., -1]
        assert np.array_equal(active == 0, world.state.servers.known_down[:, 0])
    world.reset_dynamics(everyone(world))
    assert of_servers(world.config, seen_of(world))[..., -1].all()
