"""How much of a policy is on record is measured right, and where it is too little there is no number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from envs.core.arrays import FloatArray
from hierarchy.off_policy import overlap
from hierarchy.off_policy.basis import Basis
from hierarchy.off_policy.case import Case
from hierarchy.off_policy.estimators import Estimates, Estimating
from hierarchy.off_policy.importance import effective_size
from hierarchy.off_policy.overlap import overlap_of
from hierarchy.off_policy.record import Record
from hierarchy.off_policy.resampling import counts_of
from tests.hierarchy.off_policy import tabular
from tests.hierarchy.off_policy.tabular import BEHAVIOUR, DISCOUNT, N_ACTIONS, N_STATES, OTHER

WITHOUT_LAST = np.tile([0.6, 0.4, 0.0], (N_STATES, 1))
"""A behaviour that never takes one of the actions."""


def measured(record: Record, policy: FloatArray) -> overlap.Overlap:
    basis = Basis(record, N_ACTIONS)
    return overlap_of(Case(record, tabular.target(policy, record), DISCOUNT, counts_of(record.n_episodes), basis))


def told(record: Record, policy: FloatArray) -> Estimates:
    return Estimating(record, N_ACTIONS, DISCOUNT).of(tabular.target(policy, record))


def refusals(record: Record, policy: FloatArray) -> dict[str, str | None]:
    return {name: one["refused"] for name, one in told(record, policy)["estimators"].items()}


def mixed(share: float) -> FloatArray:
    """So much on the action that is never taken."""
    return (1.0 - share) * WITHOUT_LAST + share * np.eye(N_ACTIONS)[[-1] * N_STATES]


@given(arrays(np.float64, 12, elements=st.just(0.0) | st.floats(1e-100, 1e6)), st.floats(1e-3, 1e3))
def test_effective_sizes_are_between_one_and_all_in_any_unit(weights: FloatArray, unit: float) -> None:
    size = effective_size(weights)
    assert size == 0.0 if weights.max() == 0.0 else 1.0 - 1e-9 <= size <= 12.0 + 1e-9
    assert effective_size(unit * weights) == pytest.approx(size, rel=1e-6)


def test_equal_weights_count_as_many_as_they_are() -> None:
    assert effective_size(np.full(7, 0.3)) == pytest.approx(7.0)
    assert effective_size(np.repeat([1.0, 0.0], [5, 20])) == pytest.approx(5.0)
    assert effective_size(np.array([3.0, 1.0])) == pytest.approx(16.0 / 10.0)
    assert effective_size(np.zeros(3)) == 0.0


def test_the_behaviour_has_all_of_itself() -> None:
    record = tabular.record(BEHAVIOUR, 50, length=12)
    found = measured(record, BEHAVIOUR)
    assert (found.episodes, found.pieces, found.actions, found.stretches) == (50, 100, 600, 500)
    assert found.effective_pieces == pytest.approx(100)
    assert found.effective_stretches == pytest.approx(500)
    assert found.unsupported == pytest.approx(0.0)


def test_effective_pieces_are_those_of_the_action_where_they_are_fewest() -> None:
    """Half of the actions agree with a policy that is sure of one: of pieces of two, a quarter."""
    fair = np.tile([0.5, 0.5, 0.0], (N_STATES, 1))
    found = measured(tabular.record(fair, 2000), np.eye(N_ACTIONS)[[0] * N_STATES])
    assert found.effective_pieces == pytest.approx(2000 / 2**tabular.HORIZON, rel=0.25)
    assert found.effective_stretches == pytest.approx(6000 / 2**overlap.REACH, rel=0.1)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_what_is_never_taken_is_measured(share: float) -> None:
    found = measured(tabular.record(WITHOUT_LAST, 2000), mixed(share))
    assert found.unsupported == pytest.approx(share, abs=1e-9)
    other = measured(tabular.record(WITHOUT_LAST, 2000), (1 - share) * OTHER + share * mixed(1.0))
    lost = share + (1 - share) * OTHER[tabular.states_of(tabular.record(WITHOUT_LAST, 2000))][:, -1].mean()
    assert other.unsupported == pytest.approx(lost, abs=4.0 * other.unsupported_error + 0.02)


def test_a_policy_of_other_actions_is_refused_by_all() -> None:
    found = told(tabular.record(WITHOUT_LAST, 400), mixed(1.0))
    for one in found["estimators"].values():
        assert (one["mean"], one["ci95"], one["gain"], one["gain_ci95"]) == (None,) * 4
        assert one["n_effective"] == 0.0
        share = "100% of the policy's probability is on actions that the behaviour does not take on record"
        assert one["refused"] == f"not enough overlap: {share}, at most 5% may be"
    assert found["behaviour"]["mean"] is not None


def test_a_little_that_is_never_taken_is_let_be() -> None:
    record = tabular.record(WITHOUT_LAST, 400)
    assert set(refusals(record, mixed(0.03)).values()) == {None}
    assert None not in refusals(record, mixed(0.15)).values()


def test_weights_of_a_few_pieces_are_refused_with_their_number() -> None:
    avoided = np.tile([0.05, 0.05, 0.9], (N_STATES, 1))
    record = tabular.record(np.tile([0.6, 0.3, 0.1], (N_STATES, 1)), 400)
    lines = refusals(record, avoided)
    size = measured(record, avoided).effective_pieces
    for name in ("wis", "dr"):
        assert lines[name] == (
            f"not enough overlap: effective sample size {size:.1f} of 400 pieces, at least {overlap.LEAST_PIECES} are needed"
        )
    assert "stretches of 3 actions, at least 500 are needed" in str(lines["fqe"])


def test_few_episodes_are_refused() -> None:
    for line in refusals(tabular.record(BEHAVIOUR, 9, length=500), BEHAVIOUR).values():
        assert line == "not enough overlap: 9 episodes on record, at least 10 are needed"
    assert set(refusals(tabular.record(BEHAVIOUR, 10, length=500), BEHAVIOUR).values()) == {None}


def test_a_ratio_beyond_all_numbers_leaves_no_value() -> None:
    record = tabular.record(BEHAVIOUR, 60)
    propensity = record.propensity.copy()
    propensity[:3] = 1e-300
    with np.errstate(over="ignore", invalid="ignore"):
        assert None not in refusals(record._replace(propensity=propensity), OTHER).values()
