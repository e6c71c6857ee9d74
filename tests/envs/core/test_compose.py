"""The batch: steps, truncation, contexts, and what `make` refuses."""

from __future__ import annotations

import numpy as np
import pytest

import envs
from envs.core.batch import BatchEnv
from envs.core.context import ContextSampling
from envs.core.rng import CONTEXT
from envs.load_balancing.config import LoadBalancingConfig, Regimes, Workload
from tests.envs.load_balancing.pools import everyone, standard_errors
from tests.envs.worlds import EXAMPLES

N_TERMS = 3


def batch_of(n_envs: int = 2, episode_steps: int = 10, sampling: ContextSampling | None = None, seed: int = 0) -> BatchEnv:
    return envs.make(LoadBalancingConfig(episode_steps=episode_steps), n_envs, seed, sampling=sampling)


def any_action(batch: BatchEnv, level: int = 2) -> np.ndarray:
    return np.full((batch.n_envs, *(batch.action_space.shape or ())), level)


def contexts_seen(batch: BatchEnv, n_steps: int) -> np.ndarray:
    """The context in the observation after the reset and after every step ``(n_steps + 1, n_envs, n_terms)``."""
    observations = [batch.reset(), *(batch.step(any_action(batch))[0] for _ in range(n_steps))]
    return np.array(observations)[..., -N_TERMS:]


def test_every_output_has_the_batch_in_front() -> None:
    batch = batch_of(3)
    observation = batch.reset()
    assert observation.shape == (3, *batch.observation_space.shape)
    assert observation.dtype == np.float32
    observation, reward, terminated, truncated, info = batch.step(any_action(batch))
    assert observation.shape == (3, *batch.observation_space.shape)
    assert reward.shape == terminated.shape == truncated.shape == (3,)
    assert info["reward_vector"].shape == (3, N_TERMS)
    assert all(term.shape == (3,) for term in info["reward_terms"].values())


def test_an_episode_is_truncated_after_its_steps_and_never_terminated() -> None:
    batch = batch_of(2, episode_steps=7)
    batch.reset()
    for step in range(1, 8):
        _, _, terminated, truncated, _ = batch.step(any_action(batch))
        assert not terminated.any()
        assert truncated.all() == (step == 7)


def test_a_reset_in_the_middle_begins_the_count_of_its_env_anew() -> None:
    batch = batch_of(2, episode_steps=6)
    batch.reset()
    for _ in range(3):
        batch.step(any_action(batch))
    batch.reset(mask=np.array([False, True]))
    ends = [batch.step(any_action(batch))[3].tolist() for _ in range(6)]
    assert ends[2] == [True, False]
    assert ends[5][1]


def test_a_simulation_without_reward_moves_as_the_batch_does() -> None:
    batch = batch_of(3, sampling=ContextSampling(switch_probability=0.3))
    simulation = envs.simulate(LoadBalancingConfig(episode_steps=10), 3)
    batch.reset(seed=1)
    simulation.reset(seed=1)
    for level in (3, 0, 1, 2) * 3:
        truncated = batch.step(any_action(batch, level))[3]
        actuator = simulation.world.actuator
        simulation.advance(actuator.apply(any_action(batch, level), simulation.measurements, ~simulation.ended)[0])
        assert np.array_equal(simulation.measurements.features, batch.simulation.measurements.features)
        assert np.array_equal(simulation.truncated, truncated)
    assert truncated.all()


def test_the_end_of_an_episode_settles_its_flows() -> None:
    overload = Workload(regimes=Regimes(loads=[1.5]))
    batch = envs.make(LoadBalancingConfig(workload=overload, episode_steps=40), 4)
    batch.reset()
    for _ in range(39):
        batch.step(any_action(batch))
    before = batch.simulation.statistics()["late_share"]
    in_flight = batch.simulation.measurements.in_flight.sum(-1)
    batch.step(any_action(batch))
    assert in_flight.sum() > 0
    assert (batch.simulation.statistics()["late_share"] > before).all()


def test_without_sampling_the_context_is_equal_weights_and_stays() -> None:
    seen = contexts_seen(batch_of(2, 50), 40)
    assert np.allclose(seen, 1 / N_TERMS)


def test_contexts_are_drawn_per_episode_and_env() -> None:
    batch = batch_of(3, 50, ContextSampling(corner_share=0.0, switch_probability=0.0))
    first, second = contexts_seen(batch, 10), contexts_seen(batch, 10)
    assert (first == first[0]).all()
    assert len({tuple(row) for row in [*first[0], *second[0]]}) == 6


