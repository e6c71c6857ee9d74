"""A state is all that moves and nothing else: put back, here or in a fresh object, it gives the same bits again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import envs
from envs.core.batch import BatchEnv
from envs.core.context import ContextSampling
from envs.core.simulation import Simulation
from envs.core.state import flatten, nested, restore, state_of
from envs.load_balancing.config import LoadBalancingConfig, Reward, Trace, Workload
from tests.envs.worlds import any_actions, batch_of, every_world, outcomes, same, short

pytestmark = pytest.mark.slow

N_BEFORE, N_AFTER, EPISODE_STEPS = 10, 20, 20


def simulation_of(name: str) -> Simulation:
    return envs.simulate(short(name, EPISODE_STEPS), 3, 5)


def settings_of(simulation: Simulation, actions: np.ndarray) -> list[np.ndarray]:
    """Every step's settings under actions, and the statistics at the end."""
    for action in actions:
        running = ~simulation.ended
        setting, _ = simulation.world.actuator.apply(action, simulation.measurements, running)
        simulation.advance(setting)
    return [np.array(setting), *simulation.statistics().values(), simulation.elapsed.copy(), simulation.ended]


def figures_of(batch: BatchEnv) -> list[np.ndarray]:
    return [*batch.simulation.statistics().values(), batch.context.copy(), batch.setting.copy()]


def equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a, b, strict=True))


@every_world
def test_a_batch_goes_back_to_where_it_was(name: str) -> None:
    batch = batch_of(name, episode_steps=EPISODE_STEPS)
    actions = any_actions(batch.action_space, (N_BEFORE + N_AFTER, 3))
    batch.reset()
    outcomes(batch, actions[:N_BEFORE])
    kept = batch.get_state()
    first, figures = outcomes(batch, actions[N_BEFORE:]), figures_of(batch)
    for _ in range(2):
        batch.reset(seed=99)
        batch.set_state(kept)
        assert same(first, outcomes(batch, actions[N_BEFORE:]))
        assert equal(figures, figures_of(batch))


@every_world
def test_a_fresh_batch_goes_on_from_where_another_one_was(name: str) -> None:
    batch, fresh = (batch_of(name, episode_steps=EPISODE_STEPS) for _ in range(2))
    actions = any_actions(batch.action_space, (N_BEFORE + N_AFTER, 3))
    batch.reset(seed=7)
    outcomes(batch, actions[:N_BEFORE])
    fresh.set_state(nested(flatten(batch.get_state())))
    assert np.array_equal(fresh.observe(), batch.observe())
    assert same(outcomes(batch, actions[N_BEFORE:]), outcomes(fresh, actions[N_BEFORE:]))
    assert equal(figures_of(batch), figures_of(fresh))
    assert np.array_equal(batch.reset(), fresh.reset())  # streams, too


@every_world
def test_a_fresh_simulation_goes_on_from_where_another_one_was(name: str) -> None:
    simulation, fresh = simulation_of(name), simulation_of(name)
    actions = any_actions(simulation.dynamics.action_space, (N_BEFORE + N_AFTER, 3))
    simulation.reset(seed=7)
    settings_of(simulation, actions[:N_BEFORE])
    kept = simulation.get_state()
    fresh.set_state(nested(flatten(kept)))
    first = settings_of(simulation, actions[N_BEFORE:])
    assert equal(first, settings_of(fresh, actions[N_BEFORE:]))
    simulation.set_state(kept)
    assert equal(first, settings_of(simulation, actions[N_BEFORE:]))


@every_world
def test_a_state_is_arrays_and_numbers_by_name(name: str) -> None:
    batch = batch_of(name)
    batch.reset()
    leaves = flatten(batch.get_state())
    for path, leaf in leaves.items():
        assert isinstance(leaf, np.ndarray | np.generic | bool | int | float), path
        assert np.asarray(leaf).dtype != object, path
    again = flatten(nested(leaves))
    assert again.keys() == leaves.keys()
    assert all(again[path] is leaves[path] for path in leaves if not path.endswith("/"))


@every_world
def test_a_state_is_a_copy(name: str) -> None:
    batch = batch_of(name)
    actions = any_actions(batch.action_space, (N_BEFORE, 3))
    batch.reset()
    spoilt = batch.get_state()
    for leaf in flatten(spoilt).values():
        if isinstance(leaf, np.ndarray) and leaf.size:
            leaf.fill(1)
    other = batch_of(name)
    other.reset()
    assert same(outcomes(batch, actions), outcomes(other, actions))


