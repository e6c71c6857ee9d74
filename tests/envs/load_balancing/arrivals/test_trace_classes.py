"""Classes of a recording by column, by pattern or by work, and what is noted of a short rest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import envs
from envs.core.validation import SettingError
from envs.load_balancing.config import LoadBalancingConfig, Trace
from envs.load_balancing.kernel.arrivals.trace import Replay
from envs.load_balancing.params import traffic_of
from envs.load_balancing.traces import TraceError
from tests.envs.load_balancing.recordings import log_lines, table_lines, written

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


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"class_column": "kind", "interactive_values": ["none"]}, "interactive_values must leave requests of both classes"),
        ({"class_column": "kind", "interactive_values": ["chat", "job"]}, "got 100 interactive and 0 batch in"),
        (
            {"class_column": "sort", "interactive_values": ["chat"]},
            "class_column must be one of time, work, kind, got 'sort'",
        ),
        ({"class_pattern": "chat"}, "class_pattern must be left out for a trace without paths"),
    ],
)
def test_classes_that_a_recording_has_not_are_refused(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=rf"^workload.arrivals\..*{message}"):
        both(on(written(tmp_path, table_lines(100)), **fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"class_column": "kind"}, "interactive_values must be values of class_column"),
        ({"interactive_values": ["chat"]}, "interactive_values must be values of class_column, and left out without"),
        ({"class_pattern": "["}, r"class_pattern must be a regular expression \("),
        ({**CHAT, "class_pattern": "x"}, "class_pattern must be left out beside class_column, got x"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=f"^{message}"):
        Trace(path="x", **fields)


def test_a_rest_that_is_shorter_than_an_episode_is_noted(tmp_path: Path) -> None:
    config = on(written(tmp_path, table_lines(1000)))
    _, rest = both(config)
    steps = int(rest.period_s / config.dt_s)
    assert envs.notes(config, steps) == ()
    (note,) = envs.notes(config, 3 * steps)
    assert f"({len(rest.time_s):,} requests)" in note
    assert note.endswith("it is replayed 3.0 times")
    assert envs.notes(LoadBalancingConfig(), 10**9) == ()
