"""Public trace formats: how they are read, refused, split in time, scaled and replayed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from envs.load_balancing.kernel.traffic import REGIME_WINDOW_S, Traffic, draw_next, traffic
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scipy import stats

from envs.core.rng import Role
from envs.load_balancing.config import LoadBalancingConfig, TraceSplit, Workload
from envs.load_balancing.kernel import accounts
from envs.load_balancing.traces import PREFILL_PER_DECODE, READERS, Trace, TraceError, read_trace
from tests.envs.load_balancing.pools import PROPERTY, count, everyone, run, servers, started

REAL = Path(__file__).resolve().parents[4] / "shared" / "traces"
"""Where copies of the real traces may lie beside the checkout."""
DAY = datetime(2023, 11, 16, 18, 15, 46)


def written(folder: Path, lines: list[str], name: str = "trace.txt") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def gaps(n: int, seed: int = 0) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).exponential(0.2, n))


def azure_lines(n: int) -> list[str]:
    rng = np.random.default_rng(1)
    rows = [
        f"{DAY + timedelta(seconds=t):%Y-%m-%d %H:%M:%S.%f}0,{rng.integers(1, 4000)},{rng.integers(1, 800)}" for t in gaps(n)
    ]
    return ["TIMESTAMP,ContextTokens,GeneratedTokens", *rows]


def marllb_lines(times: np.ndarray, works: np.ndarray) -> list[str]:
    return ["time\tquery", *(f"{t:.9f}\t/dummy.php/?n={n}" for t, n in zip(times, works, strict=True))]


def loops(n: int) -> list[str]:
    return marllb_lines(gaps(n), np.random.default_rng(2).permutation(n) + 1000)


def log_lines(n: int) -> list[str]:
    rng = np.random.default_rng(3)
    stamps = [(DAY.replace(tzinfo=UTC) + timedelta(seconds=t)).strftime("%d/%b/%Y:%H:%M:%S %z") for t in gaps(n)]
    return [f'host{i} - - [{stamp}] "GET /{i} HTTP/1.0" 200 {rng.integers(0, 99999)}' for i, stamp in enumerate(stamps)]


def count_lines(n: int) -> list[str]:
    return [str(count) for count in np.random.default_rng(4).poisson(5.0, n // 5)]


FORMATS = {"azure_llm": azure_lines, "marllb": loops, "common_log": log_lines, "counts": count_lines}
REAL_FILES = {"azure_llm": "azure_llm_conv_2023.csv", "marllb": "marllb_poisson_rate_200_first20k.csv"}


@pytest.fixture(params=[*FORMATS, *(f"real {name}" for name in REAL_FILES)])
def trace_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A trace of every format; the real ones where they lie beside the checkout, else more of their format."""
    name = request.param.removeprefix("real ")
    real = REAL / REAL_FILES.get(name, "")
    if request.param.startswith("real ") and real.is_file():
        return real
    return written(tmp_path, FORMATS[name](2500))


# Reading


def test_every_trace_starts_at_zero_runs_forward_and_has_work_of_mean_one(trace_path: Path) -> None:
    trace = read_trace(trace_path)
    assert len(trace.time_s) == len(trace.work) > 1000
    assert trace.time_s[0] == 0.0
    assert (np.diff(trace.time_s) >= 0).all()
    assert (trace.work > 0).all()
    assert trace.work.mean() == pytest.approx(1.0)


def test_a_replay_is_one_mean_gap_longer_than_its_requests(trace_path: Path) -> None:
    trace = read_trace(trace_path)
    mean_gap_s = trace.time_s[-1] / (len(trace.time_s) - 1)
    assert trace.duration_s == pytest.approx(trace.time_s[-1] + mean_gap_s)
    assert trace.rate_hz == pytest.approx(1 / mean_gap_s)


