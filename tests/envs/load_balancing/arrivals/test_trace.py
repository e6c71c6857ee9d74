"""Recordings as an arrival source: split in time, scaled and replayed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from envs.core.rng import Role
from envs.core.validation import SettingError
from envs.load_balancing.config import LoadBalancingConfig, Trace, Workload
from envs.load_balancing.kernel import accounts
from envs.load_balancing.kernel.arrivals.trace import REGIME_WINDOW_S, Replay, Split
from envs.load_balancing.kernel.arrivals.traffic import draw_next
from envs.load_balancing.oracle import RegimeOracle
from envs.load_balancing.params import traffic_of
from envs.load_balancing.traces import read_trace
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.pools import count, everyone, figures_of, run, servers, started
from tests.envs.load_balancing.recordings import loops, marllb_lines, written


def config_of(path: Path, rate_hz: float | None = None, **trace: Any) -> LoadBalancingConfig:
    pool = servers([8, 8], max_flows=4096)
    workload = Workload(arrivals=Trace(path=str(path), **trace), rate_hz=rate_hz)
    return LoadBalancingConfig(pool=pool, workload=workload, dt_s=1.0)


def part_of(config: LoadBalancingConfig, held_out: bool = False) -> Replay:
    """What of a recording is replayed in training, or kept back."""
    params = traffic_of(config, held_out)
    part: Replay = params.sources[params.source]
    return part


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    """A trace where every request has work of its own, so that it can be told from all others."""
    return written(tmp_path, loops(2000))


def both(config: LoadBalancingConfig) -> tuple[Replay, Replay]:
    return part_of(config), part_of(config, held_out=True)


@pytest.mark.parametrize("train_share", [0.2, 0.7, 0.95])
def test_no_request_is_in_both_splits_and_none_is_in_neither(numbered: Path, train_share: float) -> None:
    config = config_of(numbered, train_share=train_share)
    train, held_out = both(config)
    parts = [np.round(part.work_s / config.workload.interactive.mean_work_s, 9).tolist() for part in (train, held_out)]
    assert not set(parts[0]) & set(parts[1])
    assert len(parts[0]) + len(parts[1]) == len(set(parts[0] + parts[1])) == 2000


@pytest.mark.parametrize("train_share", [0.2, 0.7])
def test_the_split_is_in_time(numbered: Path, train_share: float) -> None:
    trace = read_trace(numbered)
    train, held_out = both(config_of(numbered, train_share=train_share))
    n_train = int((trace.time_s < train_share * trace.time_s[-1]).sum())
    assert len(train.time_s) == n_train
    scale = trace.rate_hz / replayed_rate_hz(config_of(numbered))
    assert train.time_s == pytest.approx(trace.time_s[:n_train] * scale)
    assert held_out.time_s == pytest.approx((trace.time_s[n_train:] - trace.time_s[n_train]) * scale)


def replayed_rate_hz(config: LoadBalancingConfig) -> float:
    """What `rate_hz` is when it is not given: the mean load of the regimes, by the mean work of the trace."""
    trace = read_trace(str(config.workload.arrivals.path))
    border = np.quantile(trace.work, config.workload.arrivals.interactive_quantile)
    mean_work_s = config.workload.interactive.mean_work_s / trace.work[trace.work <= border].mean()
    return float(config.workload.regimes.load.mean() * config.pool.capacity.sum() / mean_work_s)


@pytest.mark.parametrize("at_the_end", [True, False])
def test_a_split_whose_requests_all_come_at_once_is_refused(tmp_path: Path, at_the_end: bool) -> None:
    """A replay of it would have no length."""
    times = np.array([0.0, 1.0, 2.0, 10.0, 10.0, 10.0]) if at_the_end else np.array([0.0, 0.0, 0.0, 8.0, 9.0, 10.0])
    path = written(tmp_path, marllb_lines(times, np.arange(1, 7)))
    with pytest.raises(SettingError, match=r"workload.arrivals.train_share"):
        part_of(config_of(path, train_share=0.7), at_the_end)


@pytest.mark.parametrize("train_share", [1e-6, 1 - 1e-9])
def test_a_split_that_leaves_one_side_empty_is_refused(numbered: Path, train_share: float) -> None:
    config = config_of(numbered, train_share=train_share)
    with pytest.raises(SettingError, match=r"workload.arrivals.train_share must be such that two requests apart in time"):
        both(config)


@pytest.mark.parametrize("rate_hz", [3.0, 50.0])
def test_the_replay_has_the_mean_rate_that_was_asked_for(numbered: Path, rate_hz: float) -> None:
    """Over both splits in their shares of time, up to the gap at the border."""
    train, held_out = both(config_of(numbered, rate_hz=rate_hz))
    n = len(train.time_s) + len(held_out.time_s)
    assert n / (train.period_s + held_out.period_s) == pytest.approx(rate_hz, rel=0.01)
    for part in (train, held_out):
        rate = len(part.time_s) / part.period_s
        assert abs(rate / rate_hz - 1) < 4 / np.sqrt(len(part.time_s))


@pytest.mark.parametrize("rate_hz", [4.0, 40.0])
def test_arrivals_of_an_even_trace_come_at_that_rate(tmp_path: Path, rate_hz: float) -> None:
    even = written(tmp_path, marllb_lines(np.arange(3000) * 0.1, np.arange(1, 3001)))
    world = run(started(config_of(even, rate_hz=rate_hz), 4), 200)
    assert np.abs(count(world, accounts.ARRIVED).sum(-1) - 200 * rate_hz).max() <= 1


def test_without_a_rate_the_replay_offers_the_mean_load_of_the_regimes(numbered: Path) -> None:
    config = config_of(numbered)
    parts = both(config)
    work_s = sum(part.work_s.sum() for part in parts)
    offered = work_s / sum(part.period_s for part in parts) / config.pool.capacity.sum()
    assert offered == pytest.approx(config.workload.regimes.load.mean(), rel=0.01)


@pytest.mark.parametrize("quantile", [0.3, 0.7])
def test_the_small_flows_are_interactive_and_have_the_mean_work_of_their_class(numbered: Path, quantile: float) -> None:
    config = config_of(numbered, interactive_quantile=quantile)
    work_s = np.concatenate([part.work_s for part in both(config)])
    flow_class = np.concatenate([part.flow_class for part in both(config)])
    assert (flow_class == 0).mean() == pytest.approx(quantile, abs=0.002)
    assert work_s[flow_class == 0].max() <= work_s[flow_class == 1].min()
    assert work_s[flow_class == 0].mean() == pytest.approx(config.workload.interactive.mean_work_s)


def test_regimes_of_a_trace_are_terciles_of_load_and_class_share_per_window(tmp_path: Path) -> None:
    """A trace of three rates: its windows fall into three loads of equal size, the fastest third being the highest."""
    times = np.cumsum(np.repeat([0.2, 0.1, 0.05], [3000, 6000, 12_000]))
    path = written(tmp_path, marllb_lines(times, np.random.default_rng(5).integers(1, 1000, len(times))))
    config = config_of(path, rate_hz=10.0, train_share=0.999)
    part = part_of(config)
    window = (part.time_s / REGIME_WINDOW_S).astype(int)
    assert part.regime.min() >= 0
    assert part.regime.max() <= 8
    assert all(len(set(part.regime[window == i])) == 1 for i in np.unique(window))
    third = part.time_s[-1] / 3
    for load, inside in enumerate([(0.05, 0.9), (1.1, 1.9), (2.1, 2.95)]):
        middle = (part.time_s > inside[0] * third) & (part.time_s < inside[1] * third)
        assert (part.regime[middle] // 3 == load).mean() > 0.8
    share = [part.flow_class[part.regime % 3 == tercile].mean() for tercile in range(3)]
    assert share == sorted(share)


def replayed_work_s(path: Path, role: Role, split: Split | None = None) -> list[float]:
    params = started(config_of(path, split=split), role=role).params.traffic
    work_s: list[float] = params.sources[params.source].work_s.tolist()
    return work_s


def test_training_and_selection_replay_the_first_part_and_evaluation_the_held_out_one(numbered: Path) -> None:
    train, held_out = (part.work_s.tolist() for part in both(config_of(numbered)))
    assert replayed_work_s(numbered, "train") == replayed_work_s(numbered, "select") == train
    assert replayed_work_s(numbered, "evaluate") == held_out
    assert replayed_work_s(numbered, "evaluate", "train") == train
    assert replayed_work_s(numbered, "train", "held_out") == held_out


def test_a_replay_starts_anywhere_in_its_split(numbered: Path) -> None:
    world = started(config_of(numbered), 200)
    params, source = world.params.traffic, world.state.source
    trace, place = params.sources[params.source], source.memories[params.source]
    first = (place.next - 1) % len(trace.time_s)
    assert np.array_equal(source.work_s, trace.work_s[first])
    assert (source.time_s == 0.0).all()
    assert stats.kstest(first / len(trace.time_s), "uniform").pvalue > 1e-4


def places(path: Path, seed: int, env_ids: list[int]) -> list[int]:
    """The request that each env starts at."""
    world = LoadBalancing(config_of(path), env_ids, seed, "evaluate")
    world.reset_dynamics(everyone(world))
    place = world.state.source.memories[world.params.traffic.source]
    return [int(one) for one in place.next]


def test_an_evaluation_seed_starts_at_its_own_place_whatever_the_batch(numbered: Path) -> None:
    whole = places(numbered, 3, list(range(40)))
    assert places(numbered, 3, [7, 2]) == [whole[7], whole[2]]
    assert len(set(whole)) > 30
    assert places(numbered, 4, list(range(40))) != whole


def test_every_loop_of_a_replay_brings_every_request_once(tmp_path: Path) -> None:
    path = written(tmp_path, loops(60))
    world = started(config_of(path, rate_hz=10.0), 1)
    params, source = world.params.traffic, world.state.source
    trace = params.sources[params.source]
    n, drawn, times = len(trace.time_s), [], []
    for _ in range(3 * n):
        drawn.append(float(source.work_s[0]))
        times.append(float(source.time_s[0]))
        draw_next(params, source, world.state.streams, 0, source.time_s[0])
    assert times[0] == 0.0
    assert (np.diff(times) >= 0).all()
    for loop in range(3):
        assert sorted(drawn[loop * n : (loop + 1) * n]) == sorted(trace.work_s)
    assert times[n] == pytest.approx(trace.period_s)
    assert times[2 * n] == pytest.approx(2 * trace.period_s)


def test_a_world_on_a_trace_has_nine_regimes_and_conserves_flows(trace_path: Path) -> None:
    world = run(started(config_of(trace_path, rate_hz=20.0), 3), 100)
    arrived, completed, lost, rejected, _, _, in_flight, _ = np.moveaxis(world.state.counts, -1, 0)
    assert RegimeOracle(world).n_regimes == 9
    assert ((world.state.source.regime >= 0) & (world.state.source.regime < 9)).all()
    assert arrived.sum() > 1000
    assert np.array_equal(arrived, completed + lost + rejected + in_flight)
    world.settle(everyone(world))
    assert np.isfinite(figures_of(world)["latency_mean_ms"]).all()
