"""An environment composed of parts: who is asked what and when, ends that absorb, masks, variants, and worlds by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import envs
from envs.composed.config import ComposedConfig
from envs.core.batch import BatchEnv
from envs.core.context import ContextSampling
from envs.core.objectives import Satisfaction
from envs.core.simulation import Simulation
from envs.core.statistics import MeanStatistics
from envs.core.terms import reward_term
from envs.core.world import World
from tests.envs.walks import SIZE, Calls, Distance, Place, Walk


def walk(n_envs: int = 3, **parts: Any) -> World:
    return World(Walk(range(n_envs)), Place(), **{"reward_terms": {"distance": Distance()}, **parts})


def test_parts_are_asked_in_the_order_of_ecole() -> None:
    world = walk(information_function=Calls(), statistics=MeanStatistics(3, {}))
    batch = BatchEnv(world, 10)
    calls = world.dynamics.calls  # type: ignore[attr-defined]
    batch.reset()
    n_before = calls.index("reset_dynamics")
    assert sorted(calls[:n_before]) == ["information.before_reset", "observation.before_reset", "term.before_reset"]
    asked = ["information.extract", "observation.extract", "term.extract"]
    assert sorted(calls[n_before + 1 :]) == asked
    calls.clear()
    batch.step([1, 1, 1])
    assert calls[0] == "step_dynamics"
    assert sorted(calls[1:]) == [*asked]
    assert batch.reset_info()["double"].tolist() == [2, 2, 2]


def test_an_end_that_is_no_time_limit_absorbs() -> None:
    batch = BatchEnv(walk(2), 20)
    batch.reset()
    for _ in range(3):
        observation, reward, terminated, truncated, _ = batch.step([2, 1])
    assert terminated.tolist() == [True, False]
    assert reward.tolist() == [0.0, -3.0]
    before = batch.simulation.statistics()["distance"][0]
    for _ in range(30):
        observation, reward, terminated, truncated, info = batch.step([0, 1])
    assert observation[0, 0] == SIZE - 1
    assert (terminated.tolist(), truncated.tolist()) == ([True, False], [False, True])
    assert reward[0] == info["reward_vector"][0, 0] == 0.0
    assert batch.simulation.statistics()["distance"][0] == before
    assert batch.reset(mask=np.array([True, False]))[0, 0] == 1
    assert (batch.simulation.terminated.tolist(), batch.simulation.truncated.tolist()) == ([False, False], [False, True])


def test_the_mask_is_shown_between_the_world_and_the_context() -> None:
    batch = BatchEnv(walk(1), 20)
    assert batch.observation_space.shape == (1 + 3 + 1,)
    assert batch.reset()[0].tolist() == [1.0, 1.0, 1.0, 1.0, 1.0]
    observation, *_, info = batch.step([0])
    assert observation[0].tolist() == [0.0, 0.0, 1.0, 1.0, 1.0]
    assert info["action_set"].tolist() == [[False, True, True]]
    observation, *_, info = batch.step([0])
    assert info["projected"].tolist() == [True]
    assert observation[0, 0] == 0.0


def test_a_variant_is_a_replaced_part() -> None:
    twice = walk().variant(reward_terms={"far": 2.0 * Distance(), "near": -reward_term(lambda d: d.place)})
    batch = BatchEnv(twice, 10)
    batch.reset()
    _, reward, *_, info = batch.step([2, 1, 0])
    assert batch.term_names == ("far", "near")
    assert info["reward_terms"]["far"].tolist() == [4.0, 6.0, 8.0]
    assert info["reward_terms"]["near"].tolist() == [-2.0, -1.0, 0.0]
    assert reward.tolist() == [-1.0, -2.5, -4.0]


def test_a_variant_makes_anew_what_was_not_given() -> None:
    """And keeps what was."""
    own = MeanStatistics(3, {"place": lambda walk: walk.place})
    plain, given = walk(), walk(statistics=own)
    terms = {"far": Distance(), "near": -Distance()}
    assert plain.variant(reward_terms=terms).statistics.metric_names == ("far", "near")
    assert given.variant(reward_terms=terms).statistics is own
    other = plain.variant(dynamics=Walk(range(2)))
    assert other.oracle.regime.shape == other.actuator.setting.shape[:1] == (2,)


def test_a_penalty_comes_off_beside_the_mix_at_the_reset_too() -> None:
    batch = BatchEnv(walk(penalty=0.5 * Distance()), 10)
    batch.reset()
    assert batch.reset_info()["reward"].tolist() == [-4.5, -4.5, -4.5]
    assert batch.step([2, 2, 2])[1].tolist() == [-3.0, -3.0, -3.0]


def test_batches_of_the_same_terms_share_no_memory() -> None:
    total = Distance().cumulative()
    one, other = (BatchEnv(walk(reward_terms={"total": total}), 10) for _ in range(2))
    for batch in (one, other):
        batch.reset()
    for _ in range(3):
        one.step([1, 1, 1])
    assert one.step([1, 1, 1])[1].tolist() == [-15.0] * 3
    assert other.step([1, 1, 1])[1].tolist() == [-6.0] * 3


def test_a_worlds_own_context_holds_and_ends_the_sampling() -> None:
    parts = {"reward_terms": {"a": Distance(), "b": Distance()}, "context": np.array([0.25, 0.75])}
    batch = BatchEnv(walk(2, **parts), 10, ContextSampling(switch_probability=1.0))
    batch.reset()
    assert batch.step([1, 1])[0][:, -2:].tolist() == [[0.25, 0.75]] * 2


def test_draws_of_a_user_world_are_its_envs_own() -> None:
    many, one = Walk(range(4)), Walk([2])
    everyone, alone = np.ones(4, np.bool_), np.ones(1, np.bool_)
    some = np.array([True, False, False, True])
    assert np.array_equal(many.uniform(3, everyone)[2], one.uniform(3, alone)[0])
    assert (many.uniform(3, some)[1:3] == 0).all()
    assert np.array_equal(many.uniform(2, everyone)[2], one.uniform(2, alone)[0])


def test_figures_of_a_user_world_are_means_and_its_objective_one_of_them() -> None:
    means = MeanStatistics(2, {"place": lambda walk: walk.place})
    batch = BatchEnv(walk(2, statistics=means, objective=lambda figures: 3 * figures["place"]), 10)
    batch.reset()
    since = None
    for action in ([2, 1], [1, 0]):
        since = batch.simulation.totals()
        batch.step(action)
    assert batch.simulation.statistics()["place"].tolist() == [2.0, 0.5]
    figures = batch.simulation.statistics(since)
    assert figures["place"].tolist() == [2.0, 0.0]
    assert batch.simulation.objective(figures).tolist() == [6.0, 0.0]


def test_an_objective_needs_statistics_of_its_world() -> None:
    simulation = Simulation(walk(objective=Satisfaction()), 10)
    with pytest.raises(ValueError, match=r"objective must use statistics of this world \(distance\), got 'satisfaction'"):
        simulation.objective({"distance": np.zeros(3)})


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in the current folder, and its name."""
    (tmp_path / "somewhere_here.py").write_text(
        "def make(*args):\n    return 3\ndef alone():\n    return 3\nword = 'no function'\n"
    )
    monkeypatch.chdir(tmp_path)
    return "somewhere_here"


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("nothing", "^factory must be MODULE:FUNCTION, got 'nothing'"),
        (":make", "^factory must be MODULE:FUNCTION, got ':make'"),
        (
            "no_such_module:make",
            "^factory must be MODULE:FUNCTION of a module that can be imported, got no_such_module:make",
        ),
        ("{}:other", "^factory must be a function of module somewhere_here, got other"),
        ("{}:word", "^factory must be a function of module somewhere_here, got word"),
        ("{}:make", "^factory must be a function that makes a World, got somewhere_here:make, which makes int"),
        ("{}:alone", "^factory must be a function of env ids, seed and role, got somewhere_here:alone"),
    ],
)
def test_a_bad_factory_is_refused_in_one_line(module: str, factory: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        envs.make(ComposedConfig(factory=factory.format(module)), 1)
    assert "\n" not in str(refused.value)
