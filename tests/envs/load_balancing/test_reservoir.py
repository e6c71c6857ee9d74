"""The ten statistics of a reservoir against numpy on the samples themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from envs.core.arrays import new_arrays
from envs.core.rng import streams
from envs.load_balancing.kernel.reservoir import (
    DECAY_PER_S,
    FEATURES,
    GROWN,
    N_LARGEST,
    N_SLOTS,
    PLAIN,
    SIZES,
    Reservoir,
    clear_reservoir,
    measure,
    sample,
)
from tests.envs.load_balancing.pools import PROPERTY

DT_S = 0.25


class Recorder:
    """A reservoir, and beside it every sample by slot with its instant, as the definition has it."""

    def __init__(self, n_servers: int = 1, server: int = 0) -> None:
        self.reservoir: Reservoir = new_arrays(Reservoir, {"n_envs": 1, "n_views": n_servers, **SIZES})
        self.streams = streams(0, "train", [0])
        self.server = server
        self.value = np.zeros((2, N_SLOTS), np.float32)
        self.at_s = np.zeros(N_SLOTS)
        self.replaced: list[int] = []

    @property
    def n(self) -> int:
        return int(self.reservoir.n[0, self.server])

    def add(self, t: float, fct_s: float, duration_s: float) -> None:
        before = self.n
        sample(self.reservoir, self.streams, 0, self.server, t, fct_s, duration_s)
        new = self.reservoir.value[0, self.server, :, PLAIN]
        changed = [before] if before < N_SLOTS else np.flatnonzero((new != self.value).any(0)).tolist()
        assert len(changed) <= 1
        for slot in changed:
            self.value[:, slot] = new[:, slot]
            self.at_s[slot] = t
            self.replaced.append(slot)
        if changed:
            assert np.array_equal(self.value[:, changed[0]], np.array([fct_s, duration_s], np.float32))

    def measured(self, t: float) -> np.ndarray:
        out = np.full(10, np.nan, np.float32)
        measure(self.reservoir, 0, self.server, t, out)
        return out

    def expected(self, t: float) -> np.ndarray:
        value = self.value[:, : self.n].astype(np.float64)
        decayed = value * DECAY_PER_S ** (t - self.at_s[: self.n])
        columns = [value.mean(1), np.quantile(value, 0.9, axis=1), value.std(1)]
        return np.stack([*columns, decayed.mean(1), np.quantile(decayed, 0.9, axis=1)], axis=1).ravel()


def filled(n_steps: int, per_step: int, seed: int = 0) -> Recorder:
    rng, recorder = np.random.default_rng(seed), Recorder()
    for step in range(n_steps):
        start_s, end_s = step * DT_S, (step + 1) * DT_S
        for t in np.sort(rng.uniform(start_s, end_s, rng.poisson(per_step))):
            recorder.add(t, rng.exponential(0.3), rng.exponential(0.2))
        recorder.measured(end_s)
    return recorder


samples = st.lists(st.tuples(st.floats(0.0, 0.9), st.floats(1e-3, 50.0), st.floats(1e-3, 50.0)), min_size=1, max_size=100)


@settings(PROPERTY, max_examples=60)
@given(samples, st.floats(0.0, 5.0))
def test_the_statistics_of_a_few_samples_are_those_of_numpy(rows: list[tuple[float, float, float]], later_s: float) -> None:
    recorder, t = Recorder(), 0.0
    for gap_s, fct_s, duration_s in rows:
        t += gap_s
        recorder.add(t, fct_s, duration_s)
        assert np.allclose(recorder.measured(t + 0.1), recorder.expected(t + 0.1), rtol=2e-5, atol=1e-6)
    end_s = t + 0.1 + later_s
    assert np.allclose(recorder.measured(end_s), recorder.expected(end_s), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(("n_steps", "per_step"), [(40, 2), (100, 5), (400, 20)])
def test_the_statistics_of_many_samples_are_those_of_the_slots(n_steps: int, per_step: int) -> None:
    recorder = filled(n_steps, per_step)
    end_s = n_steps * DT_S
    assert np.allclose(recorder.measured(end_s), recorder.expected(end_s), rtol=1e-4)
    assert np.allclose(recorder.measured(end_s + 3.0), recorder.expected(end_s + 3.0), rtol=1e-4)


@pytest.mark.parametrize(("n_steps", "per_step"), [(10, 5), (400, 20), (4000, 1)])
def test_the_largest_samples_are_kept_in_order(n_steps: int, per_step: int) -> None:
    recorder = filled(n_steps, per_step)
    reservoir = recorder.reservoir
    for kind in (PLAIN, GROWN):
        for quantity in range(2):
            n = reservoir.n_largest[0, 0, quantity, kind]
            value = reservoir.value[0, 0, quantity, kind, : recorder.n]
            assert n >= recorder.n - int(0.9 * (recorder.n - 1))
            assert np.array_equal(np.sort(value)[::-1][:n], reservoir.largest[0, 0, quantity, kind, :n])
            assert (reservoir.largest[0, 0, quantity, kind, n:] == -np.inf).all()


@pytest.mark.parametrize("n", [N_LARGEST + 1, N_LARGEST + 2, N_SLOTS, 3 * N_SLOTS])
def test_falling_samples_leave_the_largest_in_order(n: int) -> None:
    """Each is smaller than all before: one that comes when the largest are full is none of them."""
    recorder = Recorder()
    for i in range(n):
        recorder.add(0.0, 1.0 / (1 + i), 2.0 / (1 + i))
    for quantity in range(2):
        n_largest = recorder.reservoir.n_largest[0, 0, quantity, PLAIN]
        kept = recorder.reservoir.largest[0, 0, quantity, PLAIN, :n_largest]
        assert np.array_equal(kept, np.sort(recorder.value[quantity, : recorder.n])[::-1][:n_largest])


def test_equal_samples_are_counted_as_often_as_they_come() -> None:
    recorder, rng = Recorder(), np.random.default_rng(0)
    for step in range(2000):
        sample(recorder.reservoir, recorder.streams, 0, 0, 0.1 * step, float(rng.integers(0, 3)), 1.0)
        n = recorder.reservoir.n_largest[0, 0, 0, PLAIN]
        value = recorder.reservoir.value[0, 0, 0, PLAIN, : recorder.n]
        assert np.array_equal(np.sort(value)[::-1][:n], recorder.reservoir.largest[0, 0, 0, PLAIN, :n])


def test_a_sample_decays_by_a_tenth_every_second() -> None:
    recorder = Recorder()
    recorder.add(1.0, 2.0, 4.0)
    for age_s in (0.0, 1.0, 2.5, 100.0):
        found = recorder.measured(1.0 + age_s)
        assert found[[3, 8]] == pytest.approx([2.0 * DECAY_PER_S**age_s, 4.0 * DECAY_PER_S**age_s], rel=1e-5)
        assert found[[0, 5]] == pytest.approx([2.0, 4.0])


def test_samples_that_are_ages_old_decay_to_nothing() -> None:
    recorder = Recorder()
    recorder.add(0.0, 1.0, 1.0)
    recorder.add(5000.0, 2.0, 2.0)
    assert recorder.measured(5000.0)[3] == pytest.approx(1.0)
    assert recorder.measured(5000.0)[0] == pytest.approx(1.5)
    assert recorder.measured(99000.0)[[3, 4]] == pytest.approx([0.0, 0.0])


def test_a_full_reservoir_replaces_every_slot_equally_often() -> None:
    replaced = filled(800, 20).replaced
    assert replaced[:N_SLOTS] == list(range(N_SLOTS))
    assert stats.chisquare(np.bincount(replaced[N_SLOTS:], minlength=N_SLOTS)).pvalue > 1e-4


def test_old_load_is_forgotten() -> None:
    recorder = Recorder()
    for step in range(128):
        recorder.add(step, 9.0 + 1e-3 * step, 9.0)
    for step in range(128, 3000):
        recorder.add(step, 1.0 + 1e-6 * step, 1.0)
    assert recorder.measured(3000.0)[0] == pytest.approx(1.0, abs=0.01)


def test_an_empty_reservoir_reads_zero() -> None:
    assert (Recorder().measured(3.0) == 0.0).all()


def test_a_cleared_reservoir_reads_zero_and_starts_again() -> None:
    recorder = filled(100, 5)
    clear_reservoir(recorder.reservoir, 0)
    assert (recorder.measured(1.0) == 0.0).all()
    again = Recorder()
    again.reservoir, again.streams = recorder.reservoir, recorder.streams
    again.add(0.2, 0.7, 0.5)
    assert np.allclose(again.measured(0.25), again.expected(0.25), rtol=1e-5)


def test_a_sample_touches_its_own_server_only() -> None:
    recorder = Recorder(n_servers=3, server=1)
    recorder.add(0.1, 0.7, 0.5)
    for other in (0, 2):
        out = np.full(10, np.nan, np.float32)
        measure(recorder.reservoir, 0, other, 0.25, out)
        assert (out == 0.0).all()


def test_the_features_are_flows_in_flight_and_five_statistics_of_two_times() -> None:
    five = ("mean", "p90", "std", "avg_decay", "p90_decay")
    assert list(FEATURES) == [
        "n_flow_on",
        *(f"fct_{name}" for name in five),
        *(f"flow_duration_{name}" for name in five),
    ]
