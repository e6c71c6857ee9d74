"""An agent that learns to learn: where it moves, what it depends on, and that others begin as it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import envs
from envs.core.validation import SettingError
from envs.load_balancing.config import Randomisation
from hierarchy import experiment
from hierarchy.building import lower
from hierarchy.config import ExperimentConfig
from hierarchy.experiment import Experiment
from hierarchy.lower import ALGORITHMS
from hierarchy.meta.config import MetaConfig
from hierarchy.meta.reptile import Reptile, moved
from hierarchy.protocols import Learner, Observer
from hierarchy.storage.agents import load_lower
from runs.cli import main
from tests.hierarchy.settings import like


@pytest.fixture
def config(untracked_config: ExperimentConfig) -> ExperimentConfig:
    """Three rounds of 32 steps in worlds with other speeds."""
    env = dataclasses.replace(untracked_config.env, randomise=Randomisation(speed=[0.5, 2.0], load=[0.8, 1.2]))
    fewer = dataclasses.replace(untracked_config.lower, timesteps=96)
    return dataclasses.replace(untracked_config, env=env, lower=fewer, meta=MetaConfig(steps=32, rate=0.5))


def test_an_agent_moves_a_share_of_the_way() -> None:
    agent, learned = {"w": np.array([0.0, 2.0], np.float32), "n": np.array(3)}, {"w": np.array([1.0, 0.0]), "n": np.array(7)}
    there = moved(agent, learned, 0.25)
    assert there["w"].tolist() == [0.25, 1.5]
    assert there["w"].dtype == np.float32
    assert there["n"] == 7


def test_rounds_are_a_learner_in_one_world_each_from_where_the_agent_is(config: ExperimentConfig) -> None:
    """Said again, by hand: the share falls in a line over all steps."""
    reptile = lower.build(config)
    reptile.learn(96)

    def learner(number: int) -> Learner:
        seed = int(np.random.SeedSequence(config.seed, spawn_key=(number,)).generate_state(1)[0])
        world = envs.drawn(config.env, config.seed, "train", number)
        return lower.learner(dataclasses.replace(config, env=world, seed=seed))

    agent = learner(0).saved("by hand")
    for number in range(3):
        one = learner(number)
        one.begin_from(agent)
        one.learn(32)
        learned = one.saved("by hand")
        share = 0.5 * (1.0 - number / 3)
        arrays = {
            name: before + np.float32(share) * (learned.arrays[name] - before) for name, before in agent.arrays.items()
        }
        agent = learned._replace(arrays=arrays)
    assert reptile.n_steps == 96
    for name, array in reptile.saved("reptile").arrays.items():
        np.testing.assert_allclose(array, agent.arrays[name], rtol=1e-5, atol=1e-7, err_msg=name)


def test_rounds_in_which_nothing_is_learned_are_refused(config: ExperimentConfig) -> None:
    """An algorithm that begins every round with random actions must have rounds that are longer."""
    waits = dataclasses.replace(like(ALGORITHMS["sac_gru"], config.lower), timesteps=96, n_envs=2, learning_starts=1_000)
    reptile = lower.build(dataclasses.replace(config, lower=waits))
    with pytest.raises(SettingError, match=r"^meta.steps must be more, .* learns nothing in so few, got 32$"):
        reptile.learn(96)


def test_worlds_are_drawn_once_for_each_round_and_stay(config: ExperimentConfig) -> None:
    worlds = [envs.drawn(config.env, 0, "train", number) for number in range(5)]
    assert all(world.randomise == Randomisation() for world in worlds)
    assert len({tuple(world.pool.speed) for world in worlds}) == 5
    assert worlds[1] == envs.drawn(config.env, 0, "train", 1)
    assert worlds[1] != envs.drawn(config.env, 0, "evaluate", 1)
    assert worlds[1] != envs.drawn(config.env, 1, "train", 1)


def test_a_drawn_world_is_the_one_that_an_env_of_its_number_begins_with(config: ExperimentConfig) -> None:
    """Servers and what comes: its rates are of loads, mixes and work that were drawn."""
    of_all = Randomisation([], [1, 3], [0.5, 2.0], [0.03, 0.4], [0.6, 1.1], [-0.2, 0.2], [0.7, 1.4], [0.5, 2.0])
    randomised = dataclasses.replace(config.env, randomise=of_all)
    fixed = envs.drawn(randomised, 3, "train", 7)
    one, other = (envs.simulate(world, 1, 3, "train", [7]) for world in (randomised, fixed))
    one.reset()
    other.reset()
    for name in ("capacity", "price_usd_per_h", "present", "deadline_s"):
        np.testing.assert_allclose(getattr(one.measurements, name), getattr(other.measurements, name), err_msg=name)
    sources = [simulation.dynamics.state.source for simulation in (one, other)]  # type: ignore[attr-defined]
    for name in ("regime_rate_hz", "load", "interactive_share", "mean_work_s"):
        np.testing.assert_allclose(*(getattr(source, name) for source in sources), err_msg=name)
    assert fixed.pool != randomised.pool
    assert fixed.workload != randomised.workload


class Cut(Observer):
    """Keeps the state before a rollout, the first at or after a step."""

    def __init__(self, learner: Any, n_steps: int) -> None:
        self._learner, self._n_steps, self.state = learner, n_steps, None

    def on_rollout(self, n_steps: int) -> None:
        if self.state is None and n_steps >= self._n_steps:
            self.state = self._learner.get_state()


def test_it_goes_on_from_a_state_to_the_last_bit(config: ExperimentConfig) -> None:
    whole = lower.build(config)
    cut = Cut(whole, 64)
    whole.learn(96, cut)
    rest = lower.build(config)
    assert cut.state is not None
    rest.set_state(cut.state)
    assert rest.n_steps == 64
    rest.learn(96 - rest.n_steps)
    ours, theirs = whole.saved("one").arrays, rest.saved("one").arrays
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_observers_are_told_of_all_steps_in_order(config: ExperimentConfig) -> None:
    class Noted(Observer):
        def __init__(self) -> None:
            self.steps: list[int] = []
            self.rollouts: list[int] = []

        def on_rollout(self, n_steps: int) -> None:
            self.rollouts.append(n_steps)

        def on_step(self, n_steps: int) -> None:
            self.steps.append(n_steps)

    noted = Noted()
    lower.build(config).learn(96, noted)
    assert noted.steps == list(range(2, 98, 2))
    assert noted.rollouts == [0, 32, 64]


def test_who_acts_does_not_disturb_who_learns(config: ExperimentConfig) -> None:
    class Asking(Observer):
        def on_step(self, n_steps: int) -> None:
            assert watched.actor is not None

    watched, alone = lower.build(config), lower.build(config)
    watched.learn(64, Asking())
    alone.learn(64)
    ours, theirs = watched.saved("one").arrays, alone.saved("one").arrays
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_another_experiment_begins_from_what_was_learned(
    config: ExperimentConfig, make: Callable[..., Experiment], tmp_path: Path
) -> None:
    experiment.train_lower(make("meta", env=config.env, lower=config.lower, meta=config.meta))
    pool = dataclasses.replace(config.env.pool, speed=[0.7, 1.9])
    world = dataclasses.replace(config.env, pool=pool, randomise=Randomisation())
    tuned = make("tuned", env=world)
    experiment.train_lower(tuned, tmp_path / "meta")
    assert load_lower(tuned.folder, tuned.config) is not None


REFUSED = {
    "nothing drawn": ([], "env.randomise must be ranges that worlds are drawn from, got none"),
    "too long": (["--lower.timesteps", "10"], "meta.steps must be <= lower.timesteps (10), got 32"),
    "other servers": (["--env.randomise.n_servers", "[1,2]"], "env.randomise.n_servers must be [] with meta.steps"),
    "other family": (
        ["--env.family", "spark", "--lower.paired", "false"],
        "env.family must be one whose worlds can be drawn",
    ),
    "rate": (["--meta.rate", "0"], "meta.rate must be > 0 and <= 1, got 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_is_refused_in_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given, allowed = REFUSED[name]
    out = tmp_path / "out"
    assert main(["train-lower", "--preset", "quick", "--meta.steps", "32", "--out", str(out), *given]) == 2
    said = capsys.readouterr().err
    assert allowed in said
    assert said.count("\n") == 1
    assert not out.exists()


def test_what_learns_from_data_has_no_worlds_to_learn_in(config: ExperimentConfig) -> None:
    from hierarchy.lower.offline import OfflineConfig

    with pytest.raises(SettingError, match=r"meta.steps must be 0 for an algorithm that learns from a dataset"):
        lower.check_meta(dataclasses.replace(config, lower=OfflineConfig()))


def test_without_rounds_a_learner_is_what_it_was(untracked_config: ExperimentConfig) -> None:
    assert not isinstance(lower.build(untracked_config), Reptile)
