"""In a process whose values are known all estimators have them, and each keeps the laws that it must keep in any record."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from envs.core.arrays import FloatArray
from hierarchy.off_policy.basis import Basis
from hierarchy.off_policy.case import Case
from hierarchy.off_policy.doubly_robust import corrected, cross_fitted
from hierarchy.off_policy.estimators import ESTIMATORS, Estimates, Estimating
from hierarchy.off_policy.fitted import Fitted, expected_features, fitted_q
from hierarchy.off_policy.importance import behaviour, weighted_importance
from hierarchy.off_policy.record import Record, record_of
from hierarchy.off_policy.resampling import counts_of, interval
from tests.hierarchy.off_policy import tabular
from tests.hierarchy.off_policy.tabular import BEHAVIOUR, DISCOUNT, HORIZON, N_ACTIONS, N_STATES, OTHER

every_estimator = pytest.mark.parametrize("name", ESTIMATORS)


def case_of(record: Record, policy: FloatArray, ridge: float = 1.0) -> Case:
    basis = Basis(record, N_ACTIONS, ridge)
    return Case(record, tabular.target(policy, record), DISCOUNT, counts_of(record.n_episodes), basis)


def told(record: Record, policy: FloatArray) -> Estimates:
    return Estimating(record, N_ACTIONS, DISCOUNT).of(tabular.target(policy, record))


@pytest.fixture(scope="module")
def large() -> Record:
    return tabular.record(BEHAVIOUR, 4000, seed=1)


@pytest.fixture(scope="module")
def told_of(large: Record) -> dict[str, Estimates]:
    """What is told of two policies whose values are known."""
    return {"behaviour": told(large, BEHAVIOUR), "other": told(large, OTHER)}


@pytest.fixture(scope="module")
def small() -> Record:
    return tabular.record(BEHAVIOUR, 60, seed=2)


@every_estimator
@pytest.mark.parametrize(("policy", "value"), [("behaviour", tabular.value(BEHAVIOUR)), ("other", tabular.value(OTHER))])
def test_a_known_value_is_found(told_of: dict[str, Estimates], name: str, policy: str, value: float) -> None:
    one = told_of[policy]["estimators"][name]
    assert one["mean"] == pytest.approx(value, abs=0.06)
    assert one["ci95"] is not None
    assert one["ci95"][0] <= value <= one["ci95"][1]
    assert one["ci95"][1] - one["ci95"][0] < 0.2
    assert abs(value - tabular.value(np.roll(OTHER, 1, axis=1))) > 0.2, "values must differ for this to be a test"


@pytest.mark.slow
def test_intervals_cover_a_known_value() -> None:
    """Nearly as often as they promise, in records of few episodes."""
    covered = dict.fromkeys(ESTIMATORS, 0)
    for seed in range(60):
        for name, one in told(tabular.record(BEHAVIOUR, 300, seed=100 + seed), OTHER)["estimators"].items():
            assert one["ci95"] is not None
            covered[name] += one["ci95"][0] <= tabular.value(OTHER) <= one["ci95"][1]
    assert all(n >= 52 for n in covered.values()), covered


def test_the_behaviour_itself_has_ratios_of_one(small: Record) -> None:
    """So the weighted mean is the plain one, in every resample."""
    case = case_of(small, BEHAVIOUR)
    assert_allclose(case.ratios, 1.0)
    ours, own = weighted_importance(case), behaviour(case)
    assert ours.mean == pytest.approx(own.mean)
    assert_allclose(ours.draws, own.draws)
    discounted = small.in_pieces(small.reward) @ DISCOUNT ** np.arange(HORIZON)
    assert own.mean == pytest.approx(discounted.mean())


def test_values_without_an_error_leave_no_variance_to_rewards(small: Record) -> None:
    """Where a value is the reward and the next value, weights cancel: what is left is where pieces begin."""
    rng, case = np.random.default_rng(0), case_of(small, OTHER)
    states = rng.normal(size=small.piece.shape)
    following = np.concatenate([states[:, 1:], np.zeros((len(states), 1))], axis=1)
    perfect = small.in_pieces(small.reward) + DISCOUNT * following
    found = corrected(case, states, perfect)
    assert found.mean == pytest.approx(states[:, 0].mean())
    sums = case.counts @ small.by_episode(states[:, 0]) / small.n_episodes
    assert_allclose(found.draws, sums)
    assert np.std(weighted_importance(case).draws) > 0.0


def test_values_of_nothing_leave_the_weighted_mean(small: Record) -> None:
    case, nothing = case_of(small, OTHER), np.zeros(small.piece.shape)
    assert corrected(case, nothing, nothing).mean == pytest.approx(weighted_importance(case).mean)


def test_fitted_values_are_those_of_the_process_on_record(small: Record) -> None:
    """Counted by hand: with a feature for each state and action, regression is the mean over what came."""
    states = tabular.states_of(small)
    at, did, came = states[small.row], small.action, states[small.row + 1]
    n = np.zeros((N_STATES, N_ACTIONS, N_STATES))
    sums = np.zeros((N_STATES, N_ACTIONS))
    np.add.at(n, (at, did, came), 1.0)
    np.add.at(sums, (at, did), small.reward)
    assert (n.sum(-1) > 0).all()
    of_states = np.zeros(N_STATES)
    for _ in range(HORIZON):
        of_actions = sums / n.sum(-1) + DISCOUNT * (n / n.sum(-1, keepdims=True)) @ of_states
        of_states = (OTHER * of_actions).sum(-1)
    case = case_of(small, OTHER, ridge=1e-9)
    fitted = Fitted(case, expected_features(case), np.ones((1, small.n_episodes)))
    assert_allclose(fitted.starts()[:, 0], of_states[at[small.piece[:, 0]]], rtol=1e-5)
    assert_allclose(fitted.actions(0)[:, 0], of_actions[at, did][small.piece[:, 0]], rtol=1e-5)
    assert_allclose(fitted.states(0)[:, 0], fitted.starts()[:, 0])


def test_what_is_left_of_a_piece_is_worth_its_own_number_of_actions(large: Record) -> None:
    case = case_of(large, OTHER)
    states, actions = cross_fitted(case)
    known, of_actions = tabular.values(OTHER)
    at = tabular.states_of(large)[large.row]
    for step in range(HORIZON):
        numbers = large.piece[:, step]
        assert_allclose(states[:, step], known[HORIZON - 1 - step][at[numbers]], atol=0.25)
        assert np.abs(actions[:, step] - of_actions[HORIZON - 1 - step][at[numbers], large.action[numbers]]).mean() < 0.1


def test_a_part_is_valued_by_what_was_fitted_to_the_others(small: Record) -> None:
    """Rewards of an episode do not move its own values."""
    own = small.episode == 0
    changed = small._replace(reward=small.reward + np.where(own, 0.5, 0.0))
    before, after = (cross_fitted(case_of(one, OTHER))[0] for one in (small, changed))
    assert_allclose(before[small.of_piece == 0], after[small.of_piece == 0])
    assert (before[small.of_piece == 1] != after[small.of_piece == 1]).any()


@every_estimator
def test_values_are_in_the_unit_of_rewards(small: Record, name: str) -> None:
    """Three times the rewards and one more: three times the value, and what one more is worth."""
    value = ESTIMATORS[name].value
    before = value(case_of(small, OTHER, 1e-6)).mean
    after = value(case_of(small._replace(reward=3.0 * small.reward + 1.0), OTHER, 1e-6)).mean
    assert after == pytest.approx(3.0 * before + (DISCOUNT ** np.arange(HORIZON)).sum(), rel=1e-3)


@every_estimator
def test_names_of_actions_mean_nothing(small: Record, name: str) -> None:
    renamed = np.array([2, 0, 1])
    ours = case_of(small, OTHER)
    theirs = case_of(small._replace(action=renamed[small.action]), OTHER[:, np.argsort(renamed)])
    assert ESTIMATORS[name].value(ours).mean == pytest.approx(ESTIMATORS[name].value(theirs).mean)


@every_estimator
def test_after_the_end_comes_nothing(name: str) -> None:
    """The second action ends the episode with a reward of 2, the first goes on with 1; one of three actions is not there."""
    go_on, rng, found = 0.5, np.random.default_rng(0), []
    for _ in range(5000):
        did = []
        while len(did) < HORIZON and (not did or did[-1] == 0):
            did.append(int(rng.random() >= go_on))
        actions = np.array(did)
        ends = bool(actions[-1] == 1)
        found.append(tabular.episode(np.zeros(len(did) + 1, int), actions, 1.0 + actions, np.full(len(did), 0.5), ends))
    record = record_of(found, tabular.CHOICES, 1, HORIZON)
    policy, value = np.tile([0.7, 0.3, 0.0], (N_STATES, 1)), 0.0
    for _ in range(HORIZON):
        value = 0.7 * (1.0 + DISCOUNT * value) + 0.3 * 2.0
    assert ESTIMATORS[name].value(case_of(record, policy)).mean == pytest.approx(value, abs=0.05)


def test_the_gain_is_told_more_closely_than_the_value(small: Record) -> None:
    """What resamples share cancels."""
    near = 0.95 * BEHAVIOUR + 0.05 * OTHER
    one = told(small, near)["estimators"]["wis"]
    assert one["gain_ci95"] is not None
    assert one["ci95"] is not None
    assert one["gain_ci95"][1] - one["gain_ci95"][0] < 0.2 * (one["ci95"][1] - one["ci95"][0])


def test_an_interval_is_that_of_students_t_for_a_mean() -> None:
    values = np.random.default_rng(1).normal(size=40)
    draws = counts_of(40, 20_000) @ values / 40
    half = 2.0227 * values.std(ddof=1) / np.sqrt(40)
    assert_allclose(interval(0.0, draws, 40, 1e9), [-half, half], rtol=0.02)
    assert interval(0.0, draws, 40, 5.0)[1] > 1.3 * half, "few that weigh anything are few"


def test_the_same_record_tells_the_same(small: Record) -> None:
    assert told(small, OTHER) == told(small, OTHER)


def test_what_is_no_probability_is_refused(small: Record) -> None:
    for wrong in (OTHER * 2.0, OTHER - 0.5, np.full_like(OTHER, np.nan)):
        with pytest.raises(ValueError, match=r"^target must be probabilities"):
            told(small, wrong)


def test_refits_are_those_of_resamples(small: Record) -> None:
    """Fitted to a resample alone, values are those that the estimator has of it."""
    case = case_of(small, OTHER)
    counts = case.counts[3]
    fitted = Fitted(case, expected_features(case), counts[None]).starts()[:, 0]
    assert fitted_q(case).draws[3] == pytest.approx(np.average(fitted, weights=counts[small.of_piece]))