@every_world
def test_what_is_put_back_is_a_copy(name: str) -> None:
    batch, fresh = batch_of(name), batch_of(name)
    batch.reset()
    kept = batch.get_state()
    before = {path: np.copy(leaf) for path, leaf in flatten(kept).items()}
    fresh.set_state(kept)
    outcomes(fresh, any_actions(batch.action_space, (N_BEFORE, 3)))
    assert all(np.array_equal(before[path], leaf, equal_nan=True) for path, leaf in flatten(kept).items())


def test_a_held_context_is_part_of_the_state_and_so_is_that_it_holds() -> None:
    sampling = ContextSampling(switch_probability=1.0)
    batch, fresh = (envs.make(LoadBalancingConfig(), 2, sampling=sampling) for _ in range(2))
    batch.reset()
    sampled = batch.get_state()
    batch.set_context(np.array([0.2, 0.3, 0.5]))
    fresh.set_state(batch.get_state())
    assert np.allclose(outcomes(fresh, np.ones((5, 2, 8), int))[-1][0][:, -3:], [0.2, 0.3, 0.5])
    fresh.set_state(sampled)
    assert not np.allclose(outcomes(fresh, np.ones((1, 2, 8), int))[-1][0][:, -3:], sampled["context"])


def test_terms_that_remember_are_put_back() -> None:
    config = LoadBalancingConfig(reward=Reward(shaping=True, switching_cost=0.5))
    batch, fresh = envs.make(config, 2), envs.make(config, 2)
    actions = any_actions(batch.action_space, (40, 2))
    batch.reset()
    outcomes(batch, actions[:20])
    fresh.set_state(batch.get_state())
    assert same(outcomes(batch, actions[20:]), outcomes(fresh, actions[20:]))


def test_a_recording_is_no_part_of_the_state(tmp_path: Path) -> None:
    path = tmp_path / "counts.txt"
    path.write_text("\n".join(["20"] * 2000) + "\n", encoding="utf-8")
    batch = envs.make(LoadBalancingConfig(workload=Workload(arrivals=Trace(path=str(path)))), 1)
    batch.reset()
    traffic: Any = batch.world.dynamics.params.traffic  # type: ignore[attr-defined]
    assert len(traffic.sources[traffic.source].time_s) > 10_000
    assert max(np.size(leaf) for leaf in flatten(batch.get_state()).values()) < 10_000


@every_world
def test_settings_are_no_part_of_the_state(name: str) -> None:
    """Names of the batch and of its envs, roles, spaces and capacities of parts that never change."""
    batch = batch_of(name)
    batch.reset()
    paths = {path.rsplit("/", 1)[-1] for path in flatten(batch.get_state())}
    assert not paths & {"n_envs", "role", "env_ids", "masks_actions", "n_parts", "episode_steps"}
    for part in (batch.world.observation_function, batch.world.information_function):
        assert state_of(part) == {}


def test_a_state_of_another_world_is_refused() -> None:
    small, large = envs.simulate(LoadBalancingConfig(), 2), envs.simulate(LoadBalancingConfig(), 3)
    with pytest.raises(ValueError, match=r"state state/clock_s must be float64 \(3,\), got float64 \(2,\)"):
        large.dynamics.set_state(small.dynamics.get_state())


class Remembering:
    """A plain class with things that move and things that don't."""

    def __init__(self) -> None:
        self.sums, self.n_steps, self.names = np.zeros(2), 0, ["a", "b"]


def test_a_plain_class_is_kept_by_its_arrays_and_numbers() -> None:
    part = Remembering()
    part.sums[:], part.n_steps = 3.0, 7
    fresh: Any = Remembering()
    shared = fresh.sums
    restore(fresh, state_of(part))
    assert (fresh.sums.tolist(), fresh.n_steps) == ([3.0, 3.0], 7)
    assert shared is fresh.sums
    assert state_of(part).keys() == {"sums", "n_steps"}


@pytest.mark.parametrize(
    ("state", "given"), [({"sums": np.zeros(2)}, "sums"), ({"sums": np.zeros(2), "n_steps": 1, "x": 1}, "n_steps, sums, x")]
)
def test_a_state_with_other_names_is_refused(state: dict[str, Any], given: str) -> None:
    with pytest.raises(ValueError, match=f"^state of Remembering must hold n_steps, sums, got {given}$"):
        restore(Remembering(), state)
