"""Public trace formats: how they are read and refused."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from envs.core.validation import SettingError
from envs.load_balancing.traces import PREFILL_PER_DECODE, READERS, Recording, TraceError, Wanted, read_trace
from tests.envs.load_balancing.pools import PROPERTY
from tests.envs.load_balancing.recordings import FORMATS, azure_lines, count_lines, log_lines, loops, marllb_lines, written

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


def test_table_lines_are_columns_by_name_in_any_order(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, ["kind,work,time", "chat,2,0.5", '"a,b",4,1.5', "chat,3,1.5"]))
    assert trace.time_s.tolist() == [0.0, 1.0, 1.0]
    assert trace.work.tolist() == pytest.approx([2 / 3, 4 / 3, 1.0])
    assert not trace.labels


def test_times_of_a_table_may_be_timestamps(tmp_path: Path) -> None:
    times = ["2024-02-29T23:59:59.5", "2024-03-01 00:00:00", "2024-03-01T01:00:01.25+01:00", "2024-03-01T00:00:02Z"]
    trace = read_trace(written(tmp_path, ["time,work", *(f"{time},1" for time in times)]))
    assert trace.time_s == pytest.approx([0.0, 0.5, 1.75, 2.5], abs=1e-6)


def test_timestamps_without_an_offset_are_in_utc_wherever_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In Berlin that night has an hour more."""
    lines = ["time,work", *(f"2023-10-29T0{hour}:30:00,1" for hour in (0, 4, 5))]
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Europe/Berlin")
        time.tzset()
        trace = read_trace(written(tmp_path, lines))
    time.tzset()
    assert trace.time_s.tolist() == [0.0, 4 * 3600.0, 5 * 3600.0]


def test_more_columns_may_follow(tmp_path: Path) -> None:
    plain = read_trace(written(tmp_path, loops(20), "plain"))
    more = [f"{line}\t{i or 'tier'}" for i, line in enumerate(loops(20))]
    wide = read_trace(written(tmp_path, more, "more"), Wanted(column="tier"))
    assert np.array_equal(plain.time_s, wide.time_s)
    assert np.array_equal(plain.work, wide.work)
    assert wide.labels == tuple(str(i) for i in range(1, 21))


def test_a_mark_of_byte_order_is_no_part_of_a_name(tmp_path: Path) -> None:
    path = tmp_path / "marked.csv"
    path.write_text("\ufefftime,work\n0,1\n1,1\n", encoding="utf-8")
    assert len(read_trace(path).time_s) == 2


def test_the_path_of_a_request_line_is_read_however_broken_it_is(tmp_path: Path) -> None:
    start = 'a - - [01/Jul/1995:00:00:01 -0400] "'
    lines = [f'{start}{request}" 200 1' for request in ("GET /a?b=c HTTP/1.0", "GET /old", "-", "", "GET /a b HTTP/1.0")]
    labels = read_trace(written(tmp_path, [*lines, lines[0].replace(":01 ", ":02 ")]), Wanted(path=True)).labels
    assert labels == ("/a?b=c", "GET /old", "-", "", "GET /a b HTTP/1.0", "/a?b=c")


def test_a_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    path = written(tmp_path, loops(10))
    first = read_trace(path)
    assert read_trace(path) is first
    assert read_trace(path, Wanted(path=True)).labels
    assert not first.time_s.flags.writeable
    assert not first.work.flags.writeable
    assert len(read_trace(written(tmp_path, loops(11))).time_s) == 11


@pytest.mark.parametrize("header", ["time,work,kind,kind", 'time,work,"kind'])
def test_columns_without_names_of_their_own_are_refused(header: str, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"trace\.txt:1: "):
        read_trace(written(tmp_path, [header, "0,1,a,b", "1,1,a,b"]))


def test_a_header_that_only_seems_to_name_a_column_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, ['"a,time,b",work', "0,1", "1,1"])
    with pytest.raises(TraceError, match=rf"^{path}:1: there must be a column time, got "):
        read_trace(path)


