"""A pair that goes on learning before a real HAProxy: poisoned, it is rolled back; killed, it goes on where it was."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import envs
from envs.core.arrays import FloatArray, FloatArray32
from envs.core.objectives import evaluate
from envs.core.validation import SettingError
from envs.haproxy.balancer import Balancer
from hierarchy.building import upper
from hierarchy.config import ExperimentConfig
from hierarchy.live.controller import Controller, Decision
from hierarchy.live.learning import Learning
from hierarchy.live.reports import Reporter
from hierarchy.live.running import LiveConfig, Running
from hierarchy.live.safety import Safety
from hierarchy.lower.acting import PolicyActor
from hierarchy.online.building import online_of
from hierarchy.online.config import OnlineConfig
from hierarchy.online.learner import OnlineLearner
from hierarchy.online.setter import Online
from hierarchy.pair import Pair
from hierarchy.storage import agents
from hierarchy.storage.bundle import Parts
from hierarchy.storage.folder import OutputFolder
from runs.testbed.bed import TestBed
from tests.envs.haproxy.processes import installed_haproxy
from tests.hierarchy.live.steering import CONFIG, settings_of
from tests.runs.testbed.beds import evenly

pytestmark = pytest.mark.slow
ONE = np.ones(1, np.bool_)
SPEC = envs.describe(CONFIG)
N_FEATURES = len(SPEC.observed) + SPEC.n_terms
PERIOD, MOST_WINDOWS = 4, 200
WATCHED = OnlineConfig(
    trust=0.5, noise=0.15, windows=10, learning_starts=20, updates=8, learning_rate=1e-2, promise=-5.0, margin=0.7
)


class Obedient:
    """A lower agent that does what its context says: where the first term has much weight, one server must do."""

    def act(self, observation: FloatArray32) -> np.ndarray:
        second = 0 if observation[0, -3] > 0.4 else 4
        return np.array([[4, 4, second, second]])

    def reset(self, mask: Any = None) -> None: ...

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, state: dict[str, Any]) -> None: ...


@pytest.fixture
def config(untracked_config: ExperimentConfig) -> ExperimentConfig:
    shape = dataclasses.replace(untracked_config.upper, batch_size=32, gamma=0.0)
    return dataclasses.replace(untracked_config, env=CONFIG, upper=shape)


@pytest.fixture
def parts(config: ExperimentConfig, policy_for: Any, tmp_path: Path) -> Parts:
    """The agent that is deployed has both servers on, whatever it sees."""
    policy: PolicyActor = policy_for(config)
    learner, folder = upper.build(config, policy), OutputFolder(tmp_path)
    learner.begin_at(np.array([0.3, 0.4, 0.3]))
    agents.save(learner, folder.agent("upper"), config)
    saved = agents.read_agent(folder, "upper")
    return Parts(saved, saved, {}, tmp_path)


def value(statistics: Any) -> FloatArray:
    """The opposite of how long requests take: half of the servers can't serve them all."""
    return -np.log(np.maximum(statistics["waiting_mean_ms"], 1.0))


class EnoughError(Exception):
    """The test has seen what it waited for, or waited long enough."""


def test_a_poisoned_objective_is_rolled_back_on_a_real_balancer(config: ExperimentConfig, parts: Parts) -> None:
    """It learns that waiting is good; once requests wait, both servers are back within the stated windows."""
    installed_haproxy()
    objectives: list[float] = []
    with TestBed(CONFIG) as bed, Balancer(CONFIG, settings_of(bed)) as balancer:
        balancer.look()
        online = online_of(config, parts, WATCHED, value, lambda statistics: -evaluate(value, statistics))
        pair = Pair(balancer.world, Obedient(), online, PERIOD)
        pair.reset()
        controller = Controller(balancer, Reporter(balancer, pair, PERIOD), Safety(largest_change=256), applies=True)
        is_over = threading.Event()

        def load() -> None:
            while not is_over.is_set():
                bed.run(evenly(150, 5.0, 0.1))  # enough for three of four cores

        def tell(_: Decision) -> None:
            online.update()
            if online.progress.n_windows > len(objectives):
                objectives.append(online.progress.objective)
            if online.progress.event or len(objectives) > MOST_WINDOWS:
                raise EnoughError

        sending = threading.Thread(target=load)
        sending.start()
        try:
            balancer.begin()
            with pytest.raises(EnoughError):
                Running(controller, balancer, LiveConfig(ttl_s=60.0), True, tell).run()
        finally:
            is_over.set()
            sending.join()
    assert online.progress.event == "rolled back"
    assert len(objectives) > WATCHED.windows, "nothing was wrong before it had learned"
    means = np.convolve(objectives, np.ones(WATCHED.windows) / WATCHED.windows, "valid")
    assert (means[:-1] >= WATCHED.promise - WATCHED.margin).all()
    assert means[-1] < WATCHED.promise - WATCHED.margin