def test_azure_llm_lines_are_a_timestamp_and_two_token_counts(tmp_path: Path) -> None:
    lines = [
        "TIMESTAMP,ContextTokens,GeneratedTokens",
        "2023-11-16 23:59:59.6805900,374,44",
        "2023-11-17 00:00:00.9305900,100,10",
        "2023-11-17 00:00:01,0,6",
    ]
    trace = read_trace(written(tmp_path, lines))
    assert trace.time_s == pytest.approx([0.0, 1.25, 1.31941], abs=1e-6)
    work = np.array([44 + PREFILL_PER_DECODE * 374, 10 + PREFILL_PER_DECODE * 100, 6])
    assert trace.work == pytest.approx(work / work.mean())


def test_marllb_lines_are_a_time_and_a_number_of_turns(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, ["time\tquery", "0.5\t/dummy.php/?n=100", "0.75\t/x?a=1&n=300", "0.75\t/?n=200"]))
    assert trace.time_s.tolist() == [0.0, 0.25, 0.25]
    assert trace.work.tolist() == [0.5, 1.5, 1.0]


def test_common_log_lines_are_spread_over_their_second_with_work_by_size(tmp_path: Path) -> None:
    start = 'a - - [01/Jul/1995:00:00:01 -0400] "GET / HTTP/1.0" 200'
    lines = [f"{start} 4096", f"{start} 2048", 'b - joe [01/Jul/1995:05:00:03 +0100] "GET /x y" 404 -']
    trace = read_trace(written(tmp_path, lines))
    assert trace.time_s.tolist() == [0.0, 0.5, 2.25]
    assert trace.work / trace.work[2] == pytest.approx([4.0, 2.0, 1.0])


def test_counts_per_second_are_spread_evenly_over_their_second(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, ["2", "0", "4", ""]))
    assert trace.time_s == pytest.approx([0.0, 0.5, 1.875, 2.125, 2.375, 2.625])
    assert trace.work.tolist() == [1.0] * 6


def test_blank_lines_at_the_end_do_not_matter(tmp_path: Path) -> None:
    lines = loops(10)
    plain, padded = read_trace(written(tmp_path, lines)), read_trace(written(tmp_path, [*lines, "", "  ", ""]))
    assert np.array_equal(plain.time_s, padded.time_s)


BROKEN = [
    ("azure_llm", "2023-11-16 18:15:50,374"),
    ("azure_llm", "2023-11-16 18:15:50,374,many"),
    ("azure_llm", "2023-11-16 18:15:50,-1,44"),
    ("azure_llm", "2023-11-16 18:15:50,374,-1"),
    ("azure_llm", "2023-11-16 18:15:50,0,0"),
    ("azure_llm", "yesterday,374,44"),
    ("azure_llm", f"2023-11-16 18:15:50,1,{'9' * 400}"),
    ("marllb", "12.5"),
    ("marllb", "12.5\t/dummy.php"),
    ("marllb", "12.5\t/?n=0"),
    ("marllb", "nan\t/?n=5"),
    ("marllb", "inf\t/?n=5"),
    ("marllb", f"12.5\t/?n={'9' * 400}"),
    ("common_log", "host - - GET / 200 17"),
    ("common_log", 'host - - [01/Foo/2023:00:00:01 -0400] "GET / HTTP/1.0" 200 17'),
    ("common_log", f'host - - [16/Nov/2024:00:00:01 -0400] "GET / HTTP/1.0" 200 {"9" * 400}'),
    ("counts", "-3"),
    ("counts", "4.5"),
    ("counts", "²"),
    ("counts", "five"),
]


@pytest.mark.parametrize(("name", "line"), BROKEN, ids=lambda part: part[:40])
def test_a_broken_line_is_named_by_file_and_number(name: str, line: str, tmp_path: Path) -> None:
    lines = FORMATS[name](100)
    broken = written(tmp_path, [*lines[:6], line, *lines[6:]])
    with pytest.raises(TraceError) as error:
        read_trace(broken)
    assert str(error.value).startswith(f"{broken}:7: ")
    assert repr(line)[1:41] in str(error.value)


