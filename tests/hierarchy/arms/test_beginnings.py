"""What the race for the best fixed mix says of single states: where another mix gains, it is set."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import envs
from hierarchy.arms import beginnings
from hierarchy.arms.beginnings import examples_of, following, weighted
from hierarchy.arms.fixed import FIXED_BEST, RACE, Raced, find_best
from hierarchy.arms.jobs import Jobs
from hierarchy.arms.selection import Selection
from hierarchy.arms.start import Agents
from hierarchy.config import ExperimentConfig
from hierarchy.executors.inline import Inline
from hierarchy.lower.acting import PolicyActor

TERMS = ("fairness", "latency", "cost")
MIXES = np.array([[0.2, 0.3, 0.5], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
N_WINDOWS, N_SEEDS = 40, 64
N_STATES = 4
"""Of a seed, one after the other."""


def raced(noise: float = 1.0, n_mixes: int = 4, n_seeds: int = N_SEEDS) -> Raced:
    """Four states in a row, for some windows each.

    The second mix is worth 1 more than the first where a feature is 1, and 2 less elsewhere; the third is always a bit
    worse; the last did not get to the end.
    """
    rng = np.random.default_rng(0)
    state = np.repeat(rng.choice([-1.0, 1.0], size=(N_STATES, n_seeds)), N_WINDOWS // N_STATES, axis=0)
    luck = rng.normal(size=(N_WINDOWS, n_seeds))
    worth = [0.0, np.where(state > 0, 1.0, -2.0), -0.1, 0.0][:n_mixes]
    objectives = [one + 10.0 * luck + noise * rng.normal(size=luck.shape) for one in worth]
    observations = np.stack([state, rng.normal(size=luck.shape)], axis=-1).astype(np.float32)
    windows = [(objective, observations) for objective in objectives]
    scores = [objective.mean(0) for objective in objectives]
    if n_mixes == 4:
        scores[3], windows[3] = scores[3][:8], (windows[3][0][:, :8], windows[3][1][:, :8])
    named = [dict(zip(TERMS, mix, strict=True)) for mix in MIXES[:n_mixes].tolist()]
    return Raced(named, scores, windows, 0)


def test_a_mix_is_set_in_states_where_it_gains_whatever_the_luck_that_all_share() -> None:
    examples = examples_of(raced(), TERMS, 5, 0)
    assert examples is not None
    observations, mixes = examples
    assert len(observations) == len(mixes) == 3 * N_WINDOWS * N_SEEDS
    assert_allclose(mixes.sum(-1), 1.0)
    gains = observations[:, 0] > 0
    assert np.abs(mixes[gains] - MIXES[1]).mean() < 0.12
    assert (mixes[~gains, 2] < 0.5).all(), "the cheapest mix is worth nothing there"
    assert (mixes[:, 0] <= 0.2 + 1e-9).all(), "the last mix did not get to the end, whatever it was worth until then"


def test_other_features_of_a_state_hardly_matter() -> None:
    examples = examples_of(raced(), TERMS, 5, 0)
    assert examples is not None
    observations, mixes = examples
    for of_state in (observations[:, 0] > 0, observations[:, 0] < 0):
        above = of_state & (observations[:, 1] > 0)
        assert_allclose(mixes[above].mean(0), mixes[of_state & ~above].mean(0), atol=0.05)


def test_the_same_is_learned_from_the_same_race() -> None:
    one, same, other = (examples_of(raced(), TERMS, 5, seed) for seed in (0, 0, 1))
    assert one is not None
    assert same is not None
    assert other is not None
    assert_array_equal(one[1], same[1])
    assert (one[1] != other[1]).any()


@pytest.mark.parametrize(("n_mixes", "n_seeds"), [(1, N_SEEDS), (3, 2)])
def test_one_mix_or_few_windows_say_nothing(n_mixes: int, n_seeds: int) -> None:
    assert examples_of(raced(n_mixes=n_mixes, n_seeds=n_seeds), TERMS, 5, 0) is None


def test_what_follows_is_a_mean_over_what_is_left() -> None:
    objective = np.arange(8.0).reshape(4, 2)
    assert_allclose(following(objective, 1), objective)
    assert_allclose(following(objective, 3), [[2.0, 3.0], [4.0, 5.0], [5.0, 6.0], [6.0, 7.0]])


def test_weights_rise_with_gains_in_units_of_their_spread() -> None:
    gains = np.array([[0.0, 1.0, 2.0, -1.0], [3.0, 0.0, 0.0, 0.0]])
    mixes = weighted(gains, MIXES)
    assert_allclose(mixes.sum(-1), 1.0)
    assert_array_equal(mixes.argmax(-1), [1, 2])
    assert_allclose(weighted(1e-3 * gains, MIXES), mixes, rtol=1e-4)
    assert_allclose(weighted(np.zeros((1, 4)), MIXES), MIXES.mean(0, keepdims=True))


def test_an_agent_begins_with_it_only_if_asked(tiny_config: ExperimentConfig, policy: PolicyActor) -> None:
    """Everything in a race is kept for it, seed by seed and window by window, as far as a mix got."""
    spec = envs.describe(tiny_config.env)
    found = find_best(Selection(tiny_config, spec, Agents(policy), Jobs(Inline())))
    race = found[RACE.name]
    n_features = len(spec.observed) + spec.n_terms
    for scores, (objective, observations) in zip(race.scores, race.windows, strict=True):
        assert objective.shape == (tiny_config.ablation.select_windows, len(scores))
        assert observations.shape == (*objective.shape, n_features)
        assert_allclose(objective.mean(0), scores, rtol=1e-6)
        assert (observations[0, :, :-3] == 0).all(), "nothing was measured before the first window"
    [only] = beginnings.beginnings(tiny_config, spec.terms, found)
    assert_array_equal(only.mix, found[FIXED_BEST.name].mix(spec.terms))
    upper = dataclasses.replace(tiny_config.upper, from_fixed_best=True, ahead_windows=2)
    fixed, last = beginnings.beginnings(dataclasses.replace(tiny_config, upper=upper), spec.terms, found)
    assert_array_equal(fixed.mix, last.mix)
    assert fixed.examples is None
