"""Ratios of latencies on a recording vary with its blocks, however many seeds replay it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.core.histogram import N_BINS
from envs.load_balancing.kernel.accounts import LATENCY_S
from envs.load_balancing.stories import on_trace
from hierarchy.arms.running import Batch, run_episodes
from hierarchy.building.upper import simulation
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.evidence.blocks import N_BLOCKS
from hierarchy.evidence.statistics import interval
from runs.studies import scenarios
from runs.studies.recorded import BlockRecorder, Latencies, effects_on_ratios

FIGURES = ("latency_mean_ms", "latency_p99_ms")
CENTRES_S = 1e-4 * 1.02 ** (np.arange(N_BINS) + 0.5)


def of_answers(bins: np.ndarray) -> Latencies:
    """Of answers in the buckets ``bins (N_BLOCKS, n)``."""
    histogram = np.stack([np.bincount(row, minlength=N_BINS) for row in bins]).astype(float)
    return Latencies(histogram @ CENTRES_S, histogram)


def drawn(rng: np.random.Generator, spread: float, n: int = 200) -> Latencies:
    """Blocks whose levels differ by ``spread`` buckets."""
    levels = 300 + spread * rng.normal(size=(N_BLOCKS, 1))
    return of_answers((levels + 20.0 * rng.normal(size=(N_BLOCKS, n))).astype(int))


def shifted(latencies: Latencies, n_bins: int) -> Latencies:
    """All answers later by the same factor."""
    histogram = np.roll(latencies.histogram, n_bins, axis=-1)
    return Latencies(1.02**n_bins * latencies.sum_s, histogram)


def test_a_ratio_that_all_blocks_share_has_no_width() -> None:
    ours = drawn(np.random.default_rng(0), 30.0)
    for effects in effects_on_ratios([ours], [shifted(ours, 7)]).values():
        assert len(effects) == N_BLOCKS
        np.testing.assert_allclose(effects, 0.0, atol=1e-12)


def test_more_training_seeds_that_do_alike_change_nothing() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = drawn(rng, 30.0), drawn(rng, 30.0)
    one, many = (effects_on_ratios([ours] * n, [theirs] * n) for n in (1, 5))
    for name in FIGURES:
        np.testing.assert_allclose(one[name], many[name], atol=1e-12)
        assert one[name].std() > 0.01


def test_blocks_without_answers_are_left_out_and_a_single_one_has_no_spread() -> None:
    rng = np.random.default_rng(0)
    pair = [drawn(rng, 30.0), drawn(rng, 30.0)]
    for n in (1, 4):
        few = [
            Latencies(*(part * (np.arange(N_BLOCKS) < n).reshape(-1, *[1] * (part.ndim - 1)) for part in one))
            for one in pair
        ]
        for effects in effects_on_ratios(few[:1], few[1:]).values():
            assert len(effects) == n
            assert np.isfinite(effects).all()
            assert effects.any() == (n > 1)


@pytest.mark.parametrize("name", FIGURES)
def test_the_interval_of_a_ratio_holds_it_as_often_as_it_says(name: str) -> None:
    """Levels of ours and theirs are drawn for each block by itself: the ratio of long recordings is 1."""
    rng = np.random.default_rng(0)
    n, held = 300, 0
    for _ in range(n):
        ours, theirs = drawn(rng, 5.0, 50), drawn(rng, 5.0, 50)
        histograms = [one.histogram.sum(0) for one in (ours, theirs)]
        if name == "latency_mean_ms":
            ratio = ours.sum_s.sum() / theirs.sum_s.sum()
        else:
            places = [np.searchsorted(histogram.cumsum(), 0.99 * histogram.sum()) for histogram in histograms]
            ratio = 1.02 ** float(places[0] - places[1])
        low, high = interval(ratio, [np.zeros(1), effects_on_ratios([ours], [theirs])[name]])
        held += low <= 1.0 <= high
    assert 0.90 <= held / n <= 0.99


def test_ratios_of_training_seeds_that_do_alike_still_vary_with_the_recording() -> None:
    rng = np.random.default_rng(0)
    rules = {"sed": dict.fromkeys(FIGURES, 10.0)}
    one = {
        "agent": dict.fromkeys(FIGURES, 9.0),
        "rules": rules,
        "latencies": {"agent": drawn(rng, 30.0), "sed": drawn(rng, 30.0)},
    }
    elsewhere = {**one, "latencies": {"agent": None, "sed": None}}
    on_recording, apart = (scenarios.ratios([seed] * 3, ["sed"] * 3) for seed in (one, elsewhere))
    for name in FIGURES:
        assert on_recording[name]["mean"] == apart[name]["mean"] == pytest.approx(0.9)
        low, high = on_recording[name]["ci95"]
        assert high - low > 0.01
        assert apart[name]["ci95"] == pytest.approx([0.9, 0.9])


def test_all_that_ended_in_an_episode_is_in_some_block(tiny_config: Any, traces: dict[str, Path]) -> None:
    config = dataclasses.replace(tiny_config, env=on_trace(str(traces["azure_llm"])))
    batch = Batch(config.env, "evaluate", range(3), 5)
    below = simulation(config, batch.role, batch.env_ids, batch.n_windows, batch.env)
    below.reset()

    class AllOn:
        """Equal weights."""

        def decide(self, measurements: Any) -> np.ndarray:
            return np.ones((3, config.env.n_backends, config.env.pool.n_servers))

    found = run_episodes(below, AllOn(), lower_steps_per_window(config), BlockRecorder(below)).latencies  # type: ignore[attr-defined]
    measured = below.measurements
    assert measured.histogram.sum() > 0
    np.testing.assert_array_equal(found.histogram.sum(0), measured.histogram.sum((0, 1)))
    assert found.sum_s.sum() == pytest.approx(measured.times[..., LATENCY_S].sum())
    assert ((found.sum_s > 0) == found.histogram.any(-1)).all()