@pytest.mark.parametrize("name", ["azure_llm", "marllb", "common_log"])
def test_time_that_runs_backwards_is_named_by_file_and_number(name: str, tmp_path: Path) -> None:
    lines = FORMATS[name](300)
    path = written(tmp_path, [*lines[:1], *lines[290:292], *lines[1:]])
    with pytest.raises(TraceError, match=f"{path}:4: time must not run backwards, got "):
        read_trace(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"workload.path must name a readable trace, got .*nowhere.csv \(No such file"):
        read_trace(tmp_path / "nowhere.csv")


def test_a_folder_and_a_binary_file_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"workload.path must name a readable trace, got "):
        read_trace(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(TraceError, match=r"got .*binary \(not a text file\)"):
        read_trace(tmp_path / "binary")


@pytest.mark.parametrize("lines", [[], ["", "  "], ["time\tquery"], ["0", "0"], loops(1), ["1"]])
def test_a_trace_with_too_few_requests_is_refused(lines: list[str], tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"trace\.txt"):
        read_trace(written(tmp_path, lines))


def test_requests_at_a_single_instant_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="a trace needs two requests at different times, got 3 requests"):
        read_trace(written(tmp_path, marllb_lines(np.full(3, 1.5), np.arange(1, 4))))


def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        TraceError, match=r":1: unknown format \(known: azure_llm, marllb, common_log, counts per second\), got"
    ):
        read_trace(written(tmp_path, ["when;what", "1;2"]))


def read_or_refused(path: Path) -> Trace | str:
    """The trace, or why it was refused."""
    try:
        return read_trace(path)
    except TraceError as error:
        return str(error)


LINE = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=60)


@settings(PROPERTY, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([azure_lines(3), loops(3), log_lines(3), count_lines(15)]), st.lists(LINE, min_size=1, max_size=3))
@example(azure_lines(3), ["2023-11-16 18:16:00+00:00,1,2"])
@example(azure_lines(3), ["2023-11-16T18:16:00.5+00:00,1,2"])
@example(loops(3), ["1e3\t/?n=1&n=2"])
def test_no_text_makes_a_reader_fail_in_any_other_way(tmp_path: Path, start: list[str], rest: list[str]) -> None:
    path = written(tmp_path, [*start, *rest])
    outcome = read_or_refused(path)
    assert str(path) in outcome if isinstance(outcome, str) else np.isfinite(outcome.time_s).all()


def test_every_reader_knows_its_own_first_line_only() -> None:
    for name, lines in FORMATS.items():
        known = [other for other, fmt in READERS.items() if fmt.first_line.match(lines(5)[0])]
        assert known == ([] if name == "counts" else [name])


# Splitting, scaling and classes


def config_of(path: Path, **workload: object) -> LoadBalancingConfig:
    pool = servers([8, 8], max_flows=4096)
    return LoadBalancingConfig(pool=pool, workload=Workload(arrivals="trace", path=str(path), **workload), dt_s=1.0)


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    """A trace where every request has work of its own, so that it can be told from all others."""
    return written(tmp_path, loops(2000))


def both(config: LoadBalancingConfig) -> tuple[Traffic, Traffic]:
    return traffic(config, "train"), traffic(config, "held_out")


@pytest.mark.parametrize("train_share", [0.2, 0.7, 0.95])
def test_no_request_is_in_both_splits_and_none_is_in_neither(numbered: Path, train_share: float) -> None:
    config = config_of(numbered, train_share=train_share)
    train, held_out = both(config)
    parts = [np.round(part.trace_work_s / config.workload.interactive.mean_work_s, 9).tolist() for part in (train, held_out)]
    assert not set(parts[0]) & set(parts[1])
    assert len(parts[0]) + len(parts[1]) == len(set(parts[0] + parts[1])) == 2000


@pytest.mark.parametrize("train_share", [0.2, 0.7])
def test_the_split_is_in_time(numbered: Path, train_share: float) -> None:
    trace = read_trace(numbered)
    train, held_out = both(config_of(numbered, train_share=train_share))
    n_train = int((trace.time_s < train_share * trace.time_s[-1]).sum())
    assert len(train.trace_time_s) == n_train
    scale = trace.rate_hz / replayed_rate_hz(config_of(numbered))
    assert train.trace_time_s == pytest.approx(trace.time_s[:n_train] * scale)
    assert held_out.trace_time_s == pytest.approx((trace.time_s[n_train:] - trace.time_s[n_train]) * scale)


