"""An actor that is saturated everywhere is noticed, begun anew, and learns all the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch as th

from hierarchy.sb3.learner import SB3Learner
from hierarchy.upper import ALGORITHMS, saturation
from hierarchy.upper.saturation import N_CHECKS, TOO_LATE, begin_anew
from hierarchy.upper.td3 import TD3Config
from tests.hierarchy.lower.test_figures import Kept
from tests.hierarchy.upper.bits import RIGHT, Bits

N_ENVS = TD3Config().n_envs
OBSERVED = np.array([[-1.0, 1.0], [1.0, 1.0]], np.float32)


def last_layer(agent: Any) -> th.nn.Linear:
    """What goes into tanh."""
    mu = agent.actor.mu
    return mu[-2] if isinstance(mu, th.nn.Sequential) else mu


def saturate(agent: Any, terms: slice = slice(None)) -> None:
    """Huge outputs before tanh, whatever is observed."""
    with th.no_grad():
        last_layer(agent).bias[terms] = 1000.0


def built(config: Any, terms: slice = slice(None), seed: int = 0) -> SB3Learner:
    """An agent whose actor is saturated."""
    learner: SB3Learner = config.build(Bits(), seed)
    saturate(learner.agent, terms)
    return learner


def figures(learner: SB3Learner, n_steps: int) -> dict[str, list[float]]:
    """Figures of training by name, one a meta step of the batch."""
    kept = Kept()
    learner.learn(n_steps, kept)
    return {name: [values[name] for _, values in kept.metrics] for name in kept.metrics[0][1]}


@pytest.fixture(params=ALGORITHMS)
def config(request: pytest.FixtureRequest) -> Any:
    return ALGORITHMS[request.param](learning_starts=4 * N_ENVS, batch_size=16)


def test_a_saturated_actor_is_noticed_and_begun_anew(config: Any) -> None:
    learner = built(config)
    found = figures(learner, 40 * N_ENVS)
    restart = 5 + N_CHECKS - 1  # learning begins after the fifth meta step of the batch
    assert found["upper/saturated_share"][:restart] == [1.0] * restart
    assert found["upper/saturated/second"][:restart] == [1.0] * restart
    assert found["upper/restarts"] == [0] * restart + [1] * (40 - restart)
    assert found["upper/saturated_share"][-1] < 0.5
    assert last_layer(learner.agent).bias.abs().max() < 100.0


def test_one_term_that_is_saturated_is_recorded_and_left_alone(config: Any) -> None:
    found = figures(built(config, slice(0, 1)), 30 * N_ENVS)
    assert found["upper/saturated/first"] == [1.0] * 30
    assert found["upper/saturated/third"] != [1.0] * 30
    assert found["upper/restarts"] == [0] * 30


@pytest.mark.parametrize("share", [1.0, 1 - TOO_LATE])
def test_nothing_is_done_before_learning_or_too_late(config: Any, share: float) -> None:
    """Learning begins after that share of training, and goes on for longer than an actor is judged over."""
    n = 6 * N_CHECKS
    assert TOO_LATE * n > N_CHECKS
    found = figures(built(replace(config, learning_starts=round(share * n) * N_ENVS)), n * N_ENVS)
    assert found["upper/saturated_share"] == [1.0] * n
    assert found["upper/restarts"] == [0] * n


def test_an_actor_that_was_begun_anew_is_judged_as_long_as_the_one_before(
    config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saturation, "begin_anew", saturate)
    found = figures(built(config), 50 * N_ENVS)
    assert found["upper/saturated_share"] == [1.0] * 50
    assert np.flatnonzero(np.diff(found["upper/restarts"])).tolist() == [4 + N_CHECKS - 1 + n for n in (0, 10, 20)]


def test_beginning_anew_keeps_what_the_critics_learned(config: Any) -> None:
    learner = built(config)
    agent: Any = learner.agent
    agent.learn(8 * N_ENVS)
    before = {name: value.clone() for name, value in agent.policy.state_dict().items()}
    size = agent.replay_buffer.pos
    assert agent.actor.optimizer.state
    actor = agent.actor
    begin_anew(agent)
    after = agent.policy.state_dict()
    assert agent.actor is actor, "what acts goes on with it"
    assert not agent.actor.optimizer.state
    assert agent.replay_buffer.pos == size
    for name, value in after.items():
        assert th.equal(value, before[name]) == (not name.startswith("actor")), name
        if name.startswith("actor_target."):
            assert th.equal(value, after[name.replace("actor_target.", "actor.")]), name
    assert agent.critic.optimizer.state


def test_a_seed_begins_anew_in_the_same_way(config: Any) -> None:
    def acted() -> np.ndarray:
        learner = built(config)
        learner.learn(30 * N_ENVS)
        return learner.actor.start(2).act(OBSERVED)

    np.testing.assert_array_equal(acted(), acted())


def value_of(learner: SB3Learner) -> float:
    """What its contexts are worth, over both bits."""
    return float(learner.actor.start(2).act(OBSERVED)[[0, 1], RIGHT].mean())


def test_the_default_agent_learns_from_a_dead_actor_on(monkeypatch: pytest.MonkeyPatch) -> None:
    config = TD3Config(learning_starts=320)
    alive, dead = built(config), built(config)
    alive.learn(1280)
    assert value_of(alive) > 0.9
    monkeypatch.setattr(saturation, "NEARLY_ALL", 1.1)
    dead.learn(1280)
    assert value_of(dead) <= 0.5, "without being begun anew it sets one context for good"