def test_a_column_or_a_path_labels_requests(tmp_path: Path) -> None:
    table = written(tmp_path, ["kind,work,time", "chat,2,0.5", '"a,b",4,1.5'])
    assert list(read_trace(table, Wanted(column="kind")).labels) == ["chat", "a,b"]
    azure = [*azure_lines(3)]
    azure[0] += ",Tier"
    azure[1:] = [f"{line},{i}" for i, line in enumerate(azure[1:])]
    assert list(read_trace(written(tmp_path, azure, "azure"), Wanted(column="Tier")).labels) == ["0", "1", "2"]
    assert list(read_trace(written(tmp_path, log_lines(30), "log"), Wanted(path=True)).labels[:2]) == ["/0", "/1"]
    queries = [line.split("\t")[1] for line in loops(3)[1:]]
    assert list(read_trace(written(tmp_path, loops(3), "loops"), Wanted(path=True)).labels) == queries


@pytest.mark.parametrize(
    ("lines", "wanted", "message"),
    [
        (azure_lines(3), Wanted(column="tier"), r"class_column must be one of TIMESTAMP, .+, got 'tier'$"),
        (log_lines(3), Wanted(column="tier"), r"class_column must be one of host, user, time, method, .+, got 'tier'$"),
        (count_lines(15), Wanted(column="tier"), r"class_column must be left out for a trace without columns, got 'tier'$"),
        (azure_lines(3), Wanted(path=True), r"class_pattern must be left out for a trace without paths, got .+trace.txt$"),
    ],
)
def test_labels_that_a_file_has_not_are_refused(lines: list[str], wanted: Wanted, message: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=rf"^workload.arrivals.{message}"):
        read_trace(written(tmp_path, lines), wanted)


BROKEN = [
    ("table", "12.5"),
    ("table", "12.5,1,a,b"),
    ("table", '12.5,1,"a'),
    ("table", "yesterday,1,a"),
    ("azure_llm", "2023-11-16 18:15:50,374,44,more"),
    ("marllb", "12.5\t/?n=5\tmore"),
    ("table", "12.5,0,a"),
    ("table", "12.5,many,a"),
    ("table", "12.5,nan,a"),
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


@pytest.mark.parametrize("name", ["azure_llm", "marllb", "table", "common_log"])
def test_time_that_runs_backwards_is_named_by_file_and_number(name: str, tmp_path: Path) -> None:
    lines = FORMATS[name](300)
    path = written(tmp_path, [*lines[:1], *lines[290:292], *lines[1:]])
    with pytest.raises(TraceError, match=f"{path}:4: time must not run backwards, got "):
        read_trace(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(
        SettingError, match=r"^workload.arrivals.path must be a trace that can be read, got .*nowhere.csv \(No such"
    ):
        read_trace(tmp_path / "nowhere.csv")


def test_a_folder_and_a_binary_file_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"^workload.arrivals.path must be a trace that can be read, got "):
        read_trace(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(SettingError, match=r"got .*binary \(not a text file\)"):
        read_trace(tmp_path / "binary")


@pytest.mark.parametrize("lines", [[], ["", "  "]])
def test_an_empty_file_is_refused_by_name(lines: list[str], tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"path must be a trace with requests, got .*trace\.txt \(empty\)"):
        read_trace(written(tmp_path, lines))


@pytest.mark.parametrize("lines", [["time\tquery"], ["0", "0"], loops(1), ["1"]])
def test_a_trace_with_too_few_requests_is_refused(lines: list[str], tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"trace\.txt: a trace needs two requests"):
        read_trace(written(tmp_path, lines))


def test_requests_at_a_single_instant_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="a trace needs two requests at different times, got 3 requests"):
        read_trace(written(tmp_path, marllb_lines(np.full(3, 1.5), np.arange(1, 4))))


def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        TraceError, match=r":1: unknown format \(known: azure_llm, marllb, table, common_log, counts per second\), got"
    ):
        read_trace(written(tmp_path, ["when;what", "1;2"]))


def read_or_refused(path: Path) -> Recording | str:
    """The trace, or why it was refused."""
    try:
        return read_trace(path)
    except (SettingError, TraceError) as error:
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
