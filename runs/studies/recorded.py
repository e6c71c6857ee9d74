"""Latencies on a recording, by its blocks: with luck in training, what ratios of them vary with there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.histogram import N_BINS, quantiles
from envs.core.simulation import Simulation
from envs.core.statistics import Statistics
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel.accounts import LATENCY_S
from hierarchy.arms.running import Recorder
from hierarchy.evidence.blocks import N_BLOCKS, block_at
from hierarchy.evidence.episodes import Episodes
from hierarchy.pair import Pair
from runs.studies.study import estimate


class Latencies(NamedTuple):
    """Of all flows that ended, by block of the recording that their window began in."""

    sum_s: FloatArray  # (N_BLOCKS,)
    histogram: FloatArray  # (N_BLOCKS, N_BINS)


@dataclass(frozen=True)
class RecordedEpisodes(Episodes):
    """Episodes on a recording."""

    latencies: Latencies


class BlockRecorder(Recorder):
    """Collects latencies by block beside everything else."""

    def __init__(self, simulation: Simulation, pair: Pair | None = None) -> None:
        super().__init__(simulation, pair)
        self._latencies = Latencies(np.zeros(N_BLOCKS), np.zeros((N_BLOCKS, N_BINS)))
        self._totals: Any = None

    def begin_window(self) -> None:
        super().begin_window()
        self._block = block_at(self._positions[-1])
        self._totals = self._simulation.totals()

    def end_window(self, statistics: Statistics) -> None:
        super().end_window(statistics)
        now = self._simulation.totals()
        np.add.at(self._latencies.sum_s, self._block, (now.times - self._totals.times)[..., LATENCY_S].sum(-1))
        np.add.at(self._latencies.histogram, self._block, (now.histogram - self._totals.histogram).sum(-2))

    def episodes(self) -> RecordedEpisodes:
        found = super().episodes()
        shallow = {field.name: getattr(found, field.name) for field in fields(found)}
        return RecordedEpisodes(**shallow, latencies=self._latencies)


def recorder_of(world: LoadBalancingConfig) -> type[Recorder]:
    """On a recording, latencies are told apart by its blocks."""
    return BlockRecorder if world.workload.arrivals.recorded else Recorder


def latencies_of(episodes: Episodes) -> Latencies | None:
    """By block of a recording; None elsewhere."""
    return episodes.latencies if isinstance(episodes, RecordedEpisodes) else None


def _figures(latencies: Latencies, kept: FloatArray) -> dict[str, FloatArray]:
    """Figures ``(n,)`` of the blocks with a 1 in each row of ``kept (n, N_BLOCKS)``."""
    histogram = kept @ latencies.histogram
    mean_s = kept @ latencies.sum_s / histogram.sum(-1)
    return {"latency_mean_ms": 1e3 * mean_s, "latency_p99_ms": 1e3 * quantiles(histogram, [0.99])[:, 0]}


def _summed(latencies: Sequence[Latencies]) -> Latencies:
    return Latencies(*(np.sum(parts, axis=0) for parts in zip(*latencies, strict=True)))


def effects_on_ratios(ours: Sequence[Latencies], theirs: Sequence[Latencies]) -> dict[str, FloatArray]:
    """Effects ``(n_blocks,)`` of blocks on ratios of figures, ours to theirs, over all training seeds together.

    By the jackknife, since a quantile is no mean over blocks: what a ratio would be without a block. Blocks in which nothing
    began are left out.
    """
    sums = [_summed(ours), _summed(theirs)]
    there = np.flatnonzero(np.all([one.histogram.any(-1) for one in sums], axis=0))
    kept = 1.0 - np.eye(N_BLOCKS)[there]
    if len(there) < 2:
        return dict.fromkeys(("latency_mean_ms", "latency_p99_ms"), np.zeros(1))
    of_ours, of_theirs = (_figures(one, kept) for one in sums)
    ratios = {name: of_ours[name] / of_theirs[name] for name in of_ours}
    return {name: (len(there) - 1) * (ratio.mean() - ratio) for name, ratio in ratios.items()}


def ratios_of(
    ratios: Mapping[str, FloatArray], ours: Sequence[Latencies | None], theirs: Sequence[Latencies | None]
) -> dict[str, dict[str, Any]]:
    """Estimates of ratios ``(n_training,)`` of figures by name, ours to theirs; on a recording they vary with blocks too."""
    there = [one for one in ours if one is not None]
    effects = effects_on_ratios(there, [one for one in theirs if one is not None]) if there else {}
    return {name: estimate(values, *([effects[name]] if there else [])) for name, values in ratios.items()}