def told(online: Online, folder: Path, identity: str = "this pair") -> Learning:
    return Learning(online, folder, identity)


def decision(held_because: str = "") -> Decision:
    return Decision(1, 0.0, None, None, held_because=held_because)


def one(config: ExperimentConfig, parts: Parts) -> Online:
    return online_of(config, parts, dataclasses.replace(WATCHED, learning_starts=2, updates=1), value)


def windows(online: Online, learning: Learning, n: int) -> FloatArray:
    """Mixes of windows that are told of one after the other ``(n, k)``; what is observed depends on their number."""
    mixes = []
    for _ in range(n):
        number = online.progress.n_windows
        observed = np.random.default_rng(number).normal(size=(1, N_FEATURES)).astype(np.float32)
        window: Any = SimpleNamespace(observation=observed, statistics={"waiting_mean_ms": np.array([10.0 + number])})
        mixes.append(online.contexts(window))
        learning.observe(decision())
    return np.concatenate(mixes)


def test_what_was_learned_is_gone_on_with_after_a_restart(config: ExperimentConfig, parts: Parts, tmp_path: Path) -> None:
    """But for the window that was under way, which nobody knows the end of."""
    whole = one(config, parts)
    expected = windows(whole, told(whole, tmp_path / "whole"), 6)
    whole.reset(ONE)
    expected = np.concatenate([expected, windows(whole, told(whole, tmp_path / "other"), 6)])
    first = one(config, parts)
    found = windows(first, told(first, tmp_path / "kept"), 6)
    second = one(config, parts)
    learning = told(second, tmp_path / "kept")
    found = np.concatenate([found, windows(second, learning, 6)])
    assert np.array_equal(found, expected)
    assert second.progress.n_learned == whole.progress.n_learned > 8


def test_what_another_pair_has_learned_is_refused(config: ExperimentConfig, parts: Parts, tmp_path: Path) -> None:
    first = one(config, parts)
    windows(first, told(first, tmp_path / "kept"), 2)
    with pytest.raises(SettingError, match=r"learn must be a new folder, or one of what this pair has learned"):
        told(one(config, parts), tmp_path / "kept", "another pair")


def test_steps_that_were_held_are_not_learned_from(config: ExperimentConfig, parts: Parts, tmp_path: Path) -> None:
    online = one(config, parts)
    learning = told(online, tmp_path / "kept")
    for _ in range(5):
        windows(online, learning, 1)
        learning.observe(decision("no answer"))
    assert online.progress.n_learned == 0


def test_a_disk_that_is_full_stops_nothing_and_is_tried_again(
    config: ExperimentConfig, parts: Parts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept"
    kept.write_text("no folder")
    online = one(config, parts)
    learning = told(online, kept)
    windows(online, learning, 6)
    assert online.progress.n_learned == 5
    said = capsys.readouterr().err
    assert said.count("what is learned can't be kept now") == said.count("\n") == 1
    kept.unlink()
    windows(online, learning, 2)
    assert capsys.readouterr().err == "metabalance: what is learned is kept again\n"
    assert told(one(config, parts), kept).online.progress.n_windows == online.progress.n_windows


def test_what_an_algorithm_raises_costs_what_was_learned_and_nothing_else(
    config: ExperimentConfig,
    parts: Parts,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: OnlineLearner) -> None:
        raise ValueError("no gradient")

    online = one(config, parts)
    learning = told(online, tmp_path / "kept")
    monkeypatch.setattr(OnlineLearner, "update", fail)
    windows(online, learning, 2)
    assert capsys.readouterr().err.startswith("metabalance: what was learned is forgotten, since it can't be learned from")
    assert online.progress.standing.n_rollbacks == 0, "as of the window in which it was told"
    windows(online, learning, 1)
    assert (online.progress.event, online.progress.standing.n_rollbacks) == ("rolled back", 1)
