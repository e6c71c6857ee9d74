"""Classes of a recording by column, by pattern or by work, and what is noted of a short rest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import envs
from envs.core.validation import SettingError
from envs.load_balancing.config import Actions, LoadBalancingConfig, Telemetry, Trace
from envs.load_balancing.kernel.arrivals.trace import Replay, Split
from envs.load_balancing.notes import replayed
from envs.load_balancing.params import traffic_of
from envs.load_balancing.traces import read_trace
from tests.envs.load_balancing.recordings import log_lines, loops, table_lines, written

CHAT = {"class_column": "kind", "interactive_values": ["chat"]}


def on(path: Path, **fields: Any) -> LoadBalancingConfig:
    config = LoadBalancingConfig()
    return replace(config, workload=replace(config.workload, arrivals=Trace(path=str(path), **fields)))


def both(config: LoadBalancingConfig) -> tuple[Replay, Replay]:
    parts = []
    for held_out in (False, True):
        traffic = traffic_of(config, held_out)
        parts.append(traffic.sources[traffic.source])
    return parts[0], parts[1]


def classes(config: LoadBalancingConfig) -> list[int]:
    return [int(one) for part in both(config) for one in part.flow_class]


def test_a_column_tells_the_class_of_every_request(tmp_path: Path) -> None:
    lines = table_lines(500)
    told = [0 if line.endswith("chat") else 1 for line in lines[1:]]
    assert classes(on(written(tmp_path, lines), **CHAT)) == told


def test_a_pattern_tells_the_class_by_the_path(tmp_path: Path) -> None:
    path = written(tmp_path, log_lines(300))
    assert classes(on(path, class_pattern="[05]$")) == [0 if i % 5 == 0 else 1 for i in range(300)]


def test_what_another_column_says_changes_nothing(tmp_path: Path) -> None:
    lines = table_lines(200)
    more = [f"{line},{i if i else 'note'}" for i, line in enumerate(lines)]
    plain, wider = both(on(written(tmp_path, lines, "a"), **CHAT)), both(on(written(tmp_path, more, "b"), **CHAT))
    for one, other in zip(plain, wider, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))


def test_interactive_requests_have_the_mean_work_of_their_class(tmp_path: Path) -> None:
    config = on(written(tmp_path, table_lines(500)), **CHAT)
    parts = both(config)
    work_s = np.concatenate([part.work_s[part.flow_class == 0] for part in parts])
    assert work_s.mean() == pytest.approx(config.workload.interactive.mean_work_s)


def test_values_of_a_column_may_be_given_as_numbers(tmp_path: Path) -> None:
    lines = [f"{line},{i % 3 if i else 'tier'}" for i, line in enumerate(table_lines(200))]
    asked = on(written(tmp_path, lines), class_column="tier", interactive_values=[0, "2"])
    assert classes(asked) == [1 if i % 3 == 1 else 0 for i in range(1, 201)]


@pytest.mark.parametrize("limit", [100.0, 450.5])
def test_a_number_in_a_column_tells_the_class(limit: float, tmp_path: Path) -> None:
    lines = table_lines(300)
    told = [0 if float(line.split(",")[1]) <= limit else 1 for line in lines[1:]]
    assert classes(on(written(tmp_path, lines), class_column="work", interactive_up_to=limit)) == told
    assert 0 < sum(told) < 300


def test_a_pattern_is_looked_for_in_the_column_that_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, [*log_lines(100)[:50], *(line.replace("GET", "PUT") for line in log_lines(100)[50:])])
    assert classes(on(path, class_column="method", class_pattern="^G")) == [0] * 50 + [1] * 50


def test_a_pattern_beside_a_column_is_the_pattern_of_a_path_in_that_column(tmp_path: Path) -> None:
    path = written(tmp_path, loops(200))
    by_path, by_column = on(path, class_pattern="n=10"), on(path, class_column="query", class_pattern="n=10")
    assert classes(by_path) == classes(by_column)
    assert set(classes(by_path)) == {0, 1}


TOLD: list[dict[str, Any]] = [
    CHAT,
    {"class_column": "work", "interactive_up_to": 300},
    {"class_column": "kind", "class_pattern": "^j"},
    {"interactive_quantile": 0.4},
]


@pytest.mark.parametrize("told", TOLD)
def test_the_parts_hold_every_request_once_whatever_tells_classes(told: dict[str, Any], tmp_path: Path) -> None:
    path = written(tmp_path, table_lines(500))
    config, trace = on(path, **told), read_trace(path)
    train, rest = both(config)
    work_s = np.concatenate([train.work_s, rest.work_s])
    assert len(train.time_s) == (trace.time_s < 0.7 * trace.time_s[-1]).sum()
    assert work_s / work_s.mean() == pytest.approx(trace.work)


@pytest.mark.parametrize("told", TOLD)
def test_the_rate_that_was_asked_for_does_not_depend_on_classes(told: dict[str, Any], tmp_path: Path) -> None:
    path = written(tmp_path, table_lines(500))
    config = on(path, **told)
    config = replace(config, workload=replace(config.workload, rate_hz=25.0))
    train, rest = both(config)
    scale = read_trace(path).rate_hz / 25.0
    assert train.time_s[-1] == pytest.approx(read_trace(path).time_s[len(train.time_s) - 1] * scale)
    assert (len(train.time_s) + len(rest.time_s)) / (train.period_s + rest.period_s) == pytest.approx(25.0, rel=0.02)


@pytest.mark.parametrize("told", TOLD)
def test_without_a_rate_the_mean_load_of_the_regimes_is_offered(told: dict[str, Any], tmp_path: Path) -> None:
    config = on(written(tmp_path, table_lines(500)), **told)
    parts = both(config)
    offered = sum(part.work_s.sum() for part in parts) / sum(part.period_s for part in parts)
    assert offered / config.pool.capacity.sum() == pytest.approx(config.workload.regimes.load.mean(), rel=0.02)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"class_column": "kind", "interactive_values": ["none"]},
            r"interactive_values must be such that both classes have requests, got \['none'\], "
            r"which leaves 0 interactive and 100 batch \(there are (chat, job|job, chat)\)$",
        ),
        ({"class_column": "kind", "interactive_values": ["chat", "job"]}, "which leaves 100 interactive and 0 batch"),
        (
            {"class_column": "kind", "class_pattern": "^$"},
            r"class_pattern must be .+ got '\^\$', which leaves 0 interactive",
        ),
        ({"class_column": "work", "interactive_up_to": 0}, r"interactive_up_to must .+ got 0, which .+, \.\.\.\)$"),
        (
            {"class_column": "kind", "interactive_up_to": 5},
            r"interactive_up_to must be left out unless .+ numbers \(.+, got 5$",
        ),
        (
            {"class_column": "sort", "interactive_values": ["chat"]},
            "class_column must be one of time, work, kind, got 'sort'$",
        ),
        ({"class_pattern": "chat"}, "class_pattern must be left out for a trace without paths"),
    ],
)
def test_classes_that_a_recording_has_not_are_refused(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=rf"^workload.arrivals\..*{message}"):
        both(on(written(tmp_path, table_lines(100)), **fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"class_column": "kind"},
            "class_column must be given with one of interactive_values, interactive_up_to, class_pattern",
        ),
        ({**CHAT, "class_pattern": "x"}, "class_column must be given with one of .+, got kind with .+class_pattern x"),
        ({"interactive_values": ["chat"]}, "class_column must be the name of a column beside interactive_values, got None"),
        ({"interactive_up_to": 0.0}, "class_column must be the name of a column beside interactive_up_to, got None"),
        ({"class_pattern": "["}, r"class_pattern must be a regular expression \(.+\), got '\['"),
        ({"class_pattern": 3}, "class_pattern must be a regular expression, got 3$"),
        ({"class_column": 3, "interactive_up_to": 1.0}, "class_column must be the name of a column, got 3$"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=f"^{message}"):
        Trace(path="x", **fields)


# Notes


def test_what_is_replayed_is_counted_by_class(tmp_path: Path) -> None:
    config = on(written(tmp_path, table_lines(500)), **CHAT)
    for part, replay in zip(replayed(config), both(config), strict=True):
        assert part.duration_s == replay.period_s
        assert part.n_requests == ((replay.flow_class == 0).sum(), (replay.flow_class == 1).sum())


def test_a_class_that_a_part_has_not_is_noted(tmp_path: Path) -> None:
    """The first half asks for one thing, the second for another."""
    path = written(tmp_path, [*log_lines(200, "/login")[:100], *log_lines(200, "/img")[100:]])
    assert envs.notes(on(path, class_pattern="login", train_share=0.6), 1) == (
        "the part of the recording that evaluates has no interactive requests",
    )
    assert envs.notes(on(path, class_pattern="img", train_share=0.3), 1) == (
        "the part of the recording that trains has no interactive requests",
    )


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_evaluation_on_what_trained_is_noted(split: Split, tmp_path: Path) -> None:
    (note,) = envs.notes(on(written(tmp_path, table_lines(500)), split=split), 1)
    assert note == f"the same part of the recording trains and evaluates (workload.arrivals.split {split})"


def test_a_rest_that_is_shorter_than_an_episode_is_noted(tmp_path: Path) -> None:
    config = on(written(tmp_path, table_lines(1000)))
    _, rest = both(config)
    steps = int(rest.period_s / config.dt_s)
    assert envs.notes(config, steps) == ()
    (note,) = envs.notes(config, 3 * steps)
    assert f"({len(rest.time_s):,} requests, " in note
    assert note.endswith("it is replayed 3.0 times")
    assert envs.notes(LoadBalancingConfig(), 10**9) == ()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"telemetry": Telemetry(loss=0.1)}, "reports"),
        ({"telemetry": Telemetry(samples=False)}, "no times of requests"),
        ({"actions": Actions(delay_steps=1)}, "take effect late"),
    ],
)
def test_what_only_agents_suffer_is_noted(fields: dict[str, Any], words: str, tmp_path: Path) -> None:
    (note,) = envs.notes(LoadBalancingConfig(**fields), 1)
    assert words in note
