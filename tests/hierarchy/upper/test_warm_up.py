"""Before an agent learns, contexts come from all over the simplex, as the settings say, and are stored as they were set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from envs.core.context import ContextDistribution
from envs.core.simplex import to_simplex
from hierarchy.sb3.watching import ObserverCallback
from hierarchy.upper import ALGORITHMS
from tests.hierarchy.upper.bits import Bits

N_STEPS = 3200


class Contexts(ObserverCallback):
    """Keeps the contexts that were set, and the objectives."""

    def __init__(self, observers: Sequence[Any] = ()) -> None:
        super().__init__(observers)
        self.contexts: list[np.ndarray] = []

    def _observe(self) -> None:
        self.contexts.append(self.training_env.context.copy())


@pytest.fixture(params=ALGORITHMS)
def config(request: pytest.FixtureRequest) -> Any:
    return ALGORITHMS[request.param](meta_steps=N_STEPS, learning_starts=N_STEPS)


def warmed_up(config: Any, seed: int = 0, n_steps: int = N_STEPS) -> tuple[Any, np.ndarray]:
    """An agent after its warm-up, and the contexts ``(n, 3)`` that it set."""
    agent = config.build(Bits(config.n_envs), seed).agent
    callback = Contexts()
    agent.learn(n_steps, callback=callback)
    return agent, np.concatenate(callback.contexts)


def test_corners_and_edges_are_met_as_often_as_the_settings_say(config: Any) -> None:
    n_terms = (warmed_up(config)[1] > 0).sum(-1)
    assert [(n_terms == n).mean() for n in (1, 2, 3)] == pytest.approx([0.2, 0.2, 0.6], abs=0.03)
    inside = (warmed_up(replace(config, context=ContextDistribution(corner_share=0.0)))[1] > 0).sum(-1)
    assert (inside == 3).all()


def test_all_of_the_simplex_is_met(config: Any) -> None:
    """Uniformly, unless the settings say otherwise: a weight is above 0.8 in 0.2^2 of a triangle."""
    _, contexts = warmed_up(replace(config, context=ContextDistribution(corner_share=0.0)))
    assert_allclose(contexts.mean(0), 1 / 3, atol=0.02)
    for term in range(3):
        assert (contexts[:, term] > 0.8).mean() == pytest.approx(0.04, abs=0.015)
    _, contexts = warmed_up(replace(config, context=ContextDistribution(corner_share=0.0, alpha=50.0)))
    assert contexts.max() < 0.7


def test_the_buffer_holds_what_was_set(config: Any) -> None:
    agent, contexts = warmed_up(config)
    stored = agent.replay_buffer.actions[: agent.replay_buffer.pos].reshape(-1, 3)
    assert_array_equal(to_simplex(stored), contexts)


def test_a_seed_draws_its_own_contexts(config: Any) -> None:
    (_, one), (_, again), (_, other) = (warmed_up(config, seed, 320) for seed in (3, 3, 4))
    assert_array_equal(one, again)
    both = np.concatenate([one, other])
    inside = both[(both > 0).all(-1)]
    assert len(np.unique(inside, axis=0)) == len(inside), "no context is drawn twice, by one seed or another"


def test_the_warm_up_ends_where_learning_starts(config: Any) -> None:
    usual = replace(config, learning_starts=160, context=ContextDistribution(corner_share=1.0))
    _, contexts = warmed_up(usual, n_steps=320)
    inside = (contexts > 0).all(-1)
    assert not inside[:160].any()
    assert inside[160:].any(), "an agent that has hardly learned explores the middle"
