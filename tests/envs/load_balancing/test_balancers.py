"""Several balancers before one pool: what each has by itself, what they share, and what it costs them to know no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from envs.core.arrays import Array
from envs.core.batch import BatchEnv
from envs.core.state import Tree
from envs.core.validation import SettingError
from envs.load_balancing.config import BalancersConfig, LoadBalancingConfig, ServerPool
from envs.load_balancing.kernel.accounts import ARRIVED, COMPLETED, IN_FLIGHT, LOST, REJECTED, RETRIED
from envs.load_balancing.kernel.servers.state import FAILED
from envs.load_balancing.rewards.cost import cost
from envs.load_balancing.rewards.latency import latency
from envs.load_balancing.world import compose

N_ENVS, N_STEPS = 3, 150
FAULTY = ServerPool(failure_rate_hz=0.05, repair_s=3.0, detection_s=1.0, slowdown_rate_hz=0.05)
DEFAULT = LoadBalancingConfig()


def team(n: int, config: LoadBalancingConfig = DEFAULT, **balancers: Any) -> LoadBalancingConfig:
    return replace(config, balancers=BalancersConfig(n=n, **balancers))


def begun(config: LoadBalancingConfig, n_envs: int = N_ENVS, seed: int = 3) -> BatchEnv:
    batch = BatchEnv(compose(config, range(n_envs), seed, "train"), 10_000)
    batch.reset()
    return batch


def levels(rng: np.random.Generator, batch: BatchEnv) -> Array:
    return rng.integers(0, 5, (batch.n_rows, *batch.action_space.shape))


def state(batch: BatchEnv) -> Any:
    return batch.simulation.dynamics.state  # type: ignore[attr-defined]


@pytest.mark.parametrize("split", ["random", "class"])
def test_every_balancer_conserves_its_requests(split: str) -> None:
    config = replace(DEFAULT, pool=replace(FAULTY, max_flows=4), workload=replace(DEFAULT.workload, retries=0.5))
    batch, rng = begun(team(2, config, split=split)), np.random.default_rng(0)
    for _ in range(N_STEPS):
        batch.step(levels(rng, batch))
        counts = state(batch).counts
        ended = counts[..., COMPLETED] + counts[..., LOST] + counts[..., REJECTED]
        np.testing.assert_array_equal(counts[..., ARRIVED], ended + counts[..., IN_FLIGHT])
        on_servers = state(batch).servers.n_flows.sum(-1)
        np.testing.assert_array_equal(on_servers, counts[..., IN_FLIGHT])
    assert (state(batch).counts[..., LOST].sum() > 0) & (state(batch).counts[..., REJECTED].sum() > 0)


def test_the_same_requests_come_however_many_share_them() -> None:
    alone, four, rng = begun(DEFAULT), begun(team(4)), np.random.default_rng(0)
    for _ in range(N_STEPS):
        alone.step(levels(rng, alone))
        four.step(levels(rng, four))
    fresh = [state(one).counts[..., ARRIVED] - state(one).counts[..., RETRIED] for one in (alone, four)]
    np.testing.assert_array_equal(fresh[1].reshape(N_ENVS, 4, -1).sum(1), fresh[0])


def test_a_balancer_with_all_requests_is_the_only_one() -> None:
    """The other gets none of them, asks for the same, and changes nothing to the bit."""
    config = replace(DEFAULT, workload=replace(DEFAULT.workload, retries=0.5))
    alone, two = begun(config), begun(team(2, config, shares=[1.0, 1e-300]))
    rng = np.random.default_rng(0)
    for _ in range(N_STEPS):
        actions = levels(rng, alone)
        observation = alone.step(actions)[0]
        with_idle = two.step(actions.repeat(2, axis=0))[0]
        np.testing.assert_array_equal(with_idle[::2], observation)
        np.testing.assert_array_equal(state(two).counts[:, :2], state(alone).counts)
        np.testing.assert_array_equal(state(two).histogram[:, :2], state(alone).histogram)


def test_split_by_class_is_what_a_backend_of_each_class_is() -> None:
    """One mechanism: balancers with a class each and one backend have the bits of one balancer with a backend a class."""
    config = replace(DEFAULT, pool=FAULTY)
    classes, balancers = begun(config), begun(team(2, replace(config, backends="joint"), split="class"))
    rng, n_servers = np.random.default_rng(0), config.pool.n_servers
    for _ in range(N_STEPS):
        asked = rng.integers(0, 5, (N_ENVS, n_servers, 2))
        classes.step(asked.reshape(N_ENVS, -1))
        balancers.step(asked.transpose(0, 2, 1).reshape(N_ENVS * 2, n_servers))
        one, two = state(classes), state(balancers)
        for name in ("counts", "times", "histogram"):
            np.testing.assert_array_equal(getattr(two, name)[:, [0, 3]], getattr(one, name))
            assert not getattr(two, name)[:, [1, 2]].any()
        np.testing.assert_array_equal(two.servers.n_flows[:, [0, 3]], one.servers.n_flows)
        np.testing.assert_array_equal(two.servers.weight, one.servers.weight)


def test_a_server_is_on_while_any_balancer_gives_it_weight() -> None:
    batch = begun(team(2, replace(DEFAULT, pool=replace(DEFAULT.pool, boot_s=0.0))))
    n_servers = DEFAULT.pool.n_servers
    asked = np.zeros((N_ENVS, 2, n_servers, 2), np.int64)
    asked[:, 0, 0], asked[:, 1, 1] = 4, 4  # each has a server of its own
    for _ in range(400):
        batch.step(asked.reshape(batch.n_rows, -1))
    statuses = state(batch).servers.status
    assert (statuses[:, :2] == 2).all()
    assert (statuses[:, 2:] == 0).all()


def test_what_balancers_measure_adds_up_to_the_pool() -> None:
    batch, rng = begun(team(3, replace(DEFAULT, pool=FAULTY), shares=[0.5, 0.3, 0.2])), np.random.default_rng(0)
    for _ in range(N_STEPS):
        batch.step(levels(rng, batch))
    measured: Any = batch.simulation.measurements
    local, pooled = measured.local, measured.pooled
    for name in ("counts", "times", "histogram", "n_flows", "answered", "price_usd_per_h"):
        of_each = getattr(local, name)
        np.testing.assert_allclose(of_each.reshape(N_ENVS, 3, *of_each.shape[1:]).sum(1), getattr(pooled, name), rtol=1e-12)
    servers = state(batch).servers
    np.testing.assert_allclose(pooled.features[..., 0], servers.n_running + servers.n_waiting)
    np.testing.assert_allclose(
        local.step.cost_usd.reshape(N_ENVS, 3) / pooled.step.cost_usd[:, None], [[0.5, 0.3, 0.2]] * N_ENVS
    )


def test_of_each_and_of_all_the_profit_is_the_same() -> None:
    """What balancers earn by themselves, each paying its share of the servers, is what the pool earns."""
    from envs.load_balancing.statistics import LoadStatistics

    config = team(4)
    batch, rng = begun(config), np.random.default_rng(0)
    for _ in range(N_STEPS):
        batch.step(levels(rng, batch))
    whole = batch.simulation.statistics()
    each = LoadStatistics(config).since(batch.simulation.measurements.local)
    for name in ("revenue_usd", "penalty_usd", "server_cost_usd"):
        np.testing.assert_allclose(each[name].reshape(N_ENVS, 4).sum(1), whole[name])


SHARES = [0.6, 0.3, 0.1]


def test_own_rewards_have_the_mean_by_shares_that_all_are_paid_as_a_team() -> None:
    own, shared = begun(team(3, reward="own", shares=SHARES)), begun(team(3, shares=SHARES))
    rng = np.random.default_rng(0)
    differed = False
    for _ in range(20):
        actions = levels(rng, own)
        of_each, of_team = own.step(actions)[1], shared.step(actions)[1]
        np.testing.assert_allclose((of_each.reshape(-1, 3) @ SHARES).repeat(3), of_team)
        differed |= bool((of_each != of_team).any())
    assert differed


def test_a_team_is_paid_what_the_pool_forgoes_and_costs() -> None:
    """In a world whose terms are money: whoever had the request, and whatever the shares."""
    reward = replace(DEFAULT.reward, latency_measure="forgone")
    config = replace(DEFAULT, reward=reward, pool=replace(DEFAULT.pool, max_flows=4))
    batch, rng = begun(team(3, config, shares=SHARES)), np.random.default_rng(0)
    for _ in range(20):
        terms = batch.step(levels(rng, batch))[4]["reward_terms"]
        pooled = batch.simulation.measurements.pooled  # type: ignore[union-attr]
        np.testing.assert_allclose(terms["latency"][::3], latency(config, pooled))
        np.testing.assert_allclose(terms["cost"][::3], cost(config, pooled))


def test_servers_fail_when_they_do_however_many_balancers_look_on() -> None:
    statuses = []
    for n in (1, 3):
        batch = begun(team(n, replace(DEFAULT, pool=FAULTY)))
        nominal = np.stack([batch.world.nominal_action] * batch.n_rows)
        statuses.append([])
        for _ in range(N_STEPS):
            batch.step(nominal)
            statuses[-1].append(state(batch).servers.status == FAILED)
    np.testing.assert_array_equal(*statuses)
    assert np.any(statuses)


def test_a_server_shows_its_whole_price_to_each() -> None:
    alone, three = begun(DEFAULT), begun(team(3, shares=SHARES))
    names = alone.world.observation_function.feature_names  # type: ignore[attr-defined]
    at = names.index("price") + len(names) * np.arange(DEFAULT.pool.n_servers)
    np.testing.assert_array_equal(three.observe()[:, at], alone.observe()[:, at].repeat(3, axis=0))


def test_weights_must_be_those_of_all_backends() -> None:
    batch = begun(team(2))
    with pytest.raises(ValueError, match=r"^weights must have shape \(3, 4, 4\), got \(3, 2, 4\)$"):
        batch.simulation.advance(np.ones((3, 2, 4)))


def test_agents_of_an_env_begin_together() -> None:
    batch = begun(team(2, replace(DEFAULT, randomise=replace(DEFAULT.randomise, n_servers=[2, 4]))))
    info = batch.step(np.stack([batch.world.nominal_action] * batch.n_rows))[4]
    assert len(info["action_set"]) == len(info["weights"]) == batch.n_rows
    batch.reset(mask=np.array([False, False, True, True, False, False]))
    assert batch.simulation.elapsed.tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match="mask must be the same for all 2 agents of an env"):
        batch.reset(mask=np.array([True, False, False, False, False, False]))


def test_balancers_find_out_about_a_failure_each_by_itself() -> None:
    batch = begun(team(4, replace(DEFAULT, pool=FAULTY)), n_envs=8)
    nominal = np.stack([batch.world.nominal_action] * batch.n_rows)
    disagreed = 0
    for _ in range(N_STEPS):
        batch.step(nominal)
        known = state(batch).servers.known_down
        disagreed += int((known.any(1) & ~known.all(1)).sum())
        late = state(batch).servers.detection_s[np.isfinite(state(batch).servers.detection_s)] - state(batch).clock_s.max()
        assert (late <= 2.0 * FAULTY.detection_s).all()
    assert disagreed > 0


def test_one_env_is_the_same_in_any_batch_and_from_any_state() -> None:
    one, many = begun(team(2), n_envs=1), begun(team(2), n_envs=5)
    rng = np.random.default_rng(0)
    saved: Tree | None = None
    for step in range(60):
        actions = levels(rng, many)
        if step == 30:
            saved, replayed = many.get_state(), actions
        after = many.step(actions)[0]
        np.testing.assert_array_equal(one.step(actions[:2])[0], after[:2])
        if step == 30:
            then = after
    assert saved is not None
    many.set_state(saved)
    np.testing.assert_array_equal(many.step(replayed)[0], then)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"n": 0}, "n must be >= 1"),
        ({"n": 2, "shares": [1.0]}, "shares must be n \\(2\\) numbers, or none"),
        ({"n": 2, "shares": [1.0, 0.0]}, "shares"),
        ({"n": 2, "split": "class", "shares": [0.5, 0.5]}, "shares must be \\[\\] when split is class"),
        ({"split": "hash"}, "split must be one of random, class"),
    ],
)
def test_a_split_that_can_not_be_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        BalancersConfig(**settings)


def test_a_balancer_a_class_needs_as_many_as_there_are_classes() -> None:
    with pytest.raises(SettingError, match=r"balancers\.n must be 2, one a class"):
        team(3, split="class")
