"""An upper agent that goes on learning, in a world in which the mix is all that counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import envs
from envs.core.arrays import FloatArray
from envs.core.objectives import evaluate
from envs.core.state import Tree
from envs.core.validation import SettingError
from hierarchy.building import upper
from hierarchy.config import ExperimentConfig
from hierarchy.lower.acting import PolicyActor
from hierarchy.online.building import identity, online_of
from hierarchy.online.config import OnlineConfig
from hierarchy.online.setter import Online
from hierarchy.online.trust import distance
from hierarchy.pair import Pair
from hierarchy.protocols import SavedAgent
from hierarchy.storage import agents
from hierarchy.storage.bundle import Parts
from hierarchy.storage.folder import OutputFolder
from hierarchy.upper import ALGORITHMS
from hierarchy.upper.memory.stacked import StackedConfig
from tests.hierarchy.settings import like

ONE = np.ones(1, np.bool_)
DEPLOYED = np.array([0.3, 0.4, 0.3])
FAST = OnlineConfig(
    trust=0.3, promise=0.0, margin=10.0, windows=20, noise=0.2, learning_starts=20, updates=4, learning_rate=1e-2
)


@pytest.fixture(params=["td3", "sac"])
def config(request: pytest.FixtureRequest, untracked_config: ExperimentConfig) -> ExperimentConfig:
    upper = like(ALGORITHMS[request.param], untracked_config.upper, batch_size=32, gamma=0.0)
    return dataclasses.replace(untracked_config, upper=upper)


@pytest.fixture
def parts(config: ExperimentConfig, policy: PolicyActor, tmp_path: Path) -> Parts:
    """The agent that is deployed sets one mix whatever it sees."""
    learner, folder = upper.build(config, policy), OutputFolder(tmp_path)
    learner.begin_at(DEPLOYED)
    agents.save(learner, folder.agent("upper"), config)
    saved = agents.read_agent(folder, "upper")
    return Parts(saved, saved, {}, tmp_path)


class Windows:
    """Windows one after the other, in which nothing counts but how much weight the first term had."""

    def __init__(self, online: Online, n_features: int, worth: Callable[[float], float]) -> None:
        self.online, self._worth = online, worth
        self._observations = np.random.default_rng(3).normal(size=(5_000, 1, n_features)).astype(np.float32)
        self.at, self.mixes, self.events = 0, list[FloatArray](), list[str]()

    def run(self, n: int) -> FloatArray:
        """The mixes of ``n`` windows ``(n, k)``."""
        for _ in range(n):
            statistics = {"worth": np.array([self._worth(self.mixes[-1][0, 0])])} if self.mixes else None
            window: Any = SimpleNamespace(observation=self._observations[self.at], statistics=statistics)
            self.mixes.append(self.online.contexts(window))
            self.events.append(self.online.progress.event)
            self.at += 1
        return np.concatenate(self.mixes[-n:])


def objective(statistics: Any) -> FloatArray:
    worth: FloatArray = statistics["worth"]
    return worth


def n_features_of(config: ExperimentConfig) -> int:
    spec = envs.describe(config.env)
    return len(spec.observed) + spec.n_terms


def windows(config: ExperimentConfig, parts: Parts, online: OnlineConfig, worth: Any, signal: Any = None) -> Windows:
    return Windows(online_of(config, parts, online, objective, signal), n_features_of(config), worth)


def test_it_begins_as_what_was_deployed(config: ExperimentConfig, parts: Parts) -> None:
    still = dataclasses.replace(FAST, noise=0.0)
    mixes = windows(config, parts, still, lambda share: share).run(still.learning_starts)
    np.testing.assert_allclose(mixes, np.tile(DEPLOYED, (len(mixes), 1)), atol=1e-6)


def test_it_never_leaves_the_trust_region_and_comes_near_its_edge_where_that_is_best(
    config: ExperimentConfig, parts: Parts
) -> None:
    mixes = windows(config, parts, FAST, lambda share: 4.0 * share).run(160)
    assert distance(DEPLOYED, mixes).max() <= FAST.trust + 1e-6
    assert mixes[-30:, 0].mean() > DEPLOYED[0] + 0.6 * FAST.trust


def test_a_poisoned_objective_is_rolled_back_within_the_stated_windows(config: ExperimentConfig, parts: Parts) -> None:
    """It learns from the opposite of what counts; once what counts has fallen, the deployed mix is back to the digit."""

    def worth(share: float) -> float:
        return 4.0 * share

    strict = dataclasses.replace(FAST, promise=worth(DEPLOYED[0]), margin=0.5)
    poisoned = windows(config, parts, strict, worth, lambda statistics: -objective(statistics))
    mixes = poisoned.run(160)
    assert "rolled back" in poisoned.events
    back = poisoned.events.index("rolled back")
    np.testing.assert_allclose(mixes[back : back + strict.windows], np.tile(DEPLOYED, (strict.windows, 1)), atol=1e-6)
    short = 4.0 * (DEPLOYED[0] - mixes[:back, 0]) > 0.5
    n_short = back - int(np.flatnonzero(~short)[-1]) - 1
    assert n_short <= strict.windows, "no longer below the promise than the mean has windows"
    assert poisoned.online.progress.standing.n_rollbacks >= 1
    assert poisoned.online.progress.n_learned < len(mixes) - back, "what was learned is forgotten"


def test_it_goes_on_from_its_state_to_the_last_bit(config: ExperimentConfig, parts: Parts) -> None:
    def at(n: int) -> tuple[Windows, Tree]:
        there = windows(config, parts, FAST, lambda share: 4.0 * share)
        there.run(n)
        return there, there.online.get_state()

    whole, _ = at(60)
    cut, state = at(30)
    other = online_of(config, parts, FAST, objective)
    other.set_state(state)
    cut.online = other
    cut.run(30)
    assert np.array_equal(np.concatenate(whole.mixes), np.concatenate(cut.mixes))
    assert other.progress.n_windows == whole.online.progress.n_windows == 59


def test_a_window_that_was_disturbed_is_neither_judged_nor_learned_from(config: ExperimentConfig, parts: Parts) -> None:
    strict = dataclasses.replace(FAST, windows=2, margin=0.0, promise=100.0)
    there = windows(config, parts, strict, lambda share: share)
    for _ in range(10):
        there.run(1)
        there.online.disturbed()
    assert set(there.events) == {""}
    assert there.online.progress.n_learned == 0


def test_in_a_simulation_a_pair_goes_on_learning(config: ExperimentConfig, parts: Parts, policy: PolicyActor) -> None:
    simulation = envs.simulate(dataclasses.replace(config.env, episode_steps=200), 1, 0)
    world = simulation.world
    simulation.reset()
    online = online_of(config, parts, dataclasses.replace(FAST, learning_starts=5), world.objective)
    pair = Pair(world, policy.start(1), online, config.upper.meta_period)
    totals, expected = None, []
    for step in range(120):
        if step % config.upper.meta_period == 0:
            if totals is not None:
                expected.append(float(evaluate(world.objective, simulation.statistics(totals))[0]))
            totals = simulation.totals()
        setting = pair.decide(simulation.measurements)
        if expected and step % config.upper.meta_period == 0:
            assert online.progress.objective == pytest.approx(expected[-1])
        simulation.advance(setting)
    assert online.progress.n_learned == online.progress.n_windows == len(expected) == 120 // config.upper.meta_period - 1


def test_another_pair_or_setting_or_promise_has_another_identity(config: ExperimentConfig, parts: Parts) -> None:
    def changed(agent: SavedAgent) -> SavedAgent:
        return agent._replace(arrays={name: array + 1e-3 for name, array in agent.arrays.items()})

    def of(parts: Parts, online: OnlineConfig = FAST) -> str:
        return identity(config, parts, online, objective)

    others = [
        of(parts._replace(upper=changed(parts.upper))),
        of(parts._replace(lower=changed(parts.lower))),
        of(parts, dataclasses.replace(FAST, trust=0.2)),
        of(parts, dataclasses.replace(FAST, promise=0.1)),
    ]
    assert of(parts) == of(parts, dataclasses.replace(FAST))
    assert of(parts) not in others


def test_the_actor_waits_until_critics_have_learned(config: ExperimentConfig, parts: Parts) -> None:
    still = dataclasses.replace(FAST, noise=0.0)
    mixes = windows(config, parts, still, lambda share: 4.0 * share).run(2 * still.learning_starts + 10)
    away = distance(DEPLOYED, mixes)
    assert away[: 2 * still.learning_starts].max() < 1e-6
    assert away[-1] > 1e-3


def test_after_a_roll_back_it_explores_otherwise(config: ExperimentConfig, parts: Parts) -> None:
    there = windows(config, parts, FAST, lambda share: share)
    n = FAST.learning_starts
    first = there.run(n)
    there.online.roll_back()
    there.run(FAST.windows + 1)
    assert there.events[-1] == "resumed"
    again = np.concatenate([there.mixes[-1], there.run(n - 1)])
    assert distance(first, again).min() > 1e-6


def test_what_can_not_go_on_learning_is_named(config: ExperimentConfig, parts: Parts) -> None:
    episodes = dataclasses.replace(config, upper=dataclasses.replace(config.upper, meta_step="episode"))
    with pytest.raises(SettingError, match=r"upper.meta_step must be window"):
        online_of(episodes, parts, FAST, objective)


def test_an_agent_that_remembers_windows_does_not_go_on_learning(
    config: ExperimentConfig, policy: PolicyActor, parts: Parts
) -> None:
    stacked = dataclasses.replace(config, upper=dataclasses.replace(config.upper, memory=StackedConfig()))
    saved = upper.build(stacked, policy).saved("upper")._replace(name="upper.safetensors")
    saved = saved._replace(description={**saved.description, "spec": parts.upper.description["spec"]})
    said = r"^upper.memory.kind must be none for an agent that goes on learning, got stacked$"
    with pytest.raises(SettingError, match=said):
        online_of(stacked, parts._replace(upper=saved), FAST, objective)


def test_what_is_no_number_is_rolled_back(config: ExperimentConfig, parts: Parts) -> None:
    there = windows(config, parts, FAST, lambda share: share, lambda statistics: objective(statistics) * np.inf)
    mixes = there.run(FAST.learning_starts + 5)
    assert there.online.progress.standing.n_rollbacks == there.events.count("rolled back") == 1
    np.testing.assert_allclose(mixes[-1], DEPLOYED, atol=1e-6)
