"""What the race for the best fixed mix says of single states: where another mix gains, it is set."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs import ComposedConfig
from envs.core.arrays import FloatArray
from envs.core.spec import WorldSpec
from hierarchy.arms.beginnings import beginnings, examples_of, following, weighted
from hierarchy.arms.fixed import FIXED_BEST, find_best
from hierarchy.arms.jobs import Jobs
from hierarchy.arms.mix_race import RACE, Raced, Windowed, race_mixes
from hierarchy.arms.scores import Scores
from hierarchy.arms.selection import Selection
from hierarchy.arms.start import Agents
from hierarchy.config import ExperimentConfig
from hierarchy.executors.inline import Inline
from hierarchy.lower.acting import PolicyActor

SPEC = dataclasses.replace(envs.describe(envs.LoadBalancingConfig()), observed=("state", "other"))
MIXES = np.array([[0.2, 0.3, 0.5], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
N_WINDOWS, N_SEEDS = 40, 64
N_STATES = 4
"""Of a seed, one after the other."""


def raced(n_seeds: int = N_SEEDS) -> Raced:
    """Four states in a row, for some windows each.

    The second mix is worth 1 more than the first where a feature is 1, and 2 less elsewhere; the third is always worse.
    Luck is the same for all, and much more than that. What is observed under each mix is a little different, and ends with
    the mix in force: equal weights first.
    """
    rng = np.random.default_rng(0)
    state = np.repeat(rng.choice([-1.0, 1.0], size=(N_STATES, n_seeds)), N_WINDOWS // N_STATES, axis=0)
    luck = rng.normal(size=state.shape)
    windows = []
    for mix, worth in zip(MIXES, (0.0, np.where(state > 0, 1.0, -2.0), -0.1), strict=True):
        objective = worth + 10.0 * luck + rng.normal(size=luck.shape)
        in_force = np.tile(mix, (N_WINDOWS, n_seeds, 1))
        in_force[0] = 1 / 3
        seen = np.stack([state + 0.1 * rng.normal(size=luck.shape), rng.normal(size=luck.shape)], axis=-1)
        observations = np.concatenate([seen, in_force], axis=-1).astype(np.float32)
        windows.append(Windowed(objective, observations, np.ones(luck.shape, np.bool_)))
    named = [dict(zip(SPEC.terms, mix, strict=True)) for mix in MIXES.tolist()]
    return Raced(named, [one.objective.mean(0) for one in windows], windows, 0)


def learned(race: Raced, seed: int = 0, places: tuple[int, ...] = (0, 1, 2)) -> tuple[FloatArray, FloatArray]:
    observations, mixes = examples_of(race, list(places), SPEC, 5, seed)
    return observations.astype(np.float64), mixes


def test_a_mix_is_set_in_states_where_it_gains_whatever_the_luck_that_all_share() -> None:
    observations, mixes = learned(raced())
    assert len(observations) == len(mixes) == 3 * N_WINDOWS * N_SEEDS
    assert_allclose(mixes.sum(-1), 1.0)
    gains = observations[:, 0] > 0
    assert mixes[gains, 2].mean() > 0.75, "the weight of the second mix is there"
    assert (mixes[~gains, 2] < 0.5).all(), "it is worth nothing there"


@pytest.mark.parametrize("n_seeds", [N_SEEDS, 3 * N_SEEDS])
def test_what_else_is_observed_hardly_matters_the_mix_in_force_least_of_all(n_seeds: int) -> None:
    """However many first windows there are, under equal weights all of them."""
    observations, mixes = learned(raced(n_seeds))
    for of_state in (observations[:, 0] > 0, observations[:, 0] < 0):
        others = [observations[:, 1] > 0, *((observations[:, 2:] == mix).all(-1) for mix in MIXES.astype(np.float32))]
        for apart in others:
            assert_allclose(mixes[of_state & apart].mean(0), mixes[of_state].mean(0), atol=0.05)


def test_only_mixes_that_are_held_against_each_other_are_set() -> None:
    _, mixes = learned(raced(), places=(0, 1))
    assert_allclose(np.linalg.matrix_rank(mixes - MIXES[0], tol=1e-6), 1)


def test_states_are_those_that_the_best_mix_met() -> None:
    """What was observed under another one says nothing of them: here nothing at all."""
    race = raced()
    race.windows[2].observations[..., :2] = 0.0
    observations, mixes = learned(race)
    under_best = slice(0, N_WINDOWS * N_SEEDS)
    gains = observations[under_best, 0] > 0
    assert mixes[under_best][gains, 2].mean() > 0.75
    assert (mixes[under_best][~gains, 2] < 0.5).all()


def test_the_same_is_learned_from_the_same_race() -> None:
    one, same, other = (learned(raced(), seed)[1] for seed in (0, 0, 1))
    assert_array_equal(one, same)
    assert (one != other).any()


def test_few_windows_say_the_same_of_every_state() -> None:
    observations, mixes = learned(raced(n_seeds=2))
    assert len(observations) == 3 * N_WINDOWS * 2
    assert_allclose(mixes, np.tile(mixes[0], (len(mixes), 1)))


def test_what_comes_after_an_episode_has_ended_is_left_out() -> None:
    """Whatever it seems to be worth."""
    whole, cut = raced(), raced()
    for one in cut.windows:
        one.running[30:, :] = False
        one.objective[30:] = 1000.0 * one.objective[30:]
        one.observations[30:, :, 0] = 7.0
    observations, _ = learned(cut)
    assert len(observations) == 3 * 30 * N_SEEDS
    assert observations[:, 0].max() < 7.0
    assert len(learned(whole)[0]) == 3 * N_WINDOWS * N_SEEDS


def test_what_follows_is_a_mean_over_what_is_left() -> None:
    objective = np.arange(8.0).reshape(4, 2)
    assert_allclose(following(objective, 1), objective)
    assert_allclose(following(objective, 3), [[2.0, 3.0], [4.0, 5.0], [5.0, 6.0], [6.0, 7.0]])


def test_weights_rise_with_gains_in_units_of_their_spread() -> None:
    gains = np.array([[0.0, 2.0, -1.0], [3.0, 0.0, 0.0]])
    mixes = weighted(gains, MIXES)
    assert_allclose(mixes.sum(-1), 1.0)
    assert mixes[0, 2] > 0.9
    assert_allclose(mixes[1], MIXES[0], atol=0.1)
    assert_allclose(weighted(1e-3 * gains, MIXES), mixes, rtol=1e-4)
    assert_allclose(weighted(np.zeros((1, 3)), MIXES), MIXES.mean(0, keepdims=True))
    assert_allclose(weighted(gains + np.array([[0.0], [1e6]]), MIXES), mixes, rtol=1e-6)


def test_the_best_of_a_race_met_as_many_seeds_as_the_best() -> None:
    scores = [Scores.unbounded(np.full(n, value)) for n, value in ((2, 9.0), (4, 1.0), (4, 3.0), (4, 2.0))]
    race = Raced([{}] * 4, scores, [], 0)
    assert race.last(9) == [2, 3, 1]
    assert race.last(2) == [2, 3]


def found_in(config: ExperimentConfig, policy: PolicyActor) -> tuple[WorldSpec, dict[str, Any]]:
    spec = envs.describe(config.env)
    return spec, find_best(Selection(config, spec, Agents(policy), Jobs(Inline())))


@pytest.fixture(scope="module")
def begins(tiny_config: ExperimentConfig) -> ExperimentConfig:
    upper = dataclasses.replace(tiny_config.upper, from_fixed_best=True, ahead_windows=2)
    return dataclasses.replace(tiny_config, upper=upper)


def test_everything_in_a_race_is_kept_seed_by_seed_and_window_by_window(
    begins: ExperimentConfig, policy: PolicyActor
) -> None:
    spec, found = found_in(begins, policy)
    race: Raced = found[RACE.name]
    n_features = len(spec.observed) + spec.n_terms
    assert len(race.windows) == len(race.mixes)
    for scores, mix, (objective, observations, running) in zip(race.scores, race.mixes, race.windows, strict=True):
        assert objective.shape == running.shape == (begins.ablation.select_windows, len(scores))
        assert observations.shape == (*objective.shape, n_features)
        assert_allclose(objective.mean(0), scores.objective, rtol=1e-6)
        assert (observations[0, :, :-3] == 0).all(), "nothing was measured before the first window"
        in_force = observations[1:, :, -3:]
        assert_allclose(in_force, np.broadcast_to([*mix.values()], in_force.shape), rtol=1e-6)
        assert running.all()


def test_an_agent_begins_with_it_only_if_asked(
    begins: ExperimentConfig, tiny_config: ExperimentConfig, policy: PolicyActor
) -> None:
    spec, found = found_in(begins, policy)
    fixed, last = beginnings(begins, spec, found)
    assert_array_equal(fixed.mix, found[FIXED_BEST.name].mix(spec.terms))
    assert_array_equal(fixed.mix, last.mix)
    assert fixed.examples is None
    assert last.examples is not None
    race: Raced = found[RACE.name]
    n_last = sum(len(scores) == max(map(len, race.scores)) for scores in race.scores)
    observations, mixes = last.examples
    assert len(observations) == len(mixes) == n_last * begins.ablation.select_windows * max(map(len, race.scores))
    selection = Selection(begins, spec, Agents(policy), Jobs(Inline()))
    assert race_mixes(selection, {}).windows == [], "arms ask for the best alone"
    plain_spec, plain = found_in(tiny_config, policy)
    assert plain[RACE.name].windows == [], "nobody would learn from them"
    for unobserved, observed in zip(plain[RACE.name].scores, race.scores, strict=True):
        assert_array_equal(unobserved.objective, observed.objective)
    [only] = beginnings(tiny_config, plain_spec, plain)
    assert only.examples is None


def test_a_race_that_is_clear_early_has_no_more_mixes_than_one_that_is_run_to_its_end(
    begins: ExperimentConfig, policy: PolicyActor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hierarchy.arms.mix_race.is_clear", lambda scores: True)
    spec, found = found_in(begins, policy)
    race: Raced = found[RACE.name]
    assert {len(scores) for scores in race.scores} == {len(race.scores[0])}, "all met as many seeds"
    _, last = beginnings(begins, spec, found)
    assert last.examples is not None
    n_of_each = begins.ablation.select_windows * len(race.scores[0])
    assert 2 <= len(last.examples[0]) // n_of_each < len(race.mixes)


def test_a_world_that_ends_of_itself_says_when(tiny_config: ExperimentConfig, policy_for: Any) -> None:
    """Windows of one step: some envs go on when others have ended."""
    env = ComposedConfig(factory="tests.envs.walks:make_ending", episode_steps=20)
    upper = dataclasses.replace(tiny_config.upper, from_fixed_best=True, ahead_windows=2, meta_period=1)
    ablation = dataclasses.replace(tiny_config.ablation, select_windows=20)
    config = dataclasses.replace(tiny_config, env=env, upper=upper, ablation=ablation)
    spec, found = found_in(config, policy_for(config))
    race: Raced = found[RACE.name]
    assert not all(one.running.all() for one in race.windows)
    for one in race.windows:
        assert one.running[0].all()
        assert (np.diff(one.running.astype(int), axis=0) <= 0).all(), "who has ended stays so"
    _, last = beginnings(config, spec, found)
    assert last.examples is not None
    assert np.isfinite(last.examples[1]).all()
