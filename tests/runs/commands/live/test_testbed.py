"""`metabalance testbed`: real servers that anyone can start, and arms compared on them over the same requests."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from hierarchy.evidence.recordings import load_episodes
from hierarchy.evidence.results import SCHEMA
from hierarchy.tracking.mlflow_store import open_store, store_uri
from runs.cli import main

pytestmark = pytest.mark.slow
Capture = pytest.CaptureFixture[str]
ARMS = ["static", "autoscale_class", "learned"]
SECONDS, N_WINDOWS = 4, 10


def test_arms_meet_the_same_requests_and_one_table_says_how(folder: Path, out_root: Path, capsys: Capture) -> None:
    out, written = out_root / "live", out_root / "live.json"
    words = ["testbed", "--bundle", folder, "--compare", ",".join(ARMS), "--runs", 2, "--seconds", SECONDS]
    capsys.readouterr()
    assert main([*map(str, words), "--fault", "2:slow:0:0.5", "--out", str(out), "--json", str(written)]) == 0
    shown = capsys.readouterr()
    results = json.loads(written.read_text())
    assert results == json.loads((out / "results.json").read_text())
    assert (results["schema"], sorted(results["arms"])) == (SCHEMA, sorted(ARMS))
    assert all(len(arm["objective"]["per_seed"]) == 2 for arm in results["arms"].values())
    assert all(re.search(rf"^ *{name} ", shown.out, re.MULTILINE) for name in ARMS)
    assert len([line for line in shown.err.splitlines() if ", episode " in line]) == 2 * len(ARMS)
    n_sent = [int(re.fullmatch(r".*: (\d+) requests, 0 without .*", note)[1]) for note in results["notes"]]  # type: ignore[index]
    assert len(set(n_sent)) == 1
    assert n_sent[0] > 20
    recorded = load_episodes(out)
    for name in ARMS:
        seconds = 3600 * recorded[name].statistics["duration_h"]  # longer than asked for where a step is late
        measured, completed = (recorded[name].statistics[rate] @ seconds for rate in ("arrival_rate_hz", "throughput_hz"))
        assert measured == pytest.approx(n_sent[0], abs=0.5)
        assert 0 < completed <= measured  # what is in flight at the end is late
        assert recorded[name].window_objective.shape == (N_WINDOWS, 2)
    assert results["arms"]["learned"]["context"] is not None
    client = open_store(store_uri(out_root))
    [found] = client.search_experiments(filter_string="name = 'metabalance-live'")
    levels = [run.data.tags["level"] for run in client.search_runs([found.experiment_id])]
    assert sorted(levels) == [*["arm"] * len(ARMS), "live"]


def test_it_says_where_everything_is_and_what_became_of_requests(folder: Path, capsys: Capture) -> None:
    capsys.readouterr()
    assert main(["testbed", "--bundle", str(folder), "--runs", "1", "--seconds", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["socket", "log", "backends", "servers", "frontends"]
    n_sent, n_answered = re.match(r"(\d+) requests, (\d+) answered", lines[5]).groups()  # type: ignore[union-attr]
    assert n_sent == n_answered
    with pytest.raises(OSError):  # noqa: PT011
        urllib.request.urlopen(f"http://{lines[4].split()[1]}", timeout=1)


REFUSED = {
    "no bundle": (["--compare", "static"], "bundle must be given"),
    "arm": (["--bundle", "FOLDER", "--compare", "statik"], "compare must be names of arms"),
    "none": (["--bundle", "FOLDER", "--compare", ","], "compare must be names of arms"),
    "rule": (["--bundle", "FOLDER", "--compare", "prequal"], "compare must be arms whose dispatch rule HAProxy has"),
    "oracle": (["--bundle", "FOLDER", "--compare", "delayed_oracle"], "compare must be names of arms"),
    "windows": (["--bundle", "FOLDER", "--compare", "static", "--seconds", "1.5"], "seconds must be whole windows of 0.4 s"),
    "fault": (["--fault", "now:slow"], "fault must be AT_S:KIND"),
    "kind": (["--fault", "1:melt:0"], "kind must be"),
    "late fault": (["--seconds", "2", "--fault", "9:slow:0:0.5"], "faults[0].at_s must be <= 2, the end"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_is_refused(folder: Path, refused: Callable[..., str], tmp_path: Path, name: str) -> None:
    words, said = REFUSED[name]
    where = ["--out", str(tmp_path / "live")]
    assert said in refused("testbed", *[str(folder) if word == "FOLDER" else word for word in words], *where)
    assert not (tmp_path / "live").exists()