def test_drawn_contexts_lie_on_the_simplex_with_their_share_of_corners_and_edges() -> None:
    batch = batch_of(4000, 50, ContextSampling(corner_share=0.3))
    contexts = batch.reset()[:, -N_TERMS:]
    assert np.allclose(contexts.sum(-1), 1.0)
    assert standard_errors((contexts == 0).any(-1), 0.3) < 4


def test_contexts_switch_inside_episodes_with_their_probability() -> None:
    seen = contexts_seen(batch_of(100, 10_000, ContextSampling(switch_probability=0.05)), 200)
    switched = (seen[1:] != seen[:-1]).any(-1)
    assert standard_errors(switched.mean(0), 0.05) < 4


def test_the_reward_is_paid_by_the_context_that_was_seen_before_the_step() -> None:
    batch = batch_of(3, 100, ContextSampling(switch_probability=0.5))
    observation = batch.reset()
    for _ in range(30):
        context = observation[:, -N_TERMS:]
        observation, reward, _, _, info = batch.step(any_action(batch))
        assert np.allclose(reward, (context * info["reward_vector"]).sum(-1), atol=1e-6)


def test_a_context_that_is_set_holds_and_ends_the_sampling() -> None:
    batch = batch_of(2, 30, ContextSampling(switch_probability=0.9))
    batch.reset()
    batch.set_context(np.array([0.2, 0.3, 0.5]))
    seen = contexts_seen(batch, 25)
    assert np.allclose(seen, [0.2, 0.3, 0.5])


def test_each_env_can_have_its_own_context() -> None:
    batch = batch_of(2)
    batch.set_context(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    batch.reset()
    _, reward, _, _, info = batch.step(any_action(batch))
    terms = info["reward_terms"]
    assert np.allclose(reward, [-terms["fairness"][0], -terms["cost"][1]])


def test_a_bad_context_is_refused_and_the_old_one_stays() -> None:
    batch = batch_of(2)
    with pytest.raises(ValueError, match="context must be weights >= 0 that sum to 1"):
        batch.set_context(np.array([1.0, 1.0, 0.0]))
    assert np.allclose(batch.context, 1 / N_TERMS)


def test_contexts_change_nothing_that_happens() -> None:
    worlds = []
    for sampling in (None, ContextSampling(switch_probability=0.5)):
        batch = batch_of(2, 100, sampling)
        batch.reset()
        for _ in range(30):
            batch.step(any_action(batch))
        worlds.append(batch.world.dynamics)
    plain, sampled = worlds
    assert np.array_equal(plain.state.features, sampled.state.features)  # type: ignore[attr-defined]
    assert np.array_equal(np.delete(plain.streams, CONTEXT, 1), np.delete(sampled.streams, CONTEXT, 1))


def test_the_parts_of_an_info_are_those_of_this_step_alone() -> None:
    batch = batch_of(2)
    batch.reset()
    _, _, _, _, first = batch.step(any_action(batch))
    kept = {name: term.copy() for name, term in first["reward_terms"].items()}
    batch.step(any_action(batch, 1))
    assert all(np.array_equal(first["reward_terms"][name], kept[name]) for name in kept)


def test_settling_by_hand_is_what_the_end_of_an_episode_does() -> None:
    by_hand, at_the_end = batch_of(2, 1000), batch_of(2, 20)
    for batch in (by_hand, at_the_end):
        batch.reset()
        for _ in range(20):
            batch.step(any_action(batch))
    by_hand.world.dynamics.settle(everyone(by_hand))
    figures = by_hand.simulation.statistics(), at_the_end.simulation.statistics()
    assert all(np.array_equal(figures[0][name], figures[1][name]) for name in figures[0])


@pytest.mark.parametrize("n_envs", [0, -1])
def test_a_batch_has_at_least_one_env(n_envs: int) -> None:
    with pytest.raises(ValueError, match=f"n_envs must be >= 1, got {n_envs}"):
        envs.make(LoadBalancingConfig(), n_envs)


def test_env_ids_name_every_env() -> None:
    with pytest.raises(ValueError, match="env_ids must name 3 envs, got 2"):
        envs.make(LoadBalancingConfig(), 3, env_ids=[1, 2])


def test_a_config_of_no_family_is_refused() -> None:
    with pytest.raises(
        ValueError,
        match=r"config must be of one of the families load_balancing, .*, got dict",
    ):
        envs.make({"dt_s": 1.0}, 1)  # type: ignore[arg-type]


def test_every_family_is_among_the_examples() -> None:
    assert {config.family for config in EXAMPLES.values()} == set(envs.FAMILIES)