def replayed_rate_hz(config: LoadBalancingConfig) -> float:
    """What `rate_hz` is when it is not given: the mean load of the regimes, by the mean work of the trace."""
    trace = read_trace(str(config.workload.path))
    border = np.quantile(trace.work, config.workload.interactive_quantile)
    mean_work_s = config.workload.interactive.mean_work_s / trace.work[trace.work <= border].mean()
    return float(config.workload.regimes.load.mean() * config.pool.capacity.sum() / mean_work_s)


@pytest.mark.parametrize("at_the_end", [True, False])
def test_a_split_whose_requests_all_come_at_once_is_refused(tmp_path: Path, at_the_end: bool) -> None:
    """A replay of it would have no length."""
    times = np.array([0.0, 1.0, 2.0, 10.0, 10.0, 10.0]) if at_the_end else np.array([0.0, 0.0, 0.0, 8.0, 9.0, 10.0])
    path = written(tmp_path, marllb_lines(times, np.arange(1, 7)))
    with pytest.raises(TraceError, match=r"workload.train_share"):
        traffic(config_of(path, train_share=0.7), "held_out" if at_the_end else "train")


@pytest.mark.parametrize("train_share", [1e-6, 1 - 1e-9])
def test_a_split_that_leaves_one_side_empty_is_refused(numbered: Path, train_share: float) -> None:
    config = config_of(numbered, train_share=train_share)
    with pytest.raises(TraceError, match=r"workload.train_share must leave two requests apart in time"):
        both(config)


@pytest.mark.parametrize("rate_hz", [3.0, 50.0])
def test_the_replay_has_the_mean_rate_that_was_asked_for(numbered: Path, rate_hz: float) -> None:
    """Over both splits in their shares of time, up to the gap at the border."""
    train, held_out = both(config_of(numbered, rate_hz=rate_hz))
    n = len(train.trace_time_s) + len(held_out.trace_time_s)
    assert n / (train.trace_period_s + held_out.trace_period_s) == pytest.approx(rate_hz, rel=0.01)
    for part in (train, held_out):
        rate = len(part.trace_time_s) / part.trace_period_s
        assert abs(rate / rate_hz - 1) < 4 / np.sqrt(len(part.trace_time_s))


@pytest.mark.parametrize("rate_hz", [4.0, 40.0])
def test_arrivals_of_an_even_trace_come_at_that_rate(tmp_path: Path, rate_hz: float) -> None:
    even = written(tmp_path, marllb_lines(np.arange(3000) * 0.1, np.arange(1, 3001)))
    world = run(started(config_of(even, rate_hz=rate_hz), 4), 200)
    assert np.abs(count(world, accounts.ARRIVED).sum(-1) - 200 * rate_hz).max() <= 1


def test_without_a_rate_the_replay_offers_the_mean_load_of_the_regimes(numbered: Path) -> None:
    config = config_of(numbered)
    parts = both(config)
    work_s = sum(part.trace_work_s.sum() for part in parts)
    offered = work_s / sum(part.trace_period_s for part in parts) / config.pool.capacity.sum()
    assert offered == pytest.approx(config.workload.regimes.load.mean(), rel=0.01)


@pytest.mark.parametrize("quantile", [0.3, 0.7])
def test_the_small_flows_are_interactive_and_have_the_mean_work_of_their_class(numbered: Path, quantile: float) -> None:
    config = config_of(numbered, interactive_quantile=quantile)
    work_s = np.concatenate([part.trace_work_s for part in both(config)])
    flow_class = np.concatenate([part.trace_class for part in both(config)])
    assert (flow_class == 0).mean() == pytest.approx(quantile, abs=0.002)
    assert work_s[flow_class == 0].max() <= work_s[flow_class == 1].min()
    assert work_s[flow_class == 0].mean() == pytest.approx(config.workload.interactive.mean_work_s)


