"""Every strategy sets a mix per env, from what it may know."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hierarchy.arms.strategies import (
    STRATEGIES,
    Fixed,
    Learned,
    Random,
    RegimeTable,
    Rule,
    Seen,
    Sources,
    chosen_mixes,
    with_mixes,
)
from numpy.testing import assert_allclose, assert_array_equal
from stable_baselines3 import TD3

from envs.core.simplex import to_simplex
from hierarchy.building import upper
from hierarchy.upper.meta_env import UNKNOWN_REGIME

TABLE = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
NOW, BEFORE = np.array([0, 1, 1, 0]), np.array([1, 1, 0, 0])
SUGGESTED = np.eye(3)[[1, 2, 2, 0]]


@pytest.fixture
def seen(upper_agent: TD3) -> Seen:
    rows = np.random.default_rng(0).normal(size=(4, *upper_agent.observation_space.shape)).astype(np.float32)
    return Seen(rows, NOW, BEFORE, SUGGESTED)


@pytest.fixture
def sources(upper_agent: TD3) -> Sources:
    return Sources(
        n_terms=3,
        seed=0,
        fixed_best=np.array([0.1, 0.2, 0.7]),
        table=TABLE,
        agent=upper_agent,
        has_rule=True,
        tuned_static=np.array([0.3, 0.6, 0.1]),
        fixed_custom=np.array([0.5, 0.5, 0.0]),
    )


def test_fixed_is_the_same_mix_always(seen: Seen) -> None:
    mix = np.array([0.2, 0.3, 0.5])
    assert_array_equal(Fixed(mix)(seen), np.tile(mix, (4, 1)))


def test_fixed_may_differ_between_envs(seen: Seen) -> None:
    mixes = np.random.default_rng(0).dirichlet(np.ones(3), 4)
    assert_array_equal(Fixed(mixes)(seen), mixes)


def test_random_is_uniform_over_the_simplex(seen: Seen) -> None:
    strategy = Random(3, 0)
    mixes = np.concatenate([strategy(seen) for _ in range(2000)])
    assert_allclose(mixes.sum(-1), 1.0)
    assert (mixes >= 0).all()
    assert_allclose(mixes.mean(0), 1 / 3, atol=0.01)
    assert_allclose((mixes > 0.5).mean(0), 1 / 4, atol=0.02)


def test_random_is_new_every_window_and_for_every_env(seen: Seen) -> None:
    strategy = Random(3, 0)
    assert len(np.unique(np.concatenate([strategy(seen), strategy(seen)]), axis=0)) == 8


def test_random_is_reproduced_by_its_seed(seen: Seen) -> None:
    assert_array_equal(Random(3, 7)(seen), Random(3, 7)(seen))
    assert not np.array_equal(Random(3, 7)(seen), Random(3, 8)(seen))


def test_an_oracle_is_told_the_regime_now(seen: Seen) -> None:
    assert_array_equal(RegimeTable(TABLE)(seen), TABLE[NOW])


def test_a_delayed_oracle_is_told_the_regime_of_the_last_window(seen: Seen) -> None:
    assert_array_equal(RegimeTable(TABLE, delayed=True)(seen), TABLE[BEFORE])


@pytest.mark.parametrize("delayed", [False, True])
def test_an_oracle_may_have_a_table_per_env(seen: Seen, delayed: bool) -> None:
    tables = np.random.default_rng(0).dirichlet(np.ones(3), (4, 2))
    regime = BEFORE if delayed else NOW
    expected = np.stack([table[index] for table, index in zip(tables, regime, strict=True)])
    assert_array_equal(RegimeTable(tables, delayed)(seen), expected)


def test_a_delayed_oracle_knows_nothing_before_the_first_window(seen: Seen) -> None:
    nothing = seen._replace(regime_of_window=np.full(4, UNKNOWN_REGIME))
    assert_allclose(RegimeTable(np.array([[0.0, 1.0, 0.0]] * 2), delayed=True)(nothing), 1 / 3)


def test_the_rule_plays_what_the_world_suggests(seen: Seen) -> None:
    assert_array_equal(Rule()(seen), SUGGESTED)
    assert_array_equal(Rule()(seen._replace(suggested=SUGGESTED[::-1])), SUGGESTED[::-1])


def test_learned_plays_the_agent_without_noise(seen: Seen, upper_agent: TD3) -> None:
    action, _ = upper_agent.predict(seen.meta_observation, deterministic=True)
    assert_allclose(Learned(upper_agent)(seen), to_simplex(action), atol=1e-6)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_sets_a_mix_on_the_simplex_for_every_env(name: str, sources: Sources, seen: Seen) -> None:
    strategy = STRATEGIES[name](sources)
    assert strategy is not None
    mixes = strategy(seen)
    assert mixes.shape == (4, 3)
    assert (mixes >= 0).all()
    assert_allclose(mixes.sum(-1), 1.0)


def test_there_are_the_arms_that_an_ablation_needs() -> None:
    needed = {"fixed_equal", "fixed_best", "fixed_custom", "random", "learned", "regime_oracle", "delayed_oracle"}
    needed |= {"tuned_static", "rule"}
    assert needed <= set(STRATEGIES)


def test_arms_play_what_was_found_for_them(sources: Sources, seen: Seen, upper_agent: TD3) -> None:
    expected = {
        "fixed_equal": np.full((4, 3), 1 / 3),
        "fixed_best": np.tile(sources.fixed_best, (4, 1)),
        "tuned_static": np.tile([0.3, 0.6, 0.1], (4, 1)),
        "fixed_custom": np.tile([0.5, 0.5, 0.0], (4, 1)),
        "rule": SUGGESTED,
        "learned": upper.contexts(upper_agent, seen.meta_observation),
        "regime_oracle": TABLE[NOW],
        "delayed_oracle": TABLE[BEFORE],
    }
    for name, mixes in expected.items():
        strategy = STRATEGIES[name](sources)
        assert strategy is not None
        assert_allclose(strategy(seen), mixes, err_msg=name)


@pytest.mark.parametrize("name", STRATEGIES)
def test_only_oracles_are_told_regimes(name: str, sources: Sources, seen: Seen) -> None:
    told, other = STRATEGIES[name](sources), STRATEGIES[name](sources)
    assert told is not None
    assert other is not None
    same = np.array_equal(told(seen), other(seen._replace(regime=1 - NOW, regime_of_window=1 - BEFORE)))
    assert same == (not name.endswith("_oracle"))


def test_arms_that_cannot_be_defined_are_none(sources: Sources) -> None:
    bare = dataclasses.replace(sources, table=None, fixed_custom=None, tuned_static=None, has_rule=False)
    missing = {name for name, build in STRATEGIES.items() if build(bare) is None}
    assert missing == {"regime_oracle", "delayed_oracle", "fixed_custom", "tuned_static", "rule"}


@pytest.mark.parametrize("absent", [{}, {"table": None}, {"tuned_static": None}], ids=str)
def test_chosen_mixes_are_plain_values_that_can_be_played_again(
    sources: Sources, seen: Seen, absent: dict[str, None]
) -> None:
    ours = dataclasses.replace(sources, **absent)
    kept = json.loads(json.dumps(chosen_mixes(ours)))
    others = dataclasses.replace(sources, fixed_best=np.ones(3), table=np.ones((2, 3)), tuned_static=np.ones(3))
    again = with_mixes(others, kept)
    for name in ("fixed_best", "tuned_static", "regime_oracle", "delayed_oracle"):
        found, expected = STRATEGIES[name](again), STRATEGIES[name](ours)
        assert (found is None) == (expected is None), name
        assert found is None or np.array_equal(found(seen), expected(seen)), name