def test_regimes_of_a_trace_are_terciles_of_load_and_class_share_per_window(tmp_path: Path) -> None:
    """A trace of three rates: its windows fall into three loads of equal size, the fastest third being the highest."""
    times = np.cumsum(np.repeat([0.2, 0.1, 0.05], [3000, 6000, 12_000]))
    path = written(tmp_path, marllb_lines(times, np.random.default_rng(5).integers(1, 1000, len(times))))
    config = config_of(path, rate_hz=10.0, train_share=0.999)
    part = traffic(config, "train")
    window = (part.trace_time_s / REGIME_WINDOW_S).astype(int)
    assert part.trace_regime.min() >= 0
    assert part.trace_regime.max() <= 8
    assert all(len(set(part.trace_regime[window == i])) == 1 for i in np.unique(window))
    third = part.trace_time_s[-1] / 3
    for load, inside in enumerate([(0.05, 0.9), (1.1, 1.9), (2.1, 2.95)]):
        middle = (part.trace_time_s > inside[0] * third) & (part.trace_time_s < inside[1] * third)
        assert (part.trace_regime[middle] // 3 == load).mean() > 0.8
    share = [part.trace_class[part.trace_regime % 3 == tercile].mean() for tercile in range(3)]
    assert share == sorted(share)


# Replay


def replayed_work_s(path: Path, role: Role, split: TraceSplit | None = None) -> list[float]:
    work_s: list[float] = started(config_of(path, split=split), role=role).params.traffic.trace_work_s.tolist()
    return work_s


def test_training_and_selection_replay_the_first_part_and_evaluation_the_held_out_one(numbered: Path) -> None:
    train, held_out = (part.trace_work_s.tolist() for part in both(config_of(numbered)))
    assert replayed_work_s(numbered, "train") == replayed_work_s(numbered, "select") == train
    assert replayed_work_s(numbered, "evaluate") == held_out
    assert replayed_work_s(numbered, "evaluate", "train") == train
    assert replayed_work_s(numbered, "train", "held_out") == held_out


def test_a_replay_starts_anywhere_in_its_split(numbered: Path) -> None:
    world = started(config_of(numbered), 200)
    trace, source = world.params.traffic, world.state.source
    first = (source.trace_index - 1) % len(trace.trace_time_s)
    assert np.array_equal(source.work_s, trace.trace_work_s[first])
    assert (source.time_s == 0.0).all()
    assert stats.kstest(first / len(trace.trace_time_s), "uniform").pvalue > 1e-4


def test_every_loop_of_a_replay_brings_every_request_once(tmp_path: Path) -> None:
    path = written(tmp_path, loops(60))
    world = started(config_of(path, rate_hz=10.0), 1)
    trace, source = world.params.traffic, world.state.source
    n, drawn, times = len(trace.trace_time_s), [], []
    for _ in range(3 * n):
        drawn.append(float(source.work_s[0]))
        times.append(float(source.time_s[0]))
        draw_next(trace, source, world.state.streams, 0, source.time_s[0])
    assert times[0] == 0.0
    assert (np.diff(times) >= 0).all()
    for loop in range(3):
        assert sorted(drawn[loop * n : (loop + 1) * n]) == sorted(trace.trace_work_s)
    assert times[n] == pytest.approx(trace.trace_period_s)
    assert times[2 * n] == pytest.approx(2 * trace.trace_period_s)


def test_a_world_on_a_trace_has_nine_regimes_and_conserves_flows(trace_path: Path) -> None:
    world = run(started(config_of(trace_path, rate_hz=20.0), 3), 100)
    arrived, completed, lost, rejected, _, _, in_flight = np.moveaxis(world.state.counts, -1, 0)
    assert world.n_regimes == 9
    assert ((world.regime >= 0) & (world.regime < 9)).all()
    assert arrived.sum() > 1000
    assert np.array_equal(arrived, completed + lost + rejected + in_flight)
    world.settle(everyone(world))
    assert np.isfinite(world.statistics()["latency_mean_ms"]).all()
